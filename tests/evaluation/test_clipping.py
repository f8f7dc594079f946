"""Clipping: what it promises of every row, and which bound does best."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dlcli.errors import DlError, ExitCode
from dlcli.evaluation.clipping import TRIED, clip, curve, most
from dlcli.evaluation.metrics import log_loss


@st.composite
def rows_of_probabilities(draw: st.DrawFn) -> np.ndarray:
    shape = (draw(st.integers(1, 5)), draw(st.integers(2, 12)))
    weights = st.sampled_from([0.0, 1e-12, 0.5, 1.0, 1e6]) | st.floats(0, 1)
    raw = draw(arrays.arrays(np.float64, shape, elements=weights))
    raw[raw.sum(axis=1) == 0, 0] = 1
    return raw / raw.sum(axis=1, keepdims=True)


SHARES = st.floats(0, 1, exclude_max=True)  # of the largest bound that there can be


@given(rows_of_probabilities(), SHARES)
@example(np.full((1, 5), 0.2), np.nextafter(1, 0))
def test_clipped_rows_keep_both_bounds_sum_to_one_and_keep_their_order(
    y_prob: np.ndarray, share: float
) -> None:
    n_classes = y_prob.shape[1]
    bound = share * (1 - 1 / n_classes)
    clipped = clip(y_prob, bound)
    assert clipped.shape == y_prob.shape
    assert clipped.min() >= bound / (n_classes - 1) - 1e-12
    assert clipped.max() <= 1 - bound + 1e-12
    np.testing.assert_allclose(clipped.sum(axis=1), 1, atol=1e-12)
    in_order = np.take_along_axis(clipped, y_prob.argsort(axis=1), axis=1)
    assert (np.diff(in_order, axis=1) >= -1e-12).all()


@given(rows_of_probabilities())
def test_a_bound_of_zero_changes_nothing(y_prob: np.ndarray) -> None:
    assert (clip(y_prob, 0) == y_prob).all()


@given(arrays.arrays(np.float64, 5, elements=st.floats(0, 1)), st.floats(0, 0.499))
def test_two_classes_are_clipped_as_numpy_clips(positive: np.ndarray, bound: float) -> None:
    y_prob = np.stack([1 - positive, positive], axis=1)
    expected = np.clip(y_prob, bound, 1 - bound)
    np.testing.assert_allclose(clip(y_prob, bound), expected, atol=1e-12)


@given(rows_of_probabilities(), st.floats(0.001, 0.3))
def test_the_worst_mistake_costs_no_more_than_the_bound_says(
    y_prob: np.ndarray, bound: float
) -> None:
    n_classes = y_prob.shape[1]
    worst = -np.log(bound / (n_classes - 1))
    for label in range(n_classes):
        y_true = np.full(len(y_prob), label)
        assert log_loss(y_true, clip(y_prob, bound)) <= worst + 1e-9


def test_three_classes_by_hand() -> None:
    # lower bound 0.1 / 2 = 0.05. Row 1 is clipped to 0.9, 0.05, 0.05 and sums to 1. Row 2 becomes
    # 0.6, 0.4, 0.05: above the bound 0.55 + 0.35 = 0.9, and there is room for 1 - 3 * 0.05 = 0.85
    clipped = clip(np.array([[1, 0, 0], [0.6, 0.4, 0]]), 0.1)
    expected = [[0.9, 0.05, 0.05], [0.05 + 0.55 * 0.85 / 0.9, 0.05 + 0.35 * 0.85 / 0.9, 0.05]]
    np.testing.assert_allclose(clipped, expected, atol=1e-15)


@pytest.mark.parametrize(("n_classes", "bound"), [(2, 0.5), (2, -0.01), (2, np.nan), (10, 0.9)])
def test_a_bound_that_leaves_nothing_is_a_usage_error(n_classes: int, bound: float) -> None:
    with pytest.raises(DlError) as caught:
        clip(np.full((1, n_classes), 1 / n_classes), bound)
    assert caught.value.exit_code == ExitCode.USAGE
    assert f"for {n_classes} classes the bound is at least 0 and below" in caught.value.why


@given(rows_of_probabilities(), st.data())
def test_the_curve_is_the_log_loss_at_each_bound_as_scikit_learn_has_it(
    y_prob: np.ndarray, data: st.DataObject
) -> None:
    from sklearn.metrics import log_loss as oracle

    n_classes = y_prob.shape[1]
    y_true = np.array([data.draw(st.integers(0, n_classes - 1)) for _ in y_prob])
    found = curve(y_true, y_prob)
    assert found.bounds == tuple(each for each in TRIED if each < most(n_classes))
    for bound in found.bounds:
        expected = oracle(y_true, clip(y_prob, bound), labels=range(n_classes))
        assert found.at(bound) == pytest.approx(expected, abs=1e-9)
    assert found.at(found.best) == min(found.losses)


def test_the_bound_is_chosen_that_one_mistake_in_a_hundred_asks_for() -> None:
    y_true = np.array([0] * 990 + [1] * 10)
    y_prob = np.tile([1 - 1e-9, 1e-9], (1000, 1))
    found = curve(y_true, y_prob)
    assert found.chosen == found.best == 0.01
    assert found.at(0.01) <= found.held_out < found.plain


def test_where_clipping_gains_nothing_none_is_chosen() -> None:
    y_true, y_prob = np.array([0, 1] * 20), np.tile([[0.9999, 0.0001], [0.0001, 0.9999]], (20, 1))
    found = curve(y_true, y_prob)
    assert found.chosen == found.best == 0
    assert found.held_out == pytest.approx(found.plain)


def test_a_bound_that_does_not_pay_on_other_images_is_not_chosen() -> None:
    """One mistake in twenty images: whichever fold has it was chosen for by those without."""
    y_true = np.array([0] * 19 + [1])
    y_prob = np.tile([1 - 1e-6, 1e-6], (20, 1))
    found = curve(y_true, y_prob)
    assert found.best > 0
    assert found.held_out > found.plain
    assert found.chosen == 0


def test_the_same_seed_chooses_alike_and_a_single_image_is_no_error() -> None:
    rng = np.random.default_rng(3)
    y_prob = rng.dirichlet([0.2, 0.2, 0.2], 50)
    y_true = rng.integers(0, 3, 50)
    assert curve(y_true, y_prob) == curve(y_true, y_prob)
    assert curve(y_true[:1], y_prob[:1]).chosen in TRIED

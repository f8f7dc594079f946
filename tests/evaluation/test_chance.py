"""What chance explains, held against scipy and against what has to be so."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dlcli.evaluation.chance import (
    expected_accuracy_range,
    expected_loss_range,
    holm,
    mcnemar_p,
    paired,
    t_95,
    t_p,
)
from dlcli.evaluation.metrics import sample_losses

pytestmark = pytest.mark.slow


counts = st.integers(0, 300)
freedoms = st.integers(1, 3000)


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The truth about some images, and two models' probabilities for them."""
    n_images, n_classes = draw(st.integers(2, 30)), draw(st.integers(2, 4))
    weights = arrays.arrays(np.float64, (n_images, n_classes), elements=st.floats(1e-6, 1))
    y_true = draw(arrays.arrays(np.int64, n_images, elements=st.integers(0, n_classes - 1)))
    one, other = draw(weights), draw(weights)
    return y_true, *(each / each.sum(axis=1, keepdims=True) for each in (one, other))


@given(answers())
def test_either_of_two_models_may_be_the_first(given: tuple[np.ndarray, ...]) -> None:
    y_true, one, other = given
    there, back = paired(y_true, one, other), paired(y_true, other, one)
    assert there.loss == -back.loss
    assert (there.loss_p, there.accuracy_p) == (back.loss_p, back.accuracy_p)
    assert (there.first_alone, there.second_alone) == (back.second_alone, back.first_alone)
    assert there.loss_interval is not None and back.loss_interval is not None
    assert there.loss_interval == (-back.loss_interval[1], -back.loss_interval[0])


@given(answers())
def test_a_model_does_not_differ_from_itself(given: tuple[np.ndarray, ...]) -> None:
    y_true, one, _ = given
    same = paired(y_true, one, one)
    assert (same.loss, same.loss_interval, same.loss_p) == (0, (0, 0), 1)
    assert (same.first_alone, same.second_alone, same.accuracy_p) == (0, 0, 1)


@given(answers())
def test_the_paired_test_agrees_with_scipy(given: tuple[np.ndarray, ...]) -> None:
    y_true, one, other = given
    losses = [sample_losses(y_true, y_prob) for y_prob in (other, one)]
    differences = losses[0] - losses[1]
    if differences.std() < 1e-9:
        return
    found, oracle = paired(y_true, one, other), scipy.stats.ttest_rel(*losses)
    assert found.loss == pytest.approx(differences.mean())
    assert found.loss_p == pytest.approx(oracle.pvalue, abs=1e-9)
    assert found.loss_interval == pytest.approx(tuple(oracle.confidence_interval()), abs=1e-9)


@given(answers())
def test_the_interval_leaves_zero_out_where_the_test_finds_a_difference(
    given: tuple[np.ndarray, ...],
) -> None:
    found = paired(*given)
    assert found.loss_interval is not None
    low, high = found.loss_interval
    if abs(found.loss_p - 0.05) > 1e-6:
        assert (found.loss_p < 0.05) == (low > 0 or high < 0)


@given(answers())
def test_images_that_one_alone_has_right_make_the_difference_in_accuracy(
    given: tuple[np.ndarray, ...],
) -> None:
    y_true, one, other = given
    found = paired(*given)
    right = [(each.argmax(axis=1) == y_true).sum() for each in (one, other)]
    assert found.first_alone - found.second_alone == right[0] - right[1]


def test_the_same_difference_on_every_image_is_not_chance() -> None:
    y_prob = np.array([[0.5, 0.5]] * 4), np.array([[0.25, 0.75]] * 4)
    found = paired(np.zeros(4, int), *y_prob)
    assert found.loss == pytest.approx(math.log(2))
    assert found.loss_p == pytest.approx(0)


def test_one_image_says_nothing() -> None:
    found = paired(np.array([0]), np.array([[0.9, 0.1]]), np.array([[0.1, 0.9]]))
    assert (found.loss_interval, found.loss_p, found.accuracy_p) == (None, 1, 1)


@given(counts, counts)
def test_mcnemars_test_agrees_with_scipys_binomial(one: int, other: int) -> None:
    oracle = scipy.stats.binomtest(one, one + other).pvalue if one + other else 1
    assert mcnemar_p(one, other) == pytest.approx(oracle, rel=1e-9)


@given(counts, counts)
def test_mcnemars_p_is_a_sum_of_binomials(one: int, other: int) -> None:
    n = one + other
    ways = sum(math.comb(n, i) for i in range(min(one, other) + 1))
    assert mcnemar_p(one, other) == min(1, 2 * ways / 2**n)


def test_mcnemars_test_takes_many_images() -> None:
    assert mcnemar_p(20_000, 20_000) == 1
    assert mcnemar_p(0, 50_000) == 0


@given(st.floats(-40, 40), freedoms)
def test_students_p_agrees_with_scipy(t: float, freedom: int) -> None:
    assert t_p(t, freedom) == pytest.approx(2 * scipy.stats.t.sf(abs(t), freedom), abs=1e-10)


@pytest.mark.parametrize("freedom", [1, 2, 3, 9, 399, 24_999])
def test_students_t_agrees_with_scipy(freedom: int) -> None:
    assert t_95(freedom) == pytest.approx(scipy.stats.t.ppf(0.975, freedom), rel=1e-9)


def test_holms_correction_is_that_of_his_paper() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_correction_keeps_the_order_and_lies_between_none_and_bonferronis(
    p: list[float],
) -> None:
    corrected = holm(p)
    assert all(a <= b <= min(1, len(p) * a) + 1e-12 for a, b in zip(p, corrected, strict=True))
    order = sorted(range(len(p)), key=p.__getitem__)
    assert [corrected[i] for i in order] == sorted(corrected)


def two_classes(of_truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The truth, and what a model says that gives so much to the true class."""
    of_truth = of_truth.clip(1e-12, 1 - 1e-12)
    return np.zeros(len(of_truth), int), np.stack([of_truth, 1 - of_truth], axis=1)


def sure_and_rarely_wrong(rng: np.random.Generator, images: int, share: float) -> np.ndarray:
    """Confident, and confidently wrong on a share of images, which cost 4.7 nats in the mean."""
    cost = rng.gamma(0.5, 0.02, images).clip(0, 0.69)
    return np.exp(-np.where(rng.random(images) < share, 0.7 + rng.gamma(4, 1, images), cost))


def by_logits(rng: np.random.Generator, images: int, mean: float) -> np.ndarray:
    """More or less sure of the truth."""
    return 1 / (1 + np.exp(-rng.normal(mean, 2, images)))


@pytest.mark.parametrize(("valid", "images"), [(400, 1000), (2000, 12_500)])
@pytest.mark.parametrize(
    ("kind", "of"), [(sure_and_rarely_wrong, s) for s in (0.002, 0.01, 0.05)] + [(by_logits, 4.0)]
)
def test_about_95_of_100_losses_on_other_images_lie_in_the_expected_range(
    valid: int, images: int, kind: Callable[..., np.ndarray], of: float
) -> None:
    rng, inside = np.random.default_rng(0), 0
    for _ in range(25):
        low, high = expected_loss_range(*two_classes(kind(rng, valid, of)), images)
        others = sample_losses(*two_classes(kind(rng, images, of)))
        inside += low <= others.mean() <= high
    assert inside >= 21


@settings(max_examples=25)
@given(answers(), st.integers(1, 100_000))
def test_the_expected_range_is_one_for_any_probabilities(
    given: tuple[np.ndarray, ...], images: int
) -> None:
    y_true, y_prob, _ = given
    low, high = expected_loss_range(y_true, y_prob, images)
    assert 0 <= low <= high
    assert (low, high) == expected_loss_range(y_true, y_prob, images)


def test_of_images_without_a_mistake_the_range_expects_some() -> None:
    y_true, y_prob = two_classes(np.full(400, 0.999))
    low, high = expected_loss_range(y_true, y_prob, 1000)
    assert low == pytest.approx(0.001, rel=0.1)
    assert high > 0.02


@pytest.mark.parametrize("share", [0.8, 0.99])
def test_95_of_100_accuracies_on_other_images_lie_in_the_expected_range(share: float) -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(300):
        low, high = expected_accuracy_range(rng.binomial(400, share), 400, 1000)
        inside += low <= rng.binomial(1000, share) / 1000 <= high
    assert 276 <= inside <= 297


def test_of_images_that_were_all_correct_no_perfect_accuracy_is_promised() -> None:
    low, high = expected_accuracy_range(400, 400, 1000)
    assert 0.98 < low < 1
    assert high == 1

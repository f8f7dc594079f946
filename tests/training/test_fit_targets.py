"""What a batch is trained towards."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli.training.photos.inputs import one_hot
from dlcli.training.photos.targets import Targets

CLASSES = st.integers(2, 6)
SHARES = st.floats(0, 0.99)


def batch(targets: Targets, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = np.arange(n * 3, dtype=np.float32).reshape(n, 3)
    return targets.of(x, np.arange(n), np.random.default_rng(seed))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), SHARES, st.floats(0, 5))
def test_labels_are_probabilities_and_samples_stay_among_their_kind(
    classes: list[int], smoothing: float, mixup: float
) -> None:
    y_prob = one_hot(np.array(classes), 5)
    targets = Targets(y_prob, label_smoothing=smoothing, mixup=mixup)
    x, y, weights = batch(targets, len(classes))
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-5)
    assert (y >= smoothing / 5 * (1 - 1e-5)).all()
    assert x.min() >= 0
    assert x.max() <= 3 * len(classes) - 1 + 1e-3
    assert weights is None


def test_smoothing_spreads_a_share_of_each_label_evenly() -> None:
    _, y, _ = batch(Targets(one_hot(np.array([1]), 4), label_smoothing=0.1), 1)
    np.testing.assert_allclose(y, [[0.025, 0.925, 0.025, 0.025]], rtol=1e-6)


def test_mixing_takes_the_same_shares_of_samples_and_labels() -> None:
    y_prob = one_hot(np.arange(8), 8)
    x, y, _ = Targets(y_prob, mixup=0.4).of(
        np.eye(8, dtype=np.float32), np.arange(8), np.random.default_rng(0)
    )
    np.testing.assert_allclose(x, y, rtol=1e-6)
    assert ((y > 0).sum(axis=1) == 2).any()


def test_the_same_generator_mixes_in_the_same_way() -> None:
    targets = Targets(one_hot(np.arange(8) % 2, 2), mixup=0.4)
    np.testing.assert_array_equal(batch(targets, 8, 1)[0], batch(targets, 8, 1)[0])
    assert not np.array_equal(batch(targets, 8, 1)[0], batch(targets, 8, 2)[0])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_weighed_classes_count_for_the_same_in_all(classes: list[int]) -> None:
    y_true = np.array(classes)
    _, _, weights = batch(Targets(one_hot(y_true, 4), weigh_classes=True), len(classes))
    totals = [weights[y_true == number].sum() for number in set(classes)]
    np.testing.assert_allclose(totals, len(classes) / 4, rtol=1e-4)


def test_balanced_weights_are_scikit_learns() -> None:
    from sklearn.utils.class_weight import compute_sample_weight

    y_true = np.array([0, 0, 0, 1, 1, 2])
    _, _, weights = batch(Targets(one_hot(y_true, 3), weigh_classes=True), 6)
    assert weights == pytest.approx(compute_sample_weight("balanced", y_true))

"""The mean of what several runs predict, whatever the order in which they say it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dlcli.errors import DlError
from dlcli.evaluation.metrics import log_loss
from dlcli.inference.predictions import Predictions, aligned, mean_of

pytestmark = pytest.mark.usefixtures("small_backbone")

CLASSES = ("cat", "dog", "fox")


@st.composite
def members(draw: st.DrawFn) -> list[Predictions]:
    """Predictions of two to four runs about the same images, in one order."""
    n_classes, n_images = draw(st.integers(2, 3)), draw(st.integers(1, 5))
    classes = CLASSES[:n_classes]
    paths = tuple(f"valid/{number}.jpg" for number in range(n_images))
    true = tuple(draw(st.sampled_from(classes)) for _ in paths)
    # from 1e-9, well above the least that log loss counts as a probability
    weights = arrays.arrays(np.float64, (n_images, n_classes), elements=st.floats(1e-9, 1))
    each = draw(st.lists(weights, min_size=2, max_size=4))
    return [Predictions(paths, classes, w / w.sum(axis=1, keepdims=True), true) for w in each]


def shuffled(member: Predictions, seed: int) -> Predictions:
    """The same predictions with rows and columns in another order."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(member.paths)), rng.permutation(len(member.classes))
    return Predictions(
        tuple(member.paths[row] for row in rows),
        tuple(member.classes[column] for column in columns),
        member.y_prob[np.ix_(rows, columns)],
        tuple(member.true_classes[row] for row in rows),
    )


def loss(predictions: Predictions) -> float:
    return log_loss(predictions.y_true, predictions.y_prob)


@given(members())
def test_the_mean_loses_no_more_than_its_members_do_on_average(each: list[Predictions]) -> None:
    mean = mean_of(each)
    assert loss(mean) <= np.mean([loss(member) for member in each]) + 1e-9


@given(members())
def test_the_mean_is_a_set_of_probabilities(each: list[Predictions]) -> None:
    y_prob = mean_of(each).y_prob
    assert y_prob.sum(axis=1) == pytest.approx(1)
    assert (y_prob >= 0).all()
    assert y_prob == pytest.approx(sum(member.y_prob for member in each) / len(each))


@given(members(), st.integers(0, 2**32 - 1))
def test_the_order_of_rows_and_columns_does_not_matter(each: list[Predictions], seed: int) -> None:
    classes = each[0].classes
    straight = mean_of(aligned(each, classes))
    others = [shuffled(member, seed + number) for number, member in enumerate(each)]
    assert_same(mean_of(aligned(others, classes)), straight)


def assert_same(one: Predictions, other: Predictions) -> None:
    assert (one.paths, one.classes, one.true_classes) == (
        other.paths,
        other.classes,
        other.true_classes,
    )
    assert (one.y_prob == other.y_prob).all()


def pictures(*names: str, classes: Sequence[str] = CLASSES) -> Predictions:
    y_prob = np.full((len(names), len(classes)), 1 / len(classes))
    return Predictions(names, tuple(classes), y_prob, ("cat",) * len(names))


def test_images_that_a_member_lacks_are_left_out_for_all() -> None:
    same = aligned([pictures("c", "a", "b"), pictures("b", "d", "c")], CLASSES)
    assert [member.paths for member in same] == [("b", "c"), ("b", "c")]


def test_members_without_a_common_image_are_refused() -> None:
    with pytest.raises(DlError, match="no image in common"):
        aligned([pictures("a"), pictures("b")], CLASSES)


def test_a_file_that_names_other_classes_is_refused() -> None:
    with pytest.raises(DlError, match="`fox`, `wolf` are not in all"):
        aligned([pictures("a"), pictures("a", classes=("cat", "dog", "wolf"))], CLASSES)

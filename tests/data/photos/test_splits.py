"""Plans: what split and sample choose, before anything is touched."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli.data.journal import Move
from dlcli.data.photos.photos import Photos
from dlcli.data.photos.splits import apportion, enough_for_each, plan_sample, plan_split, singletons
from dlcli.errors import DlError

COUNTS = st.dictionaries(st.text("abcdef", min_size=1), st.integers(1, 200), min_size=1, max_size=8)


def dataset(train: dict[str, int], valid: dict[str, int] | None = None) -> Photos:
    """A dataset that exists on paper only."""
    splits = {
        split: tuple(sorted(f"{split}/{c}/{i}.jpg" for c in counts for i in range(counts[c])))
        for split, counts in (("train", train), ("valid", valid or {}), ("test", {}))
    }
    return Photos(Path("/nowhere"), tuple(sorted(train)), MappingProxyType(splits))


def classes(moves: list[Move]) -> Counter[str]:
    return Counter(move.target.split("/")[1] for move in moves)


# Sharing out


@given(COUNTS, st.data())
def test_shares_sum_up_and_stay_within_one_of_the_exact_proportion(
    counts: dict[str, int], draw: st.DataObject
) -> None:
    total = sum(counts.values())
    size = draw.draw(st.integers(0, total))
    shares = apportion(counts, size)
    assert sum(shares.values()) == size
    for name, count in counts.items():
        assert abs(shares[name] - size * count / total) < 1
        assert 0 <= shares[name] <= count


@given(COUNTS, st.data())
def test_shares_keep_their_bounds(counts: dict[str, int], draw: st.DataObject) -> None:
    most = {name: draw.draw(st.integers(1, count)) for name, count in counts.items()}
    size = draw.draw(st.integers(len(counts), sum(most.values())))
    shares = apportion(counts, size, least=1, most=most)
    assert sum(shares.values()) == size
    assert all(1 <= shares[name] <= most[name] for name in counts)


@given(COUNTS, st.randoms(use_true_random=False))
def test_shares_depend_on_nothing_but_names_and_counts(
    counts: dict[str, int], random: object
) -> None:
    items = list(counts.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    size = sum(counts.values()) // 2
    assert apportion(dict(items), size) == apportion(counts, size)


def test_largest_remainders_get_what_is_left() -> None:
    # exact: 4.4, 3.3, 2.2 and one left over after 4 + 3 + 2
    assert apportion({"a": 40, "b": 30, "c": 20}, 10) == {"a": 5, "b": 3, "c": 2}
    assert apportion({"a": 1, "b": 1, "c": 1}, 2) == {"a": 1, "b": 1, "c": 0}


@pytest.mark.parametrize("size", [-1, 4])
def test_what_can_not_be_shared_out_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="can't share"):
        apportion({"a": 1, "b": 2}, size)


# Splitting


@given(COUNTS, st.data(), st.integers(0, 5))
def test_a_split_takes_its_size_and_leaves_each_class_an_image(
    counts: dict[str, int], draw: st.DataObject, seed: int
) -> None:
    spare = sum(counts.values()) - len(counts)
    if spare == 0:
        return
    size = draw.draw(st.integers(1, spare))
    data = dataset(counts)
    moves = plan_split(data, size, seed)
    assert len({move.source for move in moves}) == len({move.target for move in moves}) == size
    assert {move.source for move in moves} <= set(data.splits["train"])
    assert all(move.target == move.source.replace("train/", "valid/", 1) for move in moves)
    taken = classes(moves)
    assert all(taken[name] < counts[name] for name in counts)
    assert moves == plan_split(data, size, seed)


def test_another_seed_takes_other_files() -> None:
    data = dataset({"cat": 50, "dog": 50})
    assert plan_split(data, 20, 0) != plan_split(data, 20, 1)


@pytest.mark.parametrize(
    ("train", "size", "expected"),
    [
        ({"cat": 6_000, "dog": 6_000}, None, 2_000),
        ({"cat": 5_000, "dog": 5_000}, None, 2_000),
        ({"cat": 4_999, "dog": 5_000}, None, 2_000),
        ({"cat": 1_001, "dog": 1_001}, None, 400),
        ({"cat": 2, "dog": 2}, None, 1),
        ({"cat": 500, "dog": 500}, 0.1, 100),
        ({"cat": 500, "dog": 500}, 10, 10),
    ],
)
def test_the_size_is_a_number_or_a_fraction_or_left_to_the_plan(
    train: dict[str, int], size: float | None, expected: int
) -> None:
    assert len(plan_split(dataset(train), size, 0)) == expected


def test_a_class_with_one_image_stays_in_train() -> None:
    data = dataset({"cat": 50, "dog": 50, "unicorn": 1})
    assert singletons(data) == ("unicorn",)
    assert set(classes(plan_split(data, 99 - 1, 0))) == {"cat", "dog"}


def test_more_than_can_be_spared_is_refused() -> None:
    with pytest.raises(DlError, match="Can't move 99 of 100 images") as error:
        plan_split(dataset({"cat": 50, "dog": 50}), 99, 0)
    assert "leaves 98 to move" in error.value.why


# Sampling


@given(COUNTS, COUNTS, st.integers(0, 300), st.integers(1, 300))
def test_a_sample_has_each_class_and_no_more_than_there_is(
    train: dict[str, int], extra: dict[str, int], size: int, valid: int
) -> None:
    size += len(train)
    held = {name: count for name, count in extra.items() if name in train}
    moves = plan_sample(dataset(train, held), size, valid, 0)
    assert all(move.source == move.target for move in moves)
    by_split = Counter(move.target.split("/")[0] for move in moves)
    assert by_split["train"] == min(size, sum(train.values()))
    assert by_split["valid"] == min(valid, sum(held.values()))
    assert set(classes([m for m in moves if m.target.startswith("train/")])) == set(train)


def test_a_sample_smaller_than_the_number_of_classes_is_refused() -> None:
    with pytest.raises(DlError, match="2 is too few for a sample of 3 classes"):
        plan_sample(dataset({"a": 9, "b": 9, "c": 9}, {"a": 1}), 2, 1, 0)


@given(COUNTS.filter(lambda counts: max(counts.values()) > 1))
def test_the_number_that_is_enough_for_each_class_can_be_moved(counts: dict[str, int]) -> None:
    moved = classes(plan_split(dataset(counts), enough_for_each(dataset(counts)), 0))
    assert set(moved) == {name for name, count in counts.items() if count > 1}

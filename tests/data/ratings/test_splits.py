"""Which ratings become valid: properties of each way, and what a split leaves on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.small_ratings import HEADER, ROWS, in_memory, organized

from dlcli.data.ratings.ratings import By, Ratings, open_ratings
from dlcli.data.ratings.splits import described, plan_split, split, unseen, unsplit
from dlcli.errors import DlError

WAYS = get_args(By)


@st.composite
def datasets(draw: st.DrawFn) -> Ratings:
    """Datasets of two users and three ratings or more; each user and item has a rating."""
    counts = draw(st.lists(st.integers(1, 12), min_size=2, max_size=8).filter(lambda c: sum(c) > 2))
    users = draw(st.permutations([n for n, count in enumerate(counts, 1) for _ in range(count)]))
    items = [n % 4 + 1 for n in range(len(users))]
    times = draw(st.lists(st.integers(0, 9), min_size=len(users), max_size=len(users)))
    times[0], times[1] = 0, 9
    return in_memory(users, items, times)


shares = st.floats(0.01, 0.99)
seeds = st.integers(0, 3)


@given(datasets(), shares, seeds)
def test_a_share_at_random_is_exact_and_the_same_for_a_seed(
    ratings: Ratings, share: float, seed: int
) -> None:
    n = len(ratings.users)
    wanted = max(1, round(share * n))
    if wanted >= n:
        with pytest.raises(DlError, match="train needs at least one"):
            plan_split(ratings, share, "random", seed)
        return
    valid = plan_split(ratings, share, "random", seed)
    assert valid.sum() == wanted and set(valid.tolist()) <= {0, 1}
    assert np.array_equal(valid, plan_split(ratings, share, "random", seed))


@given(datasets(), shares, seeds)
def test_by_user_each_user_with_two_ratings_is_on_both_sides(
    ratings: Ratings, share: float, seed: int
) -> None:
    n = len(ratings.users)
    wanted = max(1, round(share * n))
    counts = np.bincount(ratings.users)[1:]
    if wanted >= n or counts.max() == 1:
        with pytest.raises(DlError):
            plan_split(ratings, wanted, "user", seed)
        return
    valid = plan_split(ratings, wanted, "user", seed)
    held = np.bincount(ratings.users, valid)[1:]
    several = counts > 1
    assert (held[several] >= 1).all() and (held[several] < counts[several]).all()
    assert not held[~several].any()
    exact = counts * wanted / n
    in_bounds = np.clip(exact, np.minimum(counts - 1, 1), counts - 1)
    assert (np.abs(held - in_bounds) <= 1 + 1e-9).all()
    if np.array_equal(exact, in_bounds):
        assert valid.sum() == wanted


@given(datasets(), shares)
def test_by_time_no_rating_of_train_is_newer_than_one_of_valid(
    ratings: Ratings, share: float
) -> None:
    n = len(ratings.users)
    wanted = max(1, round(share * n))
    if wanted >= n:
        return
    valid = plan_split(ratings, share, "time", 0).astype(bool)
    assert ratings.times is not None
    assert valid.sum() == wanted
    assert ratings.times[~valid].max() <= ratings.times[valid].min()


@given(datasets(), shares, seeds)
def test_new_users_have_no_rating_in_train(ratings: Ratings, share: float, seed: int) -> None:
    wanted = max(1, round(share * len(ratings.users)))
    if wanted >= len(ratings.users):
        return
    valid = plan_split(ratings, share, "new-users", seed).astype(bool)
    users = set(ratings.users[valid].tolist())
    assert users and users.isdisjoint(ratings.users[~valid].tolist())
    assert len(users) < ratings.n_users


@pytest.fixture
def films(tmp_path: Path) -> Path:
    organized(tmp_path)
    return tmp_path / "films"


@pytest.mark.parametrize("by", WAYS)
def test_each_way_splits_the_dataset_and_can_be_taken_back(films: Path, by: By) -> None:
    before = open_ratings(films).fingerprints()
    ratings, is_new = split(films, None, by, 0)
    assert is_new and ratings.sizes["train"] + ratings.sizes["valid"] == 6
    assert sorted([*ratings.rows("train"), *ratings.rows("valid")]) == [*range(6)]
    assert ratings.fingerprints()["valid"] != before["valid"]
    assert unsplit(films).by == by
    assert open_ratings(films).fingerprints() == before
    with pytest.raises(DlError, match="is not split"):
        unsplit(films)
    assert not (films / ".dl").exists()


def test_the_same_split_again_changes_nothing_and_another_needs_a_word(films: Path) -> None:
    first, _ = split(films, 2, "random", 0)
    same, is_new = split(films, 2, "random", 0)
    assert not is_new and same.fingerprints() == first.fingerprints()
    with pytest.raises(
        DlError, match="already has another split: chosen at random, 2 in valid, seed 0"
    ):
        split(films, 2, "random", 1)
    other, is_new = split(films, 2, "time", 1, replace=True)
    assert (
        is_new
        and other.split is not None
        and described(other.split) == ("the newest ratings, 2 in valid")
    )
    assert other.rows("valid").tolist() == [4, 5]


def test_a_copy_has_the_same_fingerprints(films: Path, tmp_path: Path) -> None:
    import shutil

    split(films, None, "random", 0)
    shutil.copytree(films, tmp_path / "copy")
    assert open_ratings(tmp_path / "copy").fingerprints() == open_ratings(films).fingerprints()


def test_users_and_items_that_train_lacks_are_counted(tmp_path: Path) -> None:
    rows = [HEADER, *ROWS, ("dora", "m4", "5", "1000000009"), ("dora", "m1", "5", "1000000008")]
    organized(tmp_path, rows)
    ratings, _ = split(tmp_path / "films", 2, "time", 0)
    found = unseen(ratings)
    assert (found.users, found.items, found.ratings) == (1, 1, 2)


def test_what_can_not_be_split_is_refused(tmp_path: Path) -> None:
    rows = [("user", "item", "rating"), ("a", "x", "1"), ("b", "y", "2")]
    organized(tmp_path, rows)
    with pytest.raises(DlError, match="Can't choose 2 of 2 ratings"):
        split(tmp_path / "films", 2, "random", 0)
    with pytest.raises(DlError, match="each user has a single rating"):
        split(tmp_path / "films", 1, "user", 0)
    with pytest.raises(DlError, match="its source has no times"):
        split(tmp_path / "films", 1, "time", 0)


def test_a_kill_while_a_split_is_replaced_leaves_the_dataset_without_one(
    films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split(films, 2, "random", 0)

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dlcli.data.ratings.store.atomic_write", killed)
    with pytest.raises(KeyboardInterrupt):
        split(films, 2, "random", 1, replace=True)
    assert open_ratings(films).sizes["valid"] == 0

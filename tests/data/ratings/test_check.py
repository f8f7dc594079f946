"""Faults of ratings that `check` finds, and samples of users."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from support.small_ratings import HEADER, ROWS, organized, written

from dlcli.data.ratings.check import check, summary
from dlcli.data.ratings.ratings import open_ratings
from dlcli.data.ratings.sample import sample
from dlcli.data.ratings.splits import split
from dlcli.data.ratings.store import write_split
from dlcli.errors import DlError

RANDOM = {"by": "random", "seed": 0, "asked": 1}


def found(root: Path) -> dict[str, int]:
    return {each.name: each.found for each in check(open_ratings(root)) if each.found}


def test_ratings_without_a_fault(tmp_path: Path) -> None:
    organized(tmp_path)
    assert found(tmp_path / "films") == {}
    assert summary(check(open_ratings(tmp_path / "films"))) == "Nothing was found."


def test_each_fault_is_found_and_counted(tmp_path: Path) -> None:
    future = str(int(time.time()) + 10**6)
    rows = [
        *(HEADER, *ROWS),
        ("ann", "m1", "4", "100"),  # the same again, and before 1990
        ("bob", "m1", "2", "1000000002"),
        ("dora", "m1", "3", future),
        *(("Eve", f"m{n}", "3", "1500000000") for n in range(1, 6)),
        ("eve", "m1", "1", "1500000000"),
        ("eve", "m2", "2", "1500000000"),
    ]
    written(tmp_path / "movies.csv", [("movieId", "title"), ("m1", "One"), ("m2", "Two")])
    organized(tmp_path, rows)
    assert found(tmp_path / "films") == {
        "different ratings": 1,
        "repeated ratings": 1,
        "single ratings": 1,
        "constant users": 1,
        "future times": 1,
        "old times": 1,
        "alike users": 1,
        "without title": 3,
    }
    checked = check(open_ratings(tmp_path / "films"))
    assert summary(checked) == "2 serious faults, and 6 to know of."
    assert [each.is_serious for each in checked[:3]] == [True, True, False]
    by_name = {each.name: each.remark for each in checked}
    assert by_name["different ratings"].startswith("user bob, item m1: 5, 2.")
    assert by_name["alike users"].startswith("Eve, eve.")


def test_leaks_of_a_split_are_found(tmp_path: Path) -> None:
    organized(tmp_path, [HEADER, *ROWS, ("ann", "m1", "4", "1000000009")])
    root = tmp_path / "films"
    write_split(root, np.array([1, 0, 0, 0, 0, 0, 0], np.uint8), RANDOM)
    leaks = found(root)
    assert leaks["leaked pairs"] == 1 and leaks["older valid ratings"] == 1
    split(root, 1, "time", 0, replace=True)
    assert "older valid ratings" not in found(root)


def test_content_that_was_changed_is_found(tmp_path: Path) -> None:
    organized(tmp_path)
    file = tmp_path / "films" / "ratings" / "rating.npy"
    np.save(file, np.full(6, 5, np.float32))
    assert found(tmp_path / "films")["changed"] == 1


def test_a_sample_has_all_ratings_of_some_users_and_their_split(tmp_path: Path) -> None:
    written(tmp_path / "movies.csv", [("movieId", "title"), ("m1", "One"), ("m3", "Three")])
    organized(tmp_path)
    root = tmp_path / "films"
    whole, _ = split(root, 3, "random", 0)
    taken, is_new = sample(root, 2, 1)
    assert is_new and taken.root == tmp_path / "films-sample" and taken.n_users == 2
    assert sum(taken.sizes.values()) == 4
    ids = [whole.user_ids[n - 1] for n in whole.users]
    rows = [n for n, each in enumerate(ids) if each in taken.user_ids]
    assert whole.valid is not None and taken.valid is not None
    assert taken.valid.tolist() == whole.valid[rows].tolist()
    items = [taken.item_ids[n - 1] for n in taken.items]
    assert items == [whole.item_ids[whole.items[n] - 1] for n in rows]
    titles = dict(zip(taken.item_ids, taken.titles, strict=True))
    assert titles.get("m1", "One") == "One" and titles.get("m2", "") == ""
    assert found(taken.root).keys() <= {"older valid ratings", "without title"}
    assert not sample(root, 2, 1)[1]


def test_a_sample_is_replaced_only_if_asked_and_nothing_else_is_in_it(tmp_path: Path) -> None:
    organized(tmp_path)
    root = tmp_path / "films"
    sample(root, 2, 1)
    with pytest.raises(DlError, match="is a different sample: it was made with --users 2 --seed 1"):
        sample(root, 2, 2)
    assert sample(root, 3, 2, replace_other=True)[0].n_users == 3
    (tmp_path / "films-sample" / "mine.txt").touch()
    with pytest.raises(DlError, match=r"mine\.txt, which `dl data sample` did not put there"):
        sample(root, 2, 2, replace_other=True)
    with pytest.raises(DlError, match="A sample of 9 users can't be taken"):
        sample(root, 9, 2)

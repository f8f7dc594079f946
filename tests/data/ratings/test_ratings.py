"""A dataset of ratings that was damaged, or is somebody else's: an error names the file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from support.small_ratings import organized

from dlcli.data.kinds import open_dataset
from dlcli.data.ratings.ratings import Ratings, open_ratings
from dlcli.data.ratings.splits import split
from dlcli.errors import DlError


@pytest.fixture
def films(tmp_path: Path) -> Path:
    organized(tmp_path)
    split(tmp_path / "films", 2, "random", 0)
    return tmp_path / "films"


def test_it_is_opened_as_what_it_is(films: Path) -> None:
    ratings = open_dataset(films)
    assert isinstance(ratings, Ratings) and ratings.kind == "ratings" and ratings.name == "films"
    assert isinstance(ratings.users, np.memmap)


def test_ids_and_titles_are_made_once(films: Path) -> None:
    ratings = open_ratings(films)
    assert ratings.user_ids is ratings.user_ids
    assert ratings.item_ids is ratings.item_ids and ratings.titles is ratings.titles


def test_photos_are_not_opened_as_ratings(tmp_path: Path) -> None:
    with pytest.raises(DlError, match="is a dataset of photos, not of ratings"):
        open_ratings(tmp_path)
    with pytest.raises(DlError, match="does not exist"):
        open_ratings(tmp_path / "missing")


def array(path: Path, values: object) -> None:
    np.save(path, values, allow_pickle=True)  # type: ignore[arg-type]


DAMAGES = {
    "a pickle": (
        "ratings/user.npy",
        lambda p: array(p, np.array([{}, 1], object)),
        "expected int32",
    ),
    "another type": ("ratings/item.npy", lambda p: array(p, np.ones(6)), "expected int32"),
    "two dimensions": (
        "ratings/user.npy",
        lambda p: array(p, np.ones((2, 3), np.int32)),
        r"shape \(2, 3\)",
    ),
    "too few": ("ratings/time.npy", lambda p: array(p, np.ones(5, np.int64)), r"shape \(5,\)"),
    "a number out of bounds": (
        "ratings/item.npy",
        lambda p: array(p, np.full(6, 4, np.int32)),
        "outside 1 to 3",
    ),
    "nan": ("ratings/rating.npy", lambda p: array(p, np.full(6, np.nan, np.float32)), "finite"),
    "cut": ("ratings/user.npy", lambda p: p.write_bytes(p.read_bytes()[:-1]), "longer or shorter"),
    "not an array": ("ratings/user.npy", lambda p: p.write_bytes(b"hello"), "magic"),
    "a header without an end": (
        "ratings/user.npy",
        lambda p: p.write_bytes(p.read_bytes().replace(b"}", b"(")),
        "EOF",
    ),
    "a header of other values": (
        "ratings/user.npy",
        lambda p: p.write_bytes(p.read_bytes().replace(b"'descr': '<i4'", b"'descr':{{}:{}}")),
        "unhashable",
    ),
    "gone": ("ratings/user.npy", Path.unlink, "is missing"),
    "another split": (
        "ratings/split.npy",
        lambda p: array(p, np.array([1, 1, 1, 0, 0, 0], np.uint8)),
        "not the split of split.yaml",
    ),
    "no column of users": (
        "ratings.yaml",
        lambda p: p.write_text(p.read_text().replace("  user: userId\n", "")),
        "columns of user, item and rating",
    ),
    "no yaml": ("ratings.yaml", lambda p: p.write_text("[" * 100), "levels"),
    "another version": (
        "ratings.yaml",
        lambda p: p.write_text(p.read_text().replace("version: 1", "version: 2")),
        "reads version 1, not 2",
    ),
    "absurd counts": (
        "ratings.yaml",
        lambda p: p.write_text(p.read_text().replace("users: 3", "users: 999999")),
        "counts can't be those",
    ),
    "another value": (
        "split.yaml",
        lambda p: p.write_text(p.read_text().replace("random", "luck")),
        "should be random or",
    ),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_damage_is_told_with_the_files_name(films: Path, case: str) -> None:
    name, damage, message = DAMAGES[case]
    damage(films / name)
    with pytest.raises(DlError, match=message) as error:
        open_ratings(films)
    assert Path(name).name in error.value.what


@pytest.mark.parametrize("name", ["users.csv", "items.csv"])
def test_a_table_of_ids_with_too_few_rows_is_told_when_it_is_read(films: Path, name: str) -> None:
    (films / name).write_text("id\n1\n")
    with pytest.raises(DlError, match=f"{name} is damaged: expected the columns"):
        _ = open_ratings(films).titles if name == "items.csv" else open_ratings(films).user_ids


@pytest.mark.parametrize("name", ["ratings/user.npy", "split.yaml", "users.csv"])
def test_no_link_is_followed_and_no_pipe_is_waited_for(films: Path, name: str) -> None:
    kept = films.parent / "elsewhere"
    (films / name).rename(kept)
    (films / name).symlink_to(kept)
    with pytest.raises(DlError, match="is a link to"):
        _ = open_ratings(films).user_ids
    (films / name).unlink()
    os.mkfifo(films / name)
    with pytest.raises(DlError, match="is a named pipe"):
        _ = open_ratings(films).user_ids

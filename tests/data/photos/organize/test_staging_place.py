"""The hidden folder beside a dataset: `dl` uses and removes its own, and no other of that name."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest
from support.archives import zipped
from support.children import killed_before_change
from support.command_result import Dl, ok, refused
from support.small_folders import KAGGLE, plant, tree

from dlcli.data import operations
from dlcli.data.journal import journals
from dlcli.data.photos.organize.organize import organize, to_organize
from dlcli.data.photos.organize.staging import Download, staging_folder

THESIS = {"thesis.txt": b"precious", "train/cat.9.jpg": b"mine", "train/dog.9.jpg": b"mine"}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return zipped(tmp_path / "a.zip", KAGGLE)


def place_of(archive: Path, name: str = "pets") -> Path:
    return staging_folder(Download(archive, (archive,)), archive.with_name(name))


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@pytest.mark.parametrize("end", ["partial", "unpacked"])
@pytest.mark.parametrize("is_link", [False, True])
def test_a_folder_of_such_a_name_stays_and_is_named(
    dl: Dl, archive: Path, tmp_path: Path, end: str, is_link: bool
) -> None:
    beside = tmp_path / f".pets-0123456789ab.{end}"
    theirs = plant(tmp_path / "theirs" if is_link else beside, THESIS)
    if is_link:
        beside.symlink_to(theirs)
    said = ok(dl("data", "organize", archive, tmp_path / "pets")).stderr
    assert f"{beside} stays" in said
    assert f"rm {'' if is_link else '-r '}{beside}" in said
    assert tree(theirs) == THESIS
    assert len(tree(tmp_path / "pets")) == len(KAGGLE)


@pytest.mark.parametrize("is_link", [False, True])
def test_what_lies_in_its_own_place_is_neither_used_nor_removed(
    dl: Dl, archive: Path, tmp_path: Path, is_link: bool
) -> None:
    place = place_of(archive)
    theirs = plant(tmp_path / "theirs" if is_link else place, THESIS)
    if is_link:
        place.symlink_to(theirs)
    said = refused(dl("data", "organize", archive, tmp_path / "pets"), f"{place} is in the way")
    assert f"rm {'' if is_link else '-r '}{place}" in said.stderr
    assert tree(theirs) == THESIS
    assert not (tmp_path / "pets").exists()
    planned = to_organize(archive, tmp_path / "pets")
    assert planned is not None
    assert {move.source for move in planned.moves} == KAGGLE.keys()


def test_a_copy_of_its_own_is_not_its_own(dl: Dl, archive: Path, tmp_path: Path) -> None:
    organize(archive, tmp_path / "pets")
    operations.undo(tmp_path / "pets")
    place = place_of(archive)
    shutil.copytree(place, tmp_path / "backup")
    shutil.rmtree(place)
    (tmp_path / "backup").rename(place)
    (place / "thesis.txt").write_text("mine")
    said = refused(dl("data", "organize", archive, tmp_path / "pets"), f"{place} is in the way")
    assert "may hold the only copies" in said.stderr
    assert "rm -r" not in said.stderr
    other = zipped(tmp_path / "b.zip", KAGGLE)
    said = ok(dl("data", "organize", other, tmp_path / "pets"))
    assert f"{place} stays: it is a copy" in said.stderr
    assert "rm -r" not in said.stderr
    assert (place / "thesis.txt").exists()


def test_what_an_undo_moved_back_is_used_again_and_else_stays(
    archive: Path, tmp_path: Path
) -> None:
    organize(archive, tmp_path / "pets")
    operations.undo(tmp_path / "pets")
    before = tree(place_of(archive), hidden=True)
    other = zipped(tmp_path / "b.zip", KAGGLE)
    organize(other, tmp_path / "pets")
    assert tree(place_of(archive), hidden=True) == before, "it may hold the only copies"
    operations.undo(tmp_path / "pets")
    organize(archive, tmp_path / "pets")
    assert hidden(tmp_path) == [place_of(other).name]


@pytest.mark.parametrize("place", ["cats", "elsewhere/pets"])
def test_what_the_undo_of_a_renamed_dataset_moved_back_is_known(
    archive: Path, tmp_path: Path, place: str
) -> None:
    organize(archive, tmp_path / "pets")
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / "pets").rename(tmp_path / place)
    operations.undo(tmp_path / place)
    before = tree(place_of(archive), hidden=True)
    other = zipped(tmp_path / "b.zip", KAGGLE)
    organize(other, tmp_path / "pets")
    assert tree(place_of(archive), hidden=True) == before, "it may hold the only copies"
    operations.undo(tmp_path / "pets")
    organize(archive, tmp_path / "pets")
    assert hidden(tmp_path) == [place_of(other).name]


@pytest.mark.forks
def test_what_an_undo_moved_back_is_kept_whenever_organize_was_killed(tmp_path: Path) -> None:
    number, undone = 1, 0
    while True:
        base = tmp_path / str(number)
        base.mkdir()
        archive = zipped(base / "a.zip", KAGGLE)
        killed = killed_before_change(number, partial(organize, archive, base / "pets"))
        if killed and journals(base / "pets"):
            operations.undo(base / "pets")
            undone += 1
            archive.unlink()
            organize(zipped(base / "b.zip", KAGGLE), base / "pets")
            (place,) = hidden(base)
            assert sorted(tree(base / place).values()) == sorted(KAGGLE.values())
        if not killed:
            break
        shutil.rmtree(base)
        number += 8
    assert undone > 1


@pytest.mark.forks
def test_killed_with_an_archive_that_then_changes_nothing_hidden_is_left(
    archive: Path, tmp_path: Path
) -> None:
    number, left = 1, 0
    act = partial(organize, archive, tmp_path / "pets")
    while killed_before_change(number, act):
        if journals(tmp_path / "pets"):
            break
        left += bool(hidden(tmp_path))
        zipped(archive, KAGGLE | {"train/cat.7.jpg": str(number).encode()})
        organize(archive, tmp_path / "pets")
        assert hidden(tmp_path) == []
        shutil.rmtree(tmp_path / "pets")
        number += 8
    assert left > 1


@pytest.mark.forks
def test_an_undo_that_was_killed_is_finished_by_the_next_organize(tmp_path: Path) -> None:
    number = 1
    while True:
        base = tmp_path / str(number)
        base.mkdir()
        source = zipped(base / "a.zip", KAGGLE)
        organize(source, base / "pets")
        killed = killed_before_change(number, partial(operations.undo, base / "pets"))
        organize(source, base / "pets")
        assert len(tree(base / "pets")) == len(KAGGLE)
        assert hidden(base) == []
        shutil.rmtree(base)
        number += 7
        if not killed:
            break
    assert number > 20


@pytest.mark.forks
def test_a_folder_that_earlier_versions_unpacked_is_moved_from_and_not_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0.1.0 was killed while it moved; what it left out is not removed by its name."""
    number, state = 10, ""
    while state != "pending":
        number += 1
        base = tmp_path / str(number)
        base.mkdir()
        archive = zipped(base / "a.zip", KAGGLE)
        assert killed_before_change(number, partial(organize, archive, base / "pets"))
        made = journals(base / "pets")
        state = made[-1].state if made else ""
    place = place_of(archive)
    for own in place.glob(".*"):
        own.unlink()
    (place / "readme.txt").write_text("mine")
    organize(archive, base / "pets")
    assert len(tree(base / "pets")) == len(KAGGLE)
    assert tree(place) == {"readme.txt": b"mine"}
    assert f"{place} stays" in capsys.readouterr().err


def test_from_a_link_to_the_dataset_it_lies_beside_the_link(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "disk" / "pets").mkdir(parents=True)
    (tmp_path / "pets").symlink_to(tmp_path / "disk" / "pets")
    organize(archive, tmp_path / "pets")
    assert len(tree(tmp_path / "disk" / "pets")) == len(KAGGLE)
    assert (tmp_path / "pets").is_symlink()
    assert hidden(tmp_path) == hidden(tmp_path / "disk") == []

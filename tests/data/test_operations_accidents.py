"""Organise, split, sample and undo: killed at every step, refused, and several at once."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy.random  # noqa: F401 - nobody, whom a child becomes, may not be let into this folder
import pytest
from support.children import become_nobody, fork, killed_before_change, no_file_above, wait
from support.small_folders import (
    DOWNLOADED,
    KAGGLE,
    MADE,
    MADE_AND_SPLIT,
    Act,
    Tree,
    folders,
    organize_copy,
    organize_in_place,
    organize_move,
    other_sample,
    plant,
    sample,
    split,
    tree,
    undo,
)

from dlcli.data import operations
from dlcli.data.journal import hold, journals
from dlcli.data.photos.organize import organize
from dlcli.data.photos.photos import open_photos
from dlcli.errors import DlError
from dlcli.files.transfer import PARTIAL
from dlcli.process import as_command

pytestmark = [pytest.mark.forks, pytest.mark.slow]


def kills(act: Act, start: Tree, base: Path, before: Act | None = None) -> Iterator[Path]:
    """For each step there is, a fresh folder in which `act` was killed at that step."""
    number = 1
    while True:
        folder = plant(base / str(number), start)
        if before:
            before(folder)
        if not killed_before_change(number, partial(act, folder)):
            assert number > 10, "the kills must have reached the work itself"
            return
        kept = list(tree(folder, hidden=True).values())
        assert all(content in kept for content in start.values()), "a file was lost"
        yield folder
        shutil.rmtree(folder)
        number += 1


def again(act: Act, folder: Path) -> None:
    """Call again; a split that was killed after its very end says that it was done."""
    try:
        act(folder)
    except DlError as error:
        assert act is split
        assert "already holds images" in str(error)


ON_EACH_DISK = [
    pytest.param("links", organize_copy, "dogscats", DOWNLOADED, id="organize-copy"),
    pytest.param("links", organize_move, "dogscats", DOWNLOADED, id="organize-move"),
    pytest.param("links", organize_in_place, "kaggle", DOWNLOADED, id="organize-in-place"),
    pytest.param("links", split, "dogscats", MADE, id="split"),
    pytest.param("links", sample, "dogscats-sample", MADE_AND_SPLIT, id="sample"),
    pytest.param("no links", organize_copy, "dogscats", DOWNLOADED, id="organize-copy-no-links"),
    pytest.param("no links", split, "dogscats", MADE, id="split-no-links"),
]


on_each_disk = pytest.mark.parametrize(
    ("disk", "act", "name", "start"), ON_EACH_DISK, indirect=["disk"]
)


@pytest.fixture
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system with hard links, or one that refuses each, as FAT does."""

    def refuse(source: str, target: str, **how: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), target)

    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)


@on_each_disk
def test_killed_at_any_step_the_same_call_ends_as_if_it_had_not_been(
    tmp_path: Path, disk: None, act: Act, name: str, start: Tree
) -> None:
    whole = plant(tmp_path / "whole", start)
    act(whole)
    expected, shape = tree(whole), folders(whole)
    assert expected != start
    for folder in kills(act, start, tmp_path):
        again(act, folder)
        assert tree(folder) == expected
        assert folders(folder) == shape
        assert not list(folder.rglob(PARTIAL))


@on_each_disk
def test_killed_at_any_step_it_can_be_taken_back(
    tmp_path: Path, disk: None, act: Act, name: str, start: Tree
) -> None:
    for folder in kills(act, start, tmp_path):
        if journals(folder / name):
            undo(name, folder)
        assert tree(folder) == start


@on_each_disk
def test_an_undo_killed_at_any_step_is_finished_by_the_next(
    tmp_path: Path, disk: None, act: Act, name: str, start: Tree
) -> None:
    for folder in kills(partial(undo, name), start, tmp_path, before=act):
        if journals(folder / name):
            undo(name, folder)
        assert tree(folder) == start
        left = set(folders(folder)) - set(folders(plant(tmp_path / "before", start)))
        assert left <= {name, f"{name}/.dl"}, "the next call there would use these, or remove them"


@on_each_disk
def test_killed_twice_it_still_ends_right(
    tmp_path: Path, disk: None, act: Act, name: str, start: Tree
) -> None:
    whole = plant(tmp_path / "whole", start)
    act(whole)
    for number, folder in enumerate(kills(act, start, tmp_path)):
        killed_before_change(number * 7 % 20 + 1, partial(again, act, folder))
        again(act, folder)
        assert tree(folder) == tree(whole)


def test_a_sample_replaced_and_killed_at_any_step_is_whole_after_the_next_call(
    tmp_path: Path,
) -> None:
    whole = plant(tmp_path / "whole", MADE_AND_SPLIT)
    other_sample(whole)
    for folder in kills(other_sample, MADE_AND_SPLIT, tmp_path, before=sample):
        other_sample(folder)
        assert tree(folder) == tree(whole)
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_move_to_another_disk_killed_at_any_step_loses_nothing(
    tmp_path: Path, other_disk: Path
) -> None:
    whole = plant(tmp_path / "whole", DOWNLOADED)
    organize_move(whole)
    expected = tree(whole / "dogscats")

    def act(folder: Path) -> None:
        organize.organize(
            folder / "kaggle", other_disk / folder.name, organize.OrganizeOptions("move")
        )

    number = 1
    while True:
        folder, target = plant(tmp_path / str(number), DOWNLOADED), other_disk / str(number)
        killed = killed_before_change(number, partial(act, folder))
        there = tree(target, hidden=True) if target.exists() else {}
        kept = [*tree(folder, hidden=True).values(), *there.values()]
        assert all(content in kept for content in DOWNLOADED.values())
        if not killed:
            break
        if journals(target) and number % 2:
            operations.undo(target)
            assert tree(folder) == DOWNLOADED
            assert not target.exists()
        else:
            act(folder)
            assert tree(target) == expected
            assert tree(folder) == {}
        number += 1
    assert number > 50


def test_a_half_written_copy_is_written_anew(tmp_path: Path) -> None:
    folder = plant(tmp_path, DOWNLOADED)
    journal_is_written = 6
    while not journals(folder / "dogscats"):
        assert killed_before_change(journal_is_written, partial(organize_copy, folder))
        journal_is_written += 1
    (folder / "dogscats" / "train" / "cat").mkdir(parents=True, exist_ok=True)
    (folder / "dogscats" / "train" / "cat" / PARTIAL).write_bytes(b"ca")
    organize_copy(folder)
    assert (folder / "dogscats/train/cat/cat.0.jpg").read_bytes() == b"cat 0"
    assert not list(folder.rglob(PARTIAL))


def words_of(act: Callable[[], Any], before: Callable[[], Any]) -> str:
    """What a child says that is first put under some restraint and then fails."""
    reader, writer = os.pipe()

    def act_and_tell() -> None:
        before()
        try:
            act()
        except (DlError, OSError) as error:
            os.write(writer, str(error).encode())

    assert wait(fork(act_and_tell)) == 0
    os.close(writer)
    with os.fdopen(reader) as file:
        return file.read()


def test_a_full_disk_stops_a_copy_which_goes_on_once_there_is_room(tmp_path: Path) -> None:
    large = {"kaggle/train/dog.0.jpg": b"x" * 50_000}
    folder = plant(tmp_path, DOWNLOADED | large)
    words = words_of(partial(organize_copy, folder), partial(no_file_above, 10_000))
    assert "`organize` stopped after 4 of 6 files: File too large" in words
    assert "Nothing is lost." in words
    assert not list(folder.rglob(PARTIAL)), "half a file only takes room"
    with pytest.raises(DlError, match="has not finished"):
        open_photos(folder / "dogscats")
    organize_copy(folder)
    assert (folder / "dogscats/train/dog/dog.0.jpg").read_bytes() == b"x" * 50_000


def test_without_room_for_the_journal_nothing_moves(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE)
    words = words_of(partial(split, folder), partial(no_file_above, 100))
    assert "Can't write the journal of `split`" in words
    assert "Nothing was moved" in words
    assert tree(folder, hidden=True) == MADE


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that nobody can reach, as it can't reach pytest's own."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize(
    ("protected", "act"),
    [("dogscats", split), ("dogscats/train/cat", split), ("dogscats", sample)],
)
def test_without_permission_nothing_moves(open_to_all: Path, protected: str, act: Act) -> None:
    start = MADE if act is split else MADE_AND_SPLIT
    folder = plant(open_to_all, start)
    for path in folders(folder):
        (folder / path).chmod(0o777)
    (folder / protected).chmod(0o555)
    words = words_of(partial(act, folder), become_nobody)
    assert "ermission denied" in words
    assert tree(folder, hidden=True) == start


def test_a_read_only_folder_can_be_copied_from(open_to_all: Path) -> None:
    folder = plant(open_to_all, DOWNLOADED)
    for path in folders(folder):
        (folder / path).chmod(0o555)
    folder.chmod(0o777)
    assert words_of(partial(organize_copy, folder), become_nobody) == ""
    assert len(tree(folder / "dogscats")) == len(KAGGLE)
    assert words_of(partial(undo, "dogscats", folder), become_nobody) == ""
    assert tree(folder, hidden=True) == DOWNLOADED


def test_the_second_of_two_is_told_who_is_at_work(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE)
    with as_command("dl data split"), hold(folder / "dogscats"):
        words = words_of(partial(split, folder), lambda: None)
    assert f"is being worked on: by process {os.getpid()} of " in words
    assert ": `dl data split`" in words
    assert tree(folder, hidden=True) == MADE


@pytest.mark.parametrize("act", [split, sample, organize_copy, organize_in_place])
def test_many_at_once_do_it_once(tmp_path: Path, act: Act) -> None:
    start = {split: MADE, sample: MADE_AND_SPLIT}.get(act, DOWNLOADED)
    whole = plant(tmp_path / "whole", start)
    act(whole)
    folder = plant(tmp_path / "shared", start)

    def act_or_be_told() -> None:
        try:
            act(folder)
        except DlError as error:
            expected = ("being worked on", "already holds", "not finished")
            assert any(words in str(error) for words in expected), error

    assert [wait(pid) for pid in [fork(act_or_be_told) for _ in range(6)]] == [0] * 6
    assert tree(folder) == tree(whole)

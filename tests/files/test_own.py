"""What `dl` keeps in somebody's folder is opened without following links."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from support.children import killed_before_change

from dlcli.errors import DlError
from dlcli.files import own
from dlcli.files.own import (
    MARKER,
    NotOwnError,
    mark,
    marked,
    open_own,
    others_in,
    own_folder,
    read_own,
    remove_own,
    require_own,
    require_own_tree,
    unmark,
)
from dlcli.files.paths import shown

WRITING = os.O_RDWR | os.O_CREAT | os.O_TRUNC


def link_to_a_file(path: Path) -> None:
    path.symlink_to(path.parents[1] / "theirs.txt")


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parents[1] / "new.txt")


def a_folder(path: Path) -> None:
    path.mkdir()


def a_named_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    folder = os.getcwd()
    os.chdir(path.parent)  # a socket's path has to be short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(folder)


INSTEAD = [link_to_a_file, link_to_nothing, a_folder, a_named_pipe, a_socket]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "theirs.txt").write_text("precious")
    (tmp_path / "root" / "own").mkdir(parents=True)
    return tmp_path / "root"


@pytest.mark.parametrize("instead", INSTEAD)
@pytest.mark.parametrize("flags", [os.O_RDONLY, WRITING, os.O_WRONLY | os.O_APPEND])
def test_only_a_file_is_opened_as_one(
    root: Path, flags: int, instead: Callable[[Path], None]
) -> None:
    place = root / "lock"
    instead(place)
    before = sorted(root.parent.rglob("*"))
    for refuse in (lambda: open_own(place, root, flags), lambda: require_own(place, root)):
        with pytest.raises(NotOwnError) as refused:
            refuse()
        kind = instead.__name__.replace("_", " ").replace("link", "a link", 1).partition(" to ")[0]
        assert refused.value.what.startswith(f"{shown(place)} is {kind}")
        assert "file of its own" in refused.value.why
        assert refused.value.hint
    assert sorted(root.parent.rglob("*")) == before
    assert (root.parent / "theirs.txt").read_text() == "precious"


def test_a_folder_that_is_a_link_is_not_entered(root: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "photos"
    (theirs / "deep").mkdir(parents=True)
    (theirs / "lock").write_text("precious")
    (root / "store").symlink_to(theirs)
    place = root / "store" / "lock"
    for act in (
        lambda: open_own(place, root),
        lambda: open_own(place, root, WRITING),
        lambda: require_own(place, root),
        lambda: require_own(place.parent / "deep", root, folder=True),
        lambda: require_own_tree(place.parent, root),
        lambda: remove_own(place, root),
        lambda: own_folder(place.parent / "new", root, make=True).__enter__(),
    ):
        with pytest.raises(NotOwnError, match="is a link to"):
            act()
    assert (theirs / "lock").read_text() == "precious"
    assert sorted(path.name for path in theirs.iterdir()) == ["deep", "lock"]


def test_the_root_may_be_a_link(root: Path, tmp_path: Path) -> None:
    named = tmp_path / "named"
    named.symlink_to(root)
    with os.fdopen(open_own(named / "own" / "lock", named, WRITING), "w") as file:
        file.write("mine")
    require_own_tree(named, named)
    assert read_own(named / "own" / "lock", named) == b"mine"
    assert read_own(named / "own" / "lock", named, 2) == b"mi"
    remove_own(named / "own" / "lock", named)
    remove_own(named / "own" / "lock", named)
    with own_folder(named / "new" / "deep", named, make=True) as folder:
        os.mkdir("deeper", dir_fd=folder)
    assert {path.name for path in root.rglob("*")} == {"own", "new", "deep", "deeper"}


def test_what_is_missing_is_missing(root: Path) -> None:
    require_own(root / "none" / "deep", root)
    require_own_tree(root / "none", root)
    for act in (
        lambda: open_own(root / "none", root),
        lambda: read_own(root / "none" / "deep", root),
        lambda: own_folder(root / "none", root).__enter__(),
        lambda: own_folder(root / "none", root / "none").__enter__(),
    ):
        with pytest.raises(FileNotFoundError):
            act()
    with own_folder(root / "made" / "own", root / "made", make=True):
        assert (root / "made" / "own").is_dir()


def test_no_path_leaves_the_root(root: Path) -> None:
    for path in (root / ".." / "theirs.txt", root.parent / "theirs.txt"):
        with pytest.raises(ValueError):
            open_own(path, root)


def test_links_in_a_tree_are_found(root: Path, tmp_path: Path) -> None:
    deep = root / "own" / "deep"
    deep.mkdir()
    require_own_tree(root / "own", root)
    (deep / "link").symlink_to(tmp_path / "theirs.txt")
    with pytest.raises(NotOwnError, match="deep/link is a link to"):
        require_own_tree(root / "own", root)


def test_a_file_in_the_way_of_a_folder_is_refused(root: Path) -> None:
    (root / "file").touch()
    with pytest.raises(NotOwnError, match="file is a file: `dl` keeps a folder of its own there"):
        own_folder(root / "file" / "deep", root, make=True).__enter__()


def test_only_what_this_program_began_is_marked(root: Path) -> None:
    folder = root / "own"
    assert marked(folder, "sample") == {}
    mark(folder, "sample")
    assert marked(folder, "sample")["pid"] == os.getpid()
    assert marked(folder, "unpack") == {}, "another part of `dl` knows what is in it"
    with pytest.raises(FileExistsError):
        mark(folder, "sample")
    unmark(folder)
    assert marked(folder, "sample") == {}
    assert list(folder.iterdir()) == []


def test_a_copied_or_renamed_mark_marks_nothing(root: Path) -> None:
    folder = root / "own"
    mark(folder, "sample")
    copy = root / "copy"
    shutil.copytree(folder, copy)
    assert marked(copy, "sample") == {}
    folder.rename(root / "renamed")
    shutil.copytree(root / "renamed", folder)
    assert marked(root / "renamed", "sample") == {}
    assert marked(folder, "sample") == {}, "the same name, but another folder"


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '"x"', "\xff", "[" * 5000])
def test_other_content_marks_nothing(root: Path, content: str) -> None:
    (root / MARKER).write_text(content, "latin-1")
    assert marked(root, "sample") == {}


def test_the_beginning_of_a_mark_is_known_and_nothing_else(root: Path) -> None:
    folder = root / "new"
    folder.mkdir()
    mark(folder, "sample")
    whole = (folder / MARKER).read_bytes()
    for length in (0, 1, 20, len(whole) - 1):
        (folder / MARKER).write_bytes(whole[:length])
        assert own.is_begun(folder, "sample"), length
    for content in (b"mine", whole.replace(b"sample", b"simple")):
        (folder / MARKER).write_bytes(content)
        assert not own.is_begun(folder, "sample")
    (folder / MARKER).write_bytes(b"")
    (folder / "mine.txt").touch()
    assert not own.is_begun(folder, "sample")


def test_a_mark_that_is_a_link_or_a_pipe_marks_nothing(root: Path, tmp_path: Path) -> None:
    mark(root, "sample")
    real = tmp_path / "real"
    (root / MARKER).rename(real)
    assert json.loads(real.read_text())["dl"] == "sample"
    (root / MARKER).symlink_to(real)
    assert marked(root, "sample") == {}
    unmark(root)
    assert real.exists()
    os.mkfifo(root / MARKER)
    assert marked(root, "sample") == {}


def test_it_says_how_to_mend(root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to(tmp_path / "photos")
    with pytest.raises(DlError) as refused:
        require_own(root / "link", root, folder=True)
    assert str(refused.value) == (
        f"{shown(root)}/link is a link to {shown(tmp_path)}/photos: `dl` keeps a folder of its own "
        "there, and follows no link to others' files\nRemove the link, or put what it leads to in "
        f"its place. To keep files on another disk, make a link of {shown(root)} as a whole."
    )


ASIDE = ".dl-123-0123abcd-4567cdef"


def test_what_goes_while_a_folder_is_read_is_not_in_the_way(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "notes.txt").touch()
    monkeypatch.setattr(
        os, "walk", lambda folder: [(str(folder), [ASIDE, "gone"], ["gone.csv", "notes.txt"])]
    )
    assert others_in(root, re.compile("own")) == [root / "notes.txt"]


@pytest.mark.forks
def test_a_folder_has_a_mark_at_every_moment_of_a_change_of_its_mark(tmp_path: Path) -> None:
    number = 1
    mark(tmp_path, "one")
    while killed_before_change(number, lambda: own.remark(tmp_path, "two")):
        assert own.marked(tmp_path, "one") or own.marked(tmp_path, "two")
        number += 1
    assert own.marked(tmp_path, "two")
    assert [path.name for path in tmp_path.iterdir()] == [MARKER]
    assert number > 2


def test_a_folder_for_writing_is_known_whenever_it_is_seen(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = root / "own" / ASIDE

    def seen() -> list[Path]:
        return others_in(root, re.compile("own"))

    aside.mkdir()
    assert seen() == []
    (aside / MARKER).touch()
    assert seen() == [], "the mark is not written yet"
    (aside / MARKER).unlink()

    def at_work(folder: Path, purpose: str) -> Mapping[str, object]:
        """It is seen right before it is marked, and again right after it was emptied."""
        if (aside / MARKER).exists():
            (aside / "state.npz").unlink()
            unmark(aside)
        else:
            mark(aside, purpose)
            (aside / "state.npz").touch()
        return {}

    with monkeypatch.context() as patched:
        patched.setattr(own, "marked", at_work)
        assert seen() == []
    assert list(aside.iterdir()) == []
    (aside / "photo.jpg").touch()
    assert seen() == [aside], "no command put it there"
    (aside / "photo.jpg").unlink()
    aside.rmdir()
    (root.parent / "empty").mkdir()
    aside.symlink_to(root.parent / "empty")
    assert seen() == [aside]

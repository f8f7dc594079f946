"""Journals on disk, and the lock under which they are written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.children import die_before, forked

from dlcli.data.journal import Move, Operation, hold, journals, unfinished, write_journal
from dlcli.errors import DlError

ODD = ("a b", "-rf", "'\"", "new\nline", "\u2028", "猫", os.fsdecode(b"\xff\xfe"))


def operation(root: Path, name: str = "split") -> Operation:
    moves = tuple(Move(f"train/{odd}.jpg", f"valid/{odd}.jpg") for odd in ODD)
    return Operation(name, "move", root, moves, made=("valid",), details={"seed": 0, "valid": None})


def test_what_is_written_is_read_back_whatever_the_names(tmp_path: Path) -> None:
    with hold(tmp_path):
        journal = write_journal(operation(tmp_path))
        assert journal.read() == operation(tmp_path)
        copied = Operation("organize", "copy", tmp_path, (), origin=Path("/down", ODD[-1]))
        assert write_journal(copied).read() == copied


def test_journals_are_numbered_and_pass_from_state_to_state_by_name(tmp_path: Path) -> None:
    with hold(tmp_path):
        assert unfinished(tmp_path) is None
        first = write_journal(operation(tmp_path, "organize"))
        assert unfinished(tmp_path) == first
        first.renamed("done")
        assert unfinished(tmp_path) is None
        write_journal(operation(tmp_path)).renamed("done").renamed("undoing")
        assert [journal.path.name for journal in journals(tmp_path)] == [
            "0001-organize.done",
            "0002-split.undoing",
        ]
        assert unfinished(tmp_path) == journals(tmp_path)[1]


@pytest.mark.parametrize("number", ["999999", "999999999", "9" * 60])
def test_a_number_far_above_all_others_hides_no_later_journal(tmp_path: Path, number: str) -> None:
    with hold(tmp_path):
        write_journal(operation(tmp_path)).renamed("done")
        first = journals(tmp_path)[0].path
        last = first.rename(first.with_name(f"{number}-split.done"))
        before = list((tmp_path / ".dl").iterdir())
        with pytest.raises(DlError, match=f"Can't write a journal after {last}"):
            write_journal(operation(tmp_path))
        assert list((tmp_path / ".dl").iterdir()) == before
        if int(number) > 999_999:
            with pytest.raises(DlError, match="numbers at most 999,999"):
                journals(tmp_path)[0].read()
        last.unlink()
        assert write_journal(operation(tmp_path)) == unfinished(tmp_path)


def test_a_folder_without_journals_has_none(tmp_path: Path) -> None:
    assert journals(tmp_path) == []
    assert journals(tmp_path / "nowhere") == []
    (tmp_path / "file").touch()
    assert journals(tmp_path / "file") == []
    (tmp_path / ".dl").write_text("mine")
    assert journals(tmp_path) == []
    with pytest.raises(DlError, match=r"\.dl is a file"), hold(tmp_path):
        pass
    assert (tmp_path / ".dl").read_text() == "mine"


@pytest.mark.parametrize("damage", ["", "{", '{"format": 2}\n', '{"format": 3}\n', "[1]\n", "\xff"])
def test_a_damaged_journal_is_told_by_its_name(tmp_path: Path, damage: str) -> None:
    (tmp_path / ".dl").mkdir()
    (tmp_path / ".dl" / "0001-split.pending").write_bytes(damage.encode("latin-1"))
    with pytest.raises(DlError, match=r"Can't read the journal .*0001-split.pending"):
        journals(tmp_path)[0].read()


def test_a_folder_is_held_by_one_at_a_time_and_then_free_again(tmp_path: Path) -> None:
    with hold(tmp_path):
        with pytest.raises(DlError, match=f"is being worked on: by process {os.getpid()} of "):
            hold(tmp_path).__enter__()
        with hold(tmp_path / "other"):
            pass
    with hold(tmp_path):
        pass


def test_nothing_is_left_of_a_hold_that_did_nothing(tmp_path: Path) -> None:
    with hold(tmp_path / "data" / "pets") as held:
        assert held.is_ours
        assert (tmp_path / "data" / "pets" / ".dl" / "lock").exists()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    with hold(tmp_path / "mine") as held:
        assert not held.is_ours
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_folder_that_its_maker_removes_at_that_moment_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, listed = tmp_path / "new", Path.iterdir
    root.mkdir()

    def gone(folder: Path) -> Iterator[Path]:
        root.rmdir()
        return listed(folder)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", gone)
        with hold(root) as folder:
            assert folder.is_ours
    assert not root.exists()


def test_a_folder_that_got_something_stays(tmp_path: Path) -> None:
    with hold(tmp_path / "pets"):
        (tmp_path / "pets" / "a.jpg").touch()
    assert [path.name for path in (tmp_path / "pets").iterdir()] == ["a.jpg"]


def test_what_a_killed_writer_of_0_1_0_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".dl").mkdir()
    (tmp_path / ".dl" / ".123-0001-split.pending").write_text('{"format": 1, "na')
    with hold(tmp_path):
        assert [path.name for path in (tmp_path / ".dl").iterdir()] == ["lock"]


def test_what_a_killed_writer_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    own = tmp_path / ".dl"
    with hold(tmp_path):
        write_journal(operation(tmp_path)).renamed("done")
    assert forked(lambda: write_journal(operation(tmp_path)), lambda: die_before(".pending")) < 0
    (own / ".gitignore").write_text("*")
    (own / ".git").mkdir()
    (own / ".123-0001-split.pending").write_text("whose is this?")
    with hold(tmp_path):
        left = sorted(path.name for path in own.iterdir())
    assert left == [".123-0001-split.pending", ".git", ".gitignore", "0001-split.done", "lock"]

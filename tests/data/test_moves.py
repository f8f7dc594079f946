"""A plan carried out, or refused before anything moves."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dlcli.data.journal import Move, Operation, hold, journals
from dlcli.data.moves import carry_out, finish, last, undo
from dlcli.errors import DlError


def plant(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


def files(root: Path) -> dict[str, str]:
    found = (path for path in root.rglob("*") if path.is_file() and ".dl" not in path.parts)
    return {str(path.relative_to(root)): path.read_text() for path in found}


def moving(root: Path, *moves: tuple[str, str], origin: Path | None = None) -> Operation:
    return Operation("test", "move", root, tuple(Move(*move) for move in moves), origin=origin)


def copying(root: Path, origin: Path, *paths: str) -> Operation:
    moves = tuple(Move(path, path) for path in paths)
    return Operation("test", "copy", root, moves, origin=origin)


def test_files_move_and_folders_that_they_emptied_go(tmp_path: Path) -> None:
    plant(tmp_path, "flat/deep/a", "flat/b", "keep/c", "keep/d")
    plan = moving(tmp_path, ("flat/deep/a", "new/x/a"), ("flat/b", "b"), ("keep/c", "new/c"))
    with hold(tmp_path) as held:
        outcome = carry_out(held, plan)
        assert (outcome.files, outcome.missing, outcome.undone) == (3, (), False)
        assert files(tmp_path) == {
            "new/x/a": "flat/deep/a",
            "b": "flat/b",
            "new/c": "keep/c",
            "keep/d": "keep/d",
        }
        assert not (tmp_path / "flat").exists()
        assert finish(held) is None
        outcome = undo(held)
        assert (outcome.files, outcome.undone) == (3, True)
    assert files(tmp_path) == {p: p for p in ("flat/deep/a", "flat/b", "keep/c", "keep/d")}
    assert not (tmp_path / "new").exists()


def test_a_clash_is_an_error_before_anything_moves(tmp_path: Path) -> None:
    plant(tmp_path, "a", "b", "c", "there/b")
    before = files(tmp_path)
    with hold(tmp_path) as held:
        with pytest.raises(DlError, match=r"there/b would be overwritten: another file"):
            carry_out(held, moving(tmp_path, ("a", "there/a"), ("b", "there/b")))
        with pytest.raises(DlError, match="new/x and 1 more would be overwritten"):
            carry_out(held, moving(tmp_path, ("a", "new/x"), ("b", "new/x"), ("c", "there/b")))
    assert files(tmp_path) == before
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / ".dl").exists()


def test_a_copy_leaves_its_source_and_undo_removes_the_copy_alone(tmp_path: Path) -> None:
    source = plant(tmp_path / "source", "a", "x/b")
    root = tmp_path / "made"
    with hold(root) as held:
        carry_out(held, copying(root, source, "a", "x/b"))
        assert files(root) == files(source) == {"a": "a", "x/b": "x/b"}
        plant(root, "x/mine")
        undo(held)
    assert files(root) == {"x/mine": "x/mine"}
    assert files(source) == {"a": "a", "x/b": "x/b"}


def test_copies_that_find_no_room_are_refused_before_the_first(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with (source / "huge").open("wb") as file:  # takes no room itself: it is a hole
        file.truncate(shutil.disk_usage(tmp_path).free * 2)
    root = tmp_path / "made"
    with hold(root) as held, pytest.raises(DlError, match="No room for the copies") as error:
        carry_out(held, copying(root, source, "huge"))
    assert error.value.why.endswith(" left")
    assert error.value.hint.startswith("Nothing was copied.")
    assert not root.exists()


def test_files_that_somebody_removed_are_reported(tmp_path: Path) -> None:
    plant(tmp_path, "a")
    with hold(tmp_path) as held:
        outcome = carry_out(held, moving(tmp_path, ("a", "x/a"), ("gone", "x/gone")))
    assert (outcome.files, outcome.missing) == (1, ("gone",))


def test_a_file_that_appears_on_the_way_is_not_replaced_and_undo_gets_out(tmp_path: Path) -> None:
    plant(tmp_path, "a", "b")
    with hold(tmp_path) as held:
        carry_out(held, moving(tmp_path, ("a", "x/a"), ("b", "x/b")))
        journals(tmp_path)[0].renamed("pending")  # as if it were on its way
        (tmp_path / "x" / "b").rename(tmp_path / "b")
        (tmp_path / "x" / "b").write_text("somebody else's")
        with pytest.raises(DlError, match=r"stopped after 1 of 2 files: File exists") as error:
            finish(held)
        assert "`dl data undo` takes it back" in error.value.hint
        (tmp_path / "x" / "b").rename(tmp_path / "theirs")
        undo(held)
    assert files(tmp_path) == {"a": "a", "b": "b", "theirs": "somebody else's"}


def test_a_file_that_is_called_as_a_part_of_a_copy_stays_where_nothing_is_copied(
    tmp_path: Path,
) -> None:
    plant(tmp_path, "a", "b", ".dl-partial", "x/.dl-partial")
    with hold(tmp_path) as held:
        carry_out(held, moving(tmp_path, ("a", "x/a")))
        undo(held)
    assert files(tmp_path) == {path: path for path in ("a", "b", ".dl-partial", "x/.dl-partial")}


def test_a_file_that_is_called_as_a_part_of_a_copy_is_named_before_anything_is_copied(
    tmp_path: Path, other_disk: Path
) -> None:
    source = plant(tmp_path / "source", "x/a")
    for kind, root in (("copy", tmp_path / "made"), ("move", other_disk / "made")):
        plan = Operation("test", kind, root, (Move("x/a", "x/a"),), origin=source)  # type: ignore[arg-type]
        partial = plant(root, "x/.dl-partial") / "x" / ".dl-partial"
        with hold(root) as held:
            with pytest.raises(DlError, match=r"x/\.dl-partial is in the way"):
                carry_out(held, plan)
            assert partial.read_text() == "x/.dl-partial"
            partial.unlink()
            carry_out(held, plan)
            plant(root, "x/.dl-partial")
            with pytest.raises(DlError, match=r"x/\.dl-partial is in the way"):
                undo(held)
            assert files(root) == {"x/a": "x/a", "x/.dl-partial": "x/.dl-partial"}
            partial.unlink()
            undo(held)
    assert files(source) == {"x/a": "x/a"}


def test_without_any_operation_there_is_nothing_to_undo(tmp_path: Path) -> None:
    with pytest.raises(DlError, match="Nothing to undo"):
        last(tmp_path)


INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from dlcli.data.journal import Move, Operation, hold
from dlcli.data.moves import carry_out

link, left = os.link, [4]

def interrupted(*arguments, **named):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGINT)
    link(*arguments, **named)

os.link = interrupted
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parallel run's workers ignore it
root = Path(sys.argv[1])
plan = Operation("test", "move", root, tuple(Move(f"{n}", f"x/{n}") for n in range(10)))
with hold(root) as held:
    carry_out(held, plan)
"""


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    plant(tmp_path, *(str(number) for number in range(10)))
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True).stderr
    assert f"Stopped after 3 of 10 files: the next command that changes {tmp_path}" in said
    assert said.rstrip().endswith("KeyboardInterrupt")
    with hold(tmp_path) as held:
        assert finish(held) is not None
    assert len(files(tmp_path / "x")) == 10

"""What is pending in a dataset is shown, and asked about where it did not begin there."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import pytest
from support.command_result import Dl, ok, refused
from support.small_folders import make, tree

from dlcli.data.journal import journals


class Terminal(io.StringIO):
    """Somebody who types an answer."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def pets(dl: Dl, home: Path) -> Path:
    """A dataset made with --move, killed after 2 of 8 files; its source is `~/down`."""
    make(home / "down", *(f"{kind}/{number}.jpg" for kind in "ab" for number in range(4)))
    ok(dl("data", "organize", "--move", home / "down", "pets"))
    root = home / "data" / "pets"
    for move in journals(root)[0].read().moves[2:]:
        (home / "down" / move.source).parent.mkdir(parents=True, exist_ok=True)
        (root / move.target).rename(home / "down" / move.source)
    journals(root)[0].renamed("pending")
    return root


@pytest.fixture
def copy(pets: Path) -> Path:
    return Path(shutil.copytree(pets, pets.with_name("copy")))


def images(home: Path) -> dict[str, bytes]:
    return {path: content for path, content in tree(home).items() if path.endswith(".jpg")}


def test_a_copy_does_not_take_the_rest_of_the_source(dl: Dl, home: Path, copy: Path) -> None:
    before = images(home)
    why = "`organize` has not finished in ~/data/copy: it began in ~/data/pets\n"
    moves = "It would move 6 files, from ~/down to ~/data/copy:\n  a/2.jpg -> train/a/2.jpg\n"
    drop = "`dl data undo ~/data/copy --drop` forgets it: all files stay where they are."
    for command in (("data", "ls"), ("features", "-d"), ("train", "linear", "-d")):
        refused(dl(*command, "copy"), why, drop)
    for name in ("split", "sample"):
        refused(dl("data", name, "copy"), why, drop)
    refused(dl("data", "organize", "--move", home / "down", "copy"), why, moves, "  and 1 more\n")
    refused(dl("data", "undo", "copy", "--yes"), "was not taken back in ~/data/copy: it began in")
    assert images(home) == before
    assert "has not finished" in ok(dl("data", "ls")).stdout
    ok(dl("data", "undo", "--drop", "--yes", "copy"))
    assert images(home) == before
    assert journals(copy) == []
    ok(dl("data", "organize", "--move", home / "down", "pets"))
    assert len(images(home / "data" / "pets")) == 8


def test_a_journal_is_dropped_after_a_question(
    dl: Dl, home: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refused(dl("data", "undo", "--drop", "copy"), "Add `--drop --yes`.", exit_code=2)
    assert "`organize` from ~/down: 2 of 8 files are in ~/data/copy.\n" in said.stderr
    assert "Would remove" in ok(dl("data", "undo", "--drop", "--dry-run", "copy")).stderr
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    refused(dl("data", "undo", "--drop", "copy"), "Nothing was dropped.")
    assert journals(copy)
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    dropped = ok(dl("data", "undo", "--drop", "copy", "--json"))
    assert json.loads(dropped.stdout) == {"dropped": "organize"}
    assert "All files stay where they are." in dropped.stderr
    refused(dl("data", "undo", "--drop", "copy"), "No operation is to be dropped in ~/data/copy")


def test_at_a_terminal_the_moves_are_shown_and_done_after_yes(
    dl: Dl, home: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(home / "data" / "pets")
    before = images(home)
    again = ("data", "organize", "--move", home / "down", "copy")
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    refused(dl(*again), "Nothing was moved. `dl data undo ~/data/copy --drop` forgets it")
    assert images(home) == before
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    said = ok(dl(*again)).stderr
    assert "`organize` in ~/data/copy is not finished without a question: it began in ~/" in said
    assert "It would move 6 files, from ~/down to ~/data/copy:\n" in said
    assert "Finish it? [y/N]" in said
    assert len(images(copy)) == 8


def test_yes_answers_for_moves_within_the_dataset(dl: Dl, home: Path) -> None:
    root = make(home / "data" / "pets", *(f"train/{k}/{n}.jpg" for k in "ab" for n in range(5)))
    before = images(root)
    ok(dl("data", "split", "pets"))
    journals(root)[0].renamed("pending")
    moved = root.rename(root.with_name("dogs"))
    refused(dl("data", "split", "dogs"), "`dl data undo ~/data/dogs --yes` takes it back")
    ok(dl("data", "undo", "dogs", "--yes"))
    assert images(moved) == before


def test_a_hostile_journal_takes_no_file_of_the_user(dl: Dl, home: Path) -> None:
    root = make(home / "data" / "pets", "train/cat/1.jpg", "train/dog/1.jpg", "train/dog/2.jpg")
    key = make(home / ".ssh", "key") / "key"
    (root / ".dl").mkdir()
    header = {"format": 1, "name": "organize", "kind": "move", "made": [], "details": {}}
    for origin, entry in ((str(home / ".ssh"), "key"), (None, "../../.ssh/key"), (None, str(key))):
        for state in ("pending", "undoing", "done"):
            lines = [header | {"origin": origin}, [entry, "train/cat/key.jpg"]]
            journal = root / ".dl" / f"0001-organize.{state}"
            journal.write_text("\n".join(map(json.dumps, lines)) + "\n")
            for command in ("ls", "split", "undo"):
                if state != "done" or command == "undo":
                    refused(dl("data", command, "pets"), "organize")
            assert list(tree(home / ".ssh")) == ["key"]
            assert not (root / "train/cat/key.jpg").exists()
            journal.unlink()


def test_what_is_missing_is_said_by_the_command_that_finishes(
    dl: Dl, home: Path, pets: Path
) -> None:
    for path in (home / "down" / "a").iterdir():
        path.unlink()
    said = ok(dl("data", "split", "pets")).stderr
    assert (
        "Finished `organize` in ~/data/pets, which had been stopped, without 2 of 8 files." in said
    )
    assert "Warning, gone before the move: a/2.jpg, a/3.jpg.\n" in said

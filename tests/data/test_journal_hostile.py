"""Journals that `dl` did not write: damaged ones, and those that lead elsewhere."""

from __future__ import annotations

import json
import os
import shlex
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.small_folders import MADE, plant, split, tree
from support.stopped_operations import finished, header_of, interrupted, rewritten

from dlcli.cli.data import command as data
from dlcli.data import journal as journal_module
from dlcli.data import operations
from dlcli.data.journal import Held, JournalError, hold, journals, place_of
from dlcli.data.moves import finish, undo
from dlcli.data.pending import as_typed, to_move
from dlcli.data.photos.photos import open_photos
from dlcli.errors import DlError

# What `dl` does not write


DAMAGES: dict[str, Callable[[Path], object]] = {
    "not UTF-8": lambda path: path.write_bytes(b'{"format": 1, "name": "\xff\xfe"}\n'),
    "brackets": lambda path: path.write_text("[" * 100_000),
    "zeros": lambda path: os.truncate(path, 0) or os.truncate(path, 5_000_000),
    "too large": lambda path: os.truncate(path, journal_module.MOST_BYTES + 1),
    "later": lambda path: path.write_text('{"format": 3}\n'),
    "much later": lambda path: path.write_text('{"format": 1' + "0" * 5000 + "}\n"),
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "link": lambda path: (path.unlink(), path.symlink_to("../../victim")),
    "pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("state", ["pending", "undoing", "done"])
def test_a_journal_that_is_not_one_is_named_and_can_be_dropped(
    tmp_path: Path, damage: str, state: Any
) -> None:
    plant(tmp_path, {"victim": b"mine"})
    root = interrupted(split, plant(tmp_path, MADE), "dogscats")
    journal = journals(root)[0].renamed(state)
    DAMAGES[damage](journal.path)
    for act in (*([finished, open_photos] if state != "done" else []), operations.undo):
        with pytest.raises(DlError, match=r"0001-split") as error:
            act(root)
        assert error.value.hint
    dropped = operations.droppable(root)
    assert "0001-split" in operations.standing(dropped)
    operations.drop(dropped)
    assert journals(root) == []
    assert sorted(tree(tmp_path).values()) == sorted([*MADE.values(), b"mine"])


def test_a_folder_in_place_of_a_journal_stays(tmp_path: Path) -> None:
    plant(tmp_path, {"d/.dl/0001-split.pending/mine": b"mine"})
    with pytest.raises(DlError, match=r"0001-split.pending is a folder"):
        finished(tmp_path / "d")
    with pytest.raises(DlError, match=r"0001-split.pending is a folder"):
        operations.drop(operations.droppable(tmp_path / "d"))
    assert tree(tmp_path, hidden=True) == {"d/.dl/0001-split.pending/mine": b"mine"}


def test_journals_behind_a_link_are_not_read(tmp_path: Path) -> None:
    root = interrupted(split, plant(tmp_path, MADE), "dogscats")
    (root / ".dl").rename(tmp_path / "theirs")
    (root / ".dl").symlink_to("../theirs")
    for act in (finished, open_photos, operations.undo, operations.droppable):
        with pytest.raises(DlError, match=r"\.dl is a link to \.\./theirs"):
            act(root)


def test_where_nothing_was_interrupted_nothing_is_dropped(tmp_path: Path) -> None:
    split(plant(tmp_path, MADE))
    with pytest.raises(DlError, match="No operation is to be dropped"):
        operations.droppable(tmp_path / "dogscats")


def test_files_of_others_among_the_journals_stay(tmp_path: Path) -> None:
    mine = {"d/.dl/.gitignore": b"mine", "d/.dl/.git/config": b"mine", "d/.dl/.1-notes": b"mine"}
    plant(tmp_path, mine | {"d/.dl/.dl-7-0001-split.pending": b"mine"})
    with hold(tmp_path / "d"):
        pass
    assert set(tree(tmp_path, hidden=True).values()) == {b"mine"}
    assert len(tree(tmp_path, hidden=True)) == 4


# Paths that lead elsewhere, in journals that are mostly right otherwise.
WITHIN = ["train/cat/1.jpg", "train/cat/2.jpg", "a/b", "key", "new"]
OUTSIDE = [
    "../../victim/key",
    "../../victim/new",
    "VICTIM/key",
    "VICTIM/new",
    "link/key",
    "link/new",
    "leads/key",
    "leads/new",
    "train/../../../victim/key",
    "../victim/key",
    ".dl/lock",
    "ssh/config",
    ".",
    "..",
    "a//b",
    "a/",
    "link",
    "train/cat",
    "victim/key",
    "victim/new",
    "",
    "a\0b",
    "\ud800",
]
PATHS = st.sampled_from(WITHIN + OUTSIDE)


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    return st.integers(0, 7).flatmap(
        lambda n: st.sampled_from(others) if n == 0 else st.just(usual)
    )


HEADERS = st.fixed_dictionaries(
    {
        "format": mostly(2, 1),
        "kind": mostly("move", "copy", "link", "remove", None),
        "origin": st.sampled_from([None, "SOURCE", "VICTIM", "BASE", "ROOT", "ABOVE", "LINKED"])
        | mostly(None, "..", "/"),
        "right": st.booleans(),
        "made": mostly([], ["link/made"], ["../../victim/made"], ["VICTIM/made"], [""], [3]),
        "links": mostly({}, {"link": "\0"}, {"key": "VICTIM/key"}, {"../key": "x"}),
        "details": mostly({}, {"notes": 1}, {"source": "VICTIM", "stamp": ""}, []),
    }
)
HONEST = {
    "format": 2,
    "kind": "move",
    "origin": None,
    "right": True,
    "made": [],
    "links": {},
    "details": {},
}


def things(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """All that a folder holds, with kind, inode and content; times of folders don't count."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (status.st_mode, status.st_ino, content)
    return found


def contents_of(folder: Path) -> Counter[bytes]:
    """The contents of the files in a folder but those of `.dl`, each with its number."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return Counter(path.read_bytes() for path in files if path.parent.name != ".dl")


@settings(max_examples=30)
@given(
    HEADERS,
    st.lists(st.tuples(PATHS, PATHS), min_size=1, max_size=3),
    st.sampled_from(["pending", "undoing", "done"]),
)
@example(HONEST | {"origin": "VICTIM", "right": False}, [("key", "new")], "pending")
@example(HONEST | {"origin": "VICTIM", "format": 1}, [("key", "new")], "pending")
@example(HONEST | {"origin": "VICTIM", "right": False}, [("new", "train/cat/1.jpg")], "done")
@example(HONEST, [("../../victim/key", "new")], "pending")
@example(HONEST, [("train/cat/1.jpg", "../../victim/new")], "pending")
@example(HONEST, [("VICTIM/new", "train/cat/1.jpg")], "undoing")
@example(HONEST, [("link/key", "new")], "pending")
@example(HONEST, [("link/new", "train/cat/1.jpg")], "done")
@example(HONEST | {"made": ["link/made"]}, [("train/cat/1.jpg", "new")], "pending")
@example(HONEST | {"origin": "SOURCE", "kind": "copy"}, [("key", "link/new")], "pending")
@example(HONEST, [("train/cat/1.jpg", "train/cat/1.jpg")], "pending")
@example(HONEST | {"format": 1}, [("train/cat/1.jpg", "train/cat/1.jpg")], "undoing")
@example(HONEST | {"origin": "ROOT"}, [("train/cat/1.jpg", "train/cat/1.jpg")], "pending")
@example(HONEST | {"origin": "LINKED"}, [("train/cat/1.jpg", "train/cat/1.jpg")], "pending")
@example(HONEST | {"origin": "ABOVE"}, [("d/train/cat/1.jpg", "train/cat/1.jpg")], "undoing")
@example(
    HONEST | {"kind": "copy", "origin": "ROOT"}, [("train/cat/1.jpg", "train/cat/1.jpg")], "done"
)
@example(
    HONEST | {"kind": "copy", "origin": "LINKED"}, [("train/cat/2.jpg", "train/cat/1.jpg")], "done"
)
@example(
    HONEST | {"kind": "copy", "origin": "ROOT"}, [("train/cat/2.jpg", "train/cat/1.jpg")], "undoing"
)
@example(
    HONEST | {"kind": "copy", "origin": "ABOVE"}, [("d/train/cat/2.jpg", "train/cat/1.jpg")], "done"
)
def test_no_journal_reaches_out_of_its_folders(
    header: dict[str, Any], moves: list[tuple[str, str]], state: str
) -> None:
    with TemporaryDirectory() as folder:
        base = Path(folder).resolve()
        victim, root, source = base / "victim", base / "data" / "d", base / "source"
        plant(base, {"victim/key": b"secret", "victim/ssh/config": b"config"})
        plant(base, {"data/d/train/cat/1.jpg": b"cat", "source/a": b"a", "source/key": b"k"})
        plant(base, {"data/d/train/cat/2.jpg": b"tom"})  # of the size and time of the other
        (base / "linked").symlink_to(root)
        (root / "link").symlink_to(victim)
        (source / "leads").symlink_to(victim)
        (root / ".dl").mkdir()
        names = {"SOURCE": str(source), "VICTIM": str(victim), "BASE": str(base)}
        names |= {"ROOT": str(root), "LINKED": f"{base}/linked", "ABOVE": str(root.parent)}
        values = dict(header)
        origin = names.get(str(values["origin"]), values["origin"])
        right = values.pop("right") and origin not in (str(victim), str(base), "..", "/")
        began = [place_of(root), place_of(Path(origin or root))] if right else [("/d", 1, 2)] * 2
        values |= {"origin": origin, "name": "x", "began": {"root": began[0], "source": began[1]}}
        lines = [values, *moves]
        text = "\n".join(map(json.dumps, lines)).replace("VICTIM", str(victim))
        (root / ".dl" / f"0001-x.{state}").write_text(f"{text}\n")
        before = things(victim), things(source) if origin != str(source) else {}
        contents = contents_of(base)
        siblings = sorted(base.iterdir()), sorted(root.parent.iterdir())
        for act in (finish, undo):
            with suppress(DlError):
                act(Held(root, is_ours=False))
        assert (things(victim), things(source) if origin != str(source) else {}) == before
        assert (sorted(base.iterdir()), sorted(root.parent.iterdir())) == siblings
        assert contents <= contents_of(base), "copies may be new; nothing is lost"


PLAIN = st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | st.text(max_size=3) | PATHS
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
FIELDS = ("format", "name", "kind", "origin", "began", "made", "details", "links")
DETAILS = (
    "source",
    "stamp",
    "flatten",
    "naming",
    "notes",
    "fingerprints",
    "train",
    "valid",
    "seed",
)


@settings(max_examples=60)
@given(
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=2),
    st.dictionaries(st.sampled_from(DETAILS), VALUES, max_size=2),
    st.lists(st.lists(PATHS, min_size=2, max_size=2) | VALUES, max_size=2),
)
def test_whatever_a_journal_says_it_is_read_or_refused(
    fields: dict[str, Any], details: dict[str, Any], lines: list[Any]
) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder, "d")
        (root / ".dl").mkdir(parents=True)
        place = place_of(root)
        header = HONEST | {"name": "split", "began": {"root": place, "source": place}}
        header |= {"details": details} | fields
        text = "\n".join(map(json.dumps, [header, *lines])) + "\n"
        (root / ".dl" / "0001-split.pending").write_text(text)
        (journal,) = journals(root)
        assert operations.standing(journal)
        with suppress(DlError):
            operation = journal.read()
            _, _, name, *words = shlex.split(as_typed(operation))
            assert data.commands[name].make_context(name, words)
            assert list(to_move(operation, back=False)) and list(to_move(operation, back=True))
        with pytest.raises(DlError):
            open_photos(root)


@pytest.mark.parametrize("line", [0, 1])
def test_a_line_that_is_too_long_is_not_read(tmp_path: Path, line: int) -> None:
    root = interrupted(split, plant(tmp_path, MADE), "dogscats")
    path = journals(root)[-1].path
    lines = path.read_text().splitlines()
    lines[line] = f"{lines[line][:-1]}{' ' * journal_module.MOST_HEADER_BYTES}{lines[line][-1]}"
    path.write_text("\n".join([*lines, ""]))
    with pytest.raises(JournalError) as error:
        journals(root)[-1].read()
    assert error.value.why == f"line {line + 1} is not what `dl` writes"


HEADERS_THAT_DL_DOES_NOT_WRITE: list[dict[str, Any]] = [
    {"format": "2"},
    {"kind": "remove"},
    {"began": {"root": []}},
    {"made": [3]},
    {"links": {"a": ""}},
    {"details": {"seed": "0"}},
]


@pytest.mark.parametrize("changes", HEADERS_THAT_DL_DOES_NOT_WRITE)
def test_a_fault_in_the_header_is_in_line_1(tmp_path: Path, changes: dict[str, Any]) -> None:
    root = interrupted(split, plant(tmp_path, MADE), "dogscats")
    rewritten(root, **changes)
    for read in (journals(root)[-1].read, journals(root)[-1].read_header):
        with pytest.raises(JournalError) as error:
            read()
        assert error.value.why == "line 1 is not what `dl` writes"


@pytest.mark.parametrize(
    "line", ['["a"]', '["a", "b", "\\u0000"]', '["a", 3]', "{}", '["\xe9", "b"]']
)
def test_a_fault_in_a_move_is_in_its_line(tmp_path: Path, line: str) -> None:
    root = interrupted(split, plant(tmp_path, MADE), "dogscats")
    path = journals(root)[-1].path
    header, first, _ = path.read_text().splitlines()
    path.write_text("\n".join([header, first, line, ""]))
    with pytest.raises(JournalError) as error:
        journals(root)[-1].read()
    assert error.value.why == "line 3 is not what `dl` writes"


def test_an_undo_removes_no_folder_that_its_moves_did_not_need(tmp_path: Path) -> None:
    split(plant(tmp_path, MADE))
    root = tmp_path / "dogscats"
    for mine in ("mine/empty", "valid2"):
        (root / mine).mkdir(parents=True)
    made = header_of(root)["made"]
    rewritten(root, made=[*made, "mine", "mine/empty", "valid2", "train/bird"])
    assert list(journals(root)[-1].read().made) == made
    operations.undo(root)
    assert tree(tmp_path) == MADE
    assert (root / "mine" / "empty").is_dir() and (root / "valid2").is_dir()
    assert not (root / "valid").exists()


def test_the_text_of_a_link_is_in_the_line_of_its_move(tmp_path: Path) -> None:
    plant(tmp_path, MADE)
    for number in range(3):
        link = tmp_path / "dogscats" / "train" / "cat" / f"{number}.jpg"
        link.rename(tmp_path / link.name)
        link.symlink_to(f"../../../{link.name}")
    before = tree(tmp_path)
    split(tmp_path)
    root = tmp_path / "dogscats"
    lines = journals(root)[-1].path.read_text().splitlines()[1:]
    assert [len(json.loads(line)) for line in lines] == [3, 2]
    assert "links" not in header_of(root)
    operations.undo(root)
    assert tree(tmp_path) == before
    assert (root / "train" / "cat" / "0.jpg").readlink() == Path("../../../0.jpg")


def test_a_journal_puts_nothing_else_into_the_command_that_is_shown(tmp_path: Path) -> None:
    root = interrupted(split, plant(tmp_path, MADE), "dogscats")
    rewritten(root, details={"naming": {"x; touch mine;": "labels.csv"}})
    with pytest.raises(JournalError):
        journals(root)[-1].read()


def test_paths_that_lead_out_are_said(tmp_path: Path) -> None:
    (tmp_path / ".dl").mkdir()
    header = {"format": 1, "name": "x", "kind": "move", "origin": None, "made": [], "details": {}}
    for path in ("../key", "/etc/passwd", "a/../../b", ".dl/lock", "a//b", "a/", ".", ""):
        text = json.dumps(header) + "\n" + json.dumps(["a", path]) + "\n"
        (tmp_path / ".dl" / "0001-x.pending").write_text(text)
        with pytest.raises(JournalError, match="leads out of the folders"):
            journals(tmp_path)[0].read()

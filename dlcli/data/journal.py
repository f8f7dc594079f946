"""Journals: the moves that a command is about to make in a folder, on disk before the first one.

Only one process at a time works on a folder. Journals are in `<root>/.dl/`, one file per operation.
Their content changes only where an operation goes on, or is taken back, in other folders than those
in which it began. The file's name holds the state, so that every step is one atomic rename:

    0001-organize.done      finished; `dl data undo` can take it back, the last one first
    0002-split.pending      running, or killed on the way; to be finished
    0002-split.undoing      being taken back, or killed on the way; to be taken back

A journal is JSON lines: a header, then one [source, target] per file, relative to the header's
source folder and to the root, so that an organized folder may be renamed or moved. The line of a
symbolic link that moves ends with its text. The header also says where the two folders were, and on
which disk: `data/pending` compares it with where they are now. This is format 2. 0.1.0 wrote format
1, without the places and with the links' texts in the header.

A dataset may be somebody else's, and its journals too. Reading one refuses every path that leads
out of the two folders, and every value that `dl` never writes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from dlcli import words
from dlcli.errors import DlError
from dlcli.files.atomic import atomic_write, remove_leftovers, sync_folder
from dlcli.files.locks import held
from dlcli.files.own import open_own, read_own, require_own
from dlcli.files.paths import quoted, shown

FOLDER = ".dl"
FORMAT = 2
# A million files take 100 MB.
MOST_BYTES = 2**28
MOST_MOVES = 2_000_000
# A journal with the last number would hide all later ones.
MOST_NUMBER = 999_999
# Lists of small things take thirty times as much memory as their text.
MOST_HEADER_BYTES = 2**22
# Two paths and a link's text, each byte of them as an escape such as \udcff, and what is between.
_MOST_LINE_BYTES = 3 * 6 * 4096 + 100

# What a path may not have: an empty part, "." or "..", what `dl` keeps for itself, or a NUL.
_LEADS_OUT = re.compile(r"(?:^|/)(?:\.\.?|\.dl)?(?:/|\Z)|\0")
# The temporary file of a journal whose writer was killed, up to 0.1.0, and how it begins.
_LEFT = re.compile(r"\.(?:dl-)?[0-9]+-(?:[0-9a-f]{8}-[0-9a-f]{8}-)?[0-9]{4,9}-\w+\.pending")
_BEGINS = b'{"format": '
NAME = re.compile(r"([0-9]{4,})-(\w+)\.(pending|done|undoing)")
_MOST_PATH_BYTES = 4096  # Linux' own limit

State = Literal["pending", "done", "undoing"]


class JournalError(DlError):
    """A journal that can't be read, or that `dl` did not write."""


class Move(NamedTuple):
    """Where a file is and where it goes, as relative paths with forward slashes."""

    source: str
    target: str


class Place(NamedTuple):
    """Which folder it is: its path without links, and the numbers of its disk and on its disk."""

    path: str
    device: int
    inode: int


class Began(NamedTuple):
    """Where an operation began: its root, and the folder of its sources, None if that was gone."""

    root: Place
    source: Place | None


def place_of(folder: Path) -> Place | None:
    """Which folder it is now; None where there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return Place(os.path.realpath(folder), status.st_dev, status.st_ino)


@dataclass(frozen=True)
class Operation:
    """A plan to move or copy files.

    Args:
        name: its command: "organize", "split", "sample".
        kind: "move"; or, where the sources stay, "copy" or "link", for links to them.
        root: the folder that the targets are relative to; its `.dl/` holds the journal.
        moves: the files.
        origin: the folder that the sources are relative to; None for the root itself.
        made: new folders, relative to the root, outermost first; "" is the root.
        details: what the plan was made from, such as the seed, as plain values.
        links: the text of each symbolic link that moves, by its source: a relative one changes.
        began: where it began, as its journal says; None for 0.1.0's, and before it is written.
    """

    name: str
    kind: Literal["move", "copy", "link"]
    root: Path
    moves: tuple[Move, ...]
    origin: Path | None = None
    made: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    began: Began | None = field(default=None, compare=False)

    @property
    def source(self) -> Path:
        """The folder that the sources are relative to."""
        return self.origin or self.root


def folders_of(paths: Iterable[str]) -> list[str]:
    """The folders of some files, and their parents, outermost first."""
    found = {path.rpartition("/")[0] for path in paths}
    for folder in tuple(found):
        while folder := folder.rpartition("/")[0]:
            found.add(folder)
    return sorted(found - {""})


def made_of(operation: Operation) -> Path:
    """The download that an operation's files come from: a folder or an archive."""
    return Path(operation.details.get("source", operation.source))


@dataclass(frozen=True)
class Journal:
    """An operation's journal file, as described by its name."""

    path: Path
    number: int
    name: str
    state: State

    @property
    def root(self) -> Path:
        """The folder whose files move."""
        return self.path.parent.parent

    def read(self) -> Operation:
        """The operation that it holds.

        Raises:
            JournalError: the file is damaged, too large, from a later version, or has a path that
                leads out of its folders.
            NotOwnError: it is a link, or not a file.
        """
        return self._read(whole=True)

    def read_header(self) -> Operation:
        """The operation without its moves: they may take half a minute to read.

        Raises:
            JournalError, NotOwnError: as `read`, but for what is damaged in the moves.
        """
        return self._read(whole=False)

    def _read(self, *, whole: bool) -> Operation:
        number = 1
        try:
            if self.number > MOST_NUMBER:
                raise JournalError(f"`dl` numbers at most {MOST_NUMBER:,} journals")
            with os.fdopen(open_own(self.path, self.root), "rb") as lines:
                size = os.fstat(lines.fileno()).st_size
                if size > MOST_BYTES:
                    raise JournalError(
                        f"it has {words.size(size)}, and `dl` writes at most "
                        f"{words.size(MOST_BYTES)}"
                    )
                operation = _operation(_values(lines.readline(MOST_HEADER_BYTES)), self)
                if not whole:
                    return operation
                moves: list[Move] = []
                links = dict(operation.links)
                for line in iter(partial(lines.readline, _MOST_LINE_BYTES), b""):
                    number += 1
                    if len(moves) == MOST_MOVES:
                        raise JournalError(f"it lists more than {MOST_MOVES:,} files")
                    source, target, *link = _values(line)
                    moves.append(_move(source, target))
                    if link:
                        links[source] = _link(*link)
            return _consistent(replace(operation, moves=tuple(moves), links=links))
        except JournalError as error:
            why = error.what
        # the last of them: brackets in brackets, a thousand deep
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            why = f"line {number} is not what `dl` writes"
        raise JournalError(
            f"Can't read the journal {shown(self.path)}",
            why=why,
            hint="It only lists files. Without it, your images stay where they are: "
            f"`dl data undo {quoted(self.root)} --drop` removes it.",
        )

    def renamed(self, state: State) -> Journal:
        """Change the state, durably."""
        path = self.path.with_name(f"{self.number:04}-{self.name}.{state}")
        self.path.replace(path)
        sync_folder(path.parent)
        return Journal(path, self.number, self.name, state)


def journals(root: Path) -> list[Journal]:
    """The journals of a folder, oldest first.

    Raises:
        NotOwnError: their folder is a link.
    """
    folder = root / FOLDER
    if not folder.is_dir() and not folder.is_symlink():
        return []  # none yet, or a file of that name, which only a command that locks refuses
    require_own(folder, root, folder=True)
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except FileNotFoundError:  # gone by now
        return []
    found = []
    for name in names:
        if match := NAME.fullmatch(name):
            number, what, state = match.groups()
            found.append(Journal(folder / name, int(number), what, state))  # type: ignore[arg-type]
    return sorted(found, key=lambda journal: (journal.number, journal.path.name))


def unfinished(root: Path) -> Journal | None:
    """The operation that is running in a folder, or was killed there before its end."""
    return next((journal for journal in journals(root) if journal.state != "done"), None)


def write_journal(operation: Operation, becomes: Path | None = None) -> Journal:
    """Write an operation's journal to disk, whole and durably, before its first move.

    Args:
        operation: the plan.
        becomes: the path that its root will be renamed to; None if it keeps its own.

    Raises:
        JournalError: it lists more files than `Journal.read` takes, or the last number is taken.
    """
    before = journals(operation.root)
    number = before[-1].number + 1 if before else 1
    if number > MOST_NUMBER:
        last = before[-1].path
        raise JournalError(
            f"Can't write a journal after {shown(last)}",
            why=f"`dl` numbers at most {MOST_NUMBER:,} journals in a folder",
            hint=f"If `dl` did not write it, remove it: `rm {quoted(last)}`. Nothing was moved.",
        )
    path = operation.root / FOLDER / f"{number:04}-{operation.name}.pending"
    _write(path, operation, becomes or operation.root)
    return Journal(path, number, operation.name, "pending")


def rewrite(journal: Journal, operation: Operation) -> None:
    """Write a journal anew, as one that began in the folders as they are now, unless it did."""
    if operation.began == _began_now(operation, operation.root):
        return
    _write(journal.path, operation, operation.root)


def _write(path: Path, operation: Operation, root: Path) -> None:
    began = _began_now(operation, root)
    header = {
        "format": FORMAT,
        "name": operation.name,
        "kind": operation.kind,
        "origin": str(operation.origin) if operation.origin else None,
        "began": began._asdict(),
        "made": operation.made,
        "details": dict(operation.details),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    # ASCII: odd bytes and newlines in names become escapes, so that a line is a line
    first, links = json.dumps(header), operation.links
    moves = ([*m, links[m.source]] if m.source in links else m for m in operation.moves)
    text = "\n".join([first, *map(json.dumps, moves), ""])
    if (
        len(text) > MOST_BYTES
        or len(first) >= MOST_HEADER_BYTES
        or len(operation.moves) > MOST_MOVES
    ):
        raise JournalError(
            f"`{operation.name}` of {words.count(len(operation.moves), 'file')} is too large",
            why=f"`dl` moves or copies at most {MOST_MOVES:,} files at once, and makes at most "
            f"{words.size(MOST_HEADER_BYTES)} of names of folders",
            hint="Nothing was moved. Do it in parts, each in a folder of its own.",
        )
    require_own(path.parent, operation.root, folder=True)
    atomic_write(path, text)


def _began_now(operation: Operation, root: Path) -> Began:
    here = place_of(operation.root)
    assert here is not None, "its lock is in it"
    return Began(here._replace(path=os.path.realpath(root)), place_of(operation.source))


def _values(line: bytes) -> Any:
    return json.loads(line.decode("ascii"), parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _inside(path: Any) -> str:
    """A path that stays in its folder.

    Raises:
        JournalError: it leads out.
        TypeError, ValueError: it is not the name of a file at all.
    """
    if len(os.fsencode(path)) > _MOST_PATH_BYTES:
        raise ValueError
    if _LEADS_OUT.search(path):
        raise JournalError(
            f"its path {words.short(shown(path)) or '``'} leads out of the folders of its files"
        )
    return str(path)


def _folder_inside(path: Any) -> str:
    return path and _inside(path)


def _move(source: Any, target: Any) -> Move:
    return Move(_inside(source), _inside(target))


def _link(text: Any) -> str:
    if not 0 < len(os.fsencode(text)) <= _MOST_PATH_BYTES or "\0" in text:
        raise ValueError
    return str(text)


def _began(header: Any) -> Began | None:
    """Where an operation began; None in a journal of 0.1.0."""
    if type(header["format"]) is not int:
        raise TypeError
    if header["format"] not in range(1, FORMAT + 1):
        raise JournalError(
            f"it is of format {header['format']}, and this version of `dl` reads up to {FORMAT}"
        )
    if header["format"] == 1:
        return None
    root, source = header["began"]["root"], header["began"]["source"]
    return Began(_place(root), _place(source) if source is not None else None)


def _place(values: Any) -> Place:
    place = Place(*values)
    if tuple(map(type, place)) != (str, int, int):
        raise TypeError
    return place


# The details that an operation reads back, and what each is.
_PLAIN: Mapping[str, type | tuple[type, ...]] = {
    "source": str,
    "stamp": str,
    "flatten": bool,
    "naming": dict,
    "notes": list,
    "fingerprints": list,
    "settings_sha256": str,
    "train": int,
    "valid": (int, float, type(None)),
    "seed": int,
}
# Those that some operations can't do without.
_NAMING = {"file", "id_column", "label_column"}
_NEEDED = {"source": {"stamp"}, "fingerprints": {"train", "valid", "seed"}}


def _operation(header: Any, journal: Journal) -> Operation:
    """What a header says, as `dl` writes it.

    Raises:
        JournalError, KeyError, TypeError, ValueError, AttributeError: it is not.
    """
    began = _began(header)
    name, kind, details = header["name"], header["kind"], header["details"]
    origin = Path(header["origin"]) if header["origin"] else None
    texts = [*details.get("notes", ()), *details.get("fingerprints", ())]
    texts += details.get("naming", {}).values()
    for path in map(Path, filter(None, [origin, details.get("source")])):
        if not path.is_absolute() or "\0" in str(path):
            raise JournalError(f"its folder {words.short(shown(path))} is not an absolute path")
        os.fsencode(path)
    if kind in ("copy", "link") and origin is None:
        raise JournalError("it makes copies of files of the dataset itself")
    if not (
        name == journal.name
        and kind in ("move", "copy", "link")
        and all(isinstance(details[key], _PLAIN[key]) for key in details.keys() & _PLAIN)
        and all(need <= details.keys() for key, need in _NEEDED.items() if key in details)
        and ("fingerprints" in details or name != "sample")
        and details.get("naming", {}).keys() <= _NAMING
        and all(isinstance(text, str) for text in texts)
    ):
        raise ValueError
    return Operation(
        name=name,
        kind=kind,
        root=journal.root,
        moves=(),
        origin=origin,
        made=tuple(map(_folder_inside, header["made"])),
        details=details,
        links={_inside(path): _link(text) for path, text in header.get("links", {}).items()},
        began=began,
    )


def _consistent(operation: Operation) -> Operation:
    """An operation whose moves fit each other, and which made no other folders than they need.

    Raises:
        JournalError: they do not.
    """
    moves = operation.moves
    if operation.kind == "move":
        start, goal = (os.path.realpath(each) for each in (operation.source, operation.root))
        for move in moves:
            if os.path.join(start, move.source) == os.path.join(goal, move.target):
                raise JournalError(f"it moves {words.short(shown(move.target))} onto itself")
    if len({move.target for move in moves}) < len(moves):
        raise JournalError("it gives two files one name")
    if len({move.source for move in moves}) < len(moves):
        raise JournalError("it names one file twice")
    # any other would be an empty folder of the user, which an undo removes
    own = {"", *folders_of(move.target for move in moves)}
    return replace(operation, made=tuple(folder for folder in operation.made if folder in own))


@dataclass
class Held:
    """A folder that is locked for this process; only `hold` makes one.

    Args:
        root: the folder.
        is_ours: `dl` made the folder itself, so it is removed once nothing is left in it.
    """

    root: Path
    is_ours: bool


@contextmanager
def hold(root: Path) -> Iterator[Held]:
    """Lock a folder until the block ends; make it where it is missing.

    The kernel drops the lock of a process that dies. Where no journal is left, `.dl/` goes too.

    Raises:
        DlError: another process works on the folder.
        OSError: no permission.
    """
    try:
        # made a moment before its maker was killed
        is_ours = [path.name for path in root.iterdir()] == [FOLDER]
    except FileNotFoundError:  # or removed now by another process, which made it
        is_ours = True
    folder = Held(root, is_ours)
    missing = [parent for parent in root.parents if not parent.exists()]
    file = root / FOLDER / "lock"
    try:
        with held(file, f"{shown(root)} is being worked on", root=root, make_folder=True):
            _sweep(root)
            yield folder
    finally:
        # a folder that holds something, such as another's lock, is not removed
        with suppress(OSError):
            file.parent.rmdir()
            for empty in (root, *missing) if folder.is_ours else ():
                empty.rmdir()


def _sweep(root: Path) -> None:
    """Remove the temporary file of a journal whose writer was killed; others' files stay."""
    remove_leftovers(root / FOLDER)
    for left in (root / FOLDER).glob(".*"):
        if is_left(left, root):
            left.unlink()


def is_left(file: Path, root: Path) -> bool:
    """Whether a file below a folder is a journal of 0.1.0 whose writer was killed."""
    if _LEFT.fullmatch(file.name):
        with suppress(DlError):  # a link, or a folder
            # it may have been killed before the first byte
            return _BEGINS.startswith(read_own(file, root, len(_BEGINS)))
    return False

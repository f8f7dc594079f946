"""Journals: the moves that a command is about to make in a folder, on disk before the first one.

Only one process at a time works on a folder. Journals are in `<root>/.dl/`, one file per operation.
Their content never changes; the file's name holds the state, so that every step is one atomic
rename:

    0001-organize.done      finished; `dl data undo` can take it back, the last one first
    0002-split.pending      running, or killed on the way; to be finished
    0002-split.undoing      being taken back, or killed on the way; to be taken back

A journal is JSON lines: a header, then one [source, target] per file, relative to the header's
source folder and to the root, so that an organized folder may be renamed or moved.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from dlcli.errors import DlError
from dlcli.files.atomic import atomic_write, sync_folder
from dlcli.files.formats import read_text
from dlcli.files.locks import held
from dlcli.files.paths import shown

FOLDER = ".dl"
FORMAT = 1

State = Literal["pending", "done", "undoing"]


class Move(NamedTuple):
    """Where a file is and where it goes, as relative paths with forward slashes."""

    source: str
    target: str


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
    """

    name: str
    kind: Literal["move", "copy", "link"]
    root: Path
    moves: tuple[Move, ...]
    origin: Path | None = None
    made: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        """The folder that the sources are relative to."""
        return self.origin or self.root


@dataclass(frozen=True)
class Journal:
    """An operation's journal file, as described by its name."""

    path: Path
    number: int
    name: str
    state: State

    def read(self) -> Operation:
        """The operation that it holds.

        Raises:
            DlError: the file is damaged, or from a later version.
        """
        try:
            header, *lines = map(json.loads, read_text(self.path).splitlines())
            if header["format"] != FORMAT:
                raise ValueError(f"format {header['format']}, expected {FORMAT}")
            return Operation(
                name=header["name"],
                kind=header["kind"],
                root=self.path.parent.parent,
                moves=tuple(Move(*line) for line in lines),
                origin=Path(header["origin"]) if header["origin"] else None,
                made=tuple(header["made"]),
                details=header["details"],
                links=header.get("links", {}),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DlError(
                f"Can't read the journal {shown(self.path)}",
                why=str(error),
                hint="The journal only lists files. Read it, then remove it: your images stay.",
            ) from error

    def renamed(self, state: State) -> Journal:
        """Change the state, durably."""
        path = self.path.with_name(f"{self.number:04}-{self.name}.{state}")
        self.path.replace(path)
        sync_folder(path.parent)
        return Journal(path, self.number, self.name, state)


def journals(root: Path) -> list[Journal]:
    """The journals of a folder, oldest first."""
    try:
        with os.scandir(root / FOLDER) as entries:
            names = [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    for name in names:
        if match := re.fullmatch(r"(\d{4,})-(\w+)\.(pending|done|undoing)", name):
            number, what, state = match.groups()
            found.append(Journal(root / FOLDER / name, int(number), what, state))  # type: ignore[arg-type]
    return sorted(found, key=lambda journal: journal.number)


def unfinished(root: Path) -> Journal | None:
    """The operation that is running in a folder, or was killed there before its end."""
    return next((journal for journal in journals(root) if journal.state != "done"), None)


def write_journal(operation: Operation) -> Journal:
    """Write an operation's journal to disk, whole and durably, before its first move."""
    header = {
        "format": FORMAT,
        "name": operation.name,
        "kind": operation.kind,
        "origin": str(operation.origin) if operation.origin else None,
        "made": operation.made,
        "details": dict(operation.details),
        "links": dict(operation.links),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    # ASCII: odd bytes and newlines in names become escapes, so that a line is a line
    lines = [json.dumps(header), *map(json.dumps, operation.moves), ""]
    number = max((journal.number for journal in journals(operation.root)), default=0) + 1
    path = operation.root / FOLDER / f"{number:04}-{operation.name}.pending"
    atomic_write(path, "\n".join(lines))
    return Journal(path, number, operation.name, "pending")


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
            for temporary in file.parent.glob(".*"):  # of a journal whose writer was killed
                temporary.unlink()
            yield folder
    finally:
        # a folder that holds something, such as another's lock, is not removed
        with suppress(OSError):
            file.parent.rmdir()
            for empty in (root, *missing) if folder.is_ours else ():
                empty.rmdir()

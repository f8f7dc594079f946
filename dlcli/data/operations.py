"""Operations on a folder: finish one that was killed, undo or forget the last one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dlcli.data.dataset import SAMPLE
from dlcli.data.journal import (
    Held,
    Journal,
    JournalError,
    Operation,
    hold,
    journals,
    rewrite,
    unfinished,
)
from dlcli.data.moves import Outcome, finish, last, sweep_copies
from dlcli.data.moves import undo as take_back
from dlcli.data.pending import DoubtfulError, Named
from dlcli.data.photos.organize.staging import await_back, clear_after
from dlcli.errors import DlError
from dlcli.files.own import NotOwnError
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.words import count


def touched_last(root: Path) -> Path:
    """Of a dataset and its sample, the folder that `dl data` worked on last."""
    beside = root.with_name(root.name + SAMPLE)
    theirs, ours = journals(beside), journals(root)
    if not theirs or theirs[-1].name != "sample" or theirs[-1].read_header().origin != root:
        return root
    later = not ours or theirs[-1].path.lstat().st_mtime_ns > ours[-1].path.lstat().st_mtime_ns
    return beside if later else root


def undo(root: Path) -> Outcome:
    """Take back the last operation on a folder, finished or not.

    Raises:
        DlError: there is none, or new files are where old ones would go.
    """
    last(root)
    with hold(root) as held:
        return take_back(held, await_back)


def agree(doubtful: DoubtfulError, operation: Operation) -> None:
    """Write a journal anew, as one that began here: the user was shown its moves, and agreed.

    Args:
        doubtful: what was asked about.
        operation: what was shown.

    Raises:
        DlError: another process works on the folder.
    """
    with hold(operation.root):
        if not doubtful.journal.path.exists():
            return  # another process has finished it meanwhile
        if doubtful.back and operation.kind == "move":
            await_back(operation)
            operation.source.mkdir(parents=True, exist_ok=True)
        rewrite(doubtful.journal, operation)


def droppable(root: Path) -> Journal:
    """The journal that `drop` would remove: of an interrupted operation, else one that is damaged.

    Raises:
        DlError: there is none.
    """
    if journal := unfinished(root):
        return journal
    for journal in journals(root):
        try:
            journal.read()
        except (JournalError, NotOwnError):
            return journal
    raise DlError(
        f"No operation is to be dropped in {shown(root)}",
        why="none was interrupted there, and no journal is damaged",
    )


def standing(journal: Journal) -> str:
    """How far an operation came, in a sentence; or why its journal can't tell."""
    try:
        operation = journal.read()
    except (JournalError, NotOwnError) as error:
        return f"{error.what}: {error.why}."
    there = sum(os.path.lexists(f"{operation.root}/{move.target}") for move in operation.moves)
    of = f"{there:,} of {count(len(operation.moves), 'file')}"
    return (
        f"`{operation.name}` from {shown(operation.source)}: {of} are in {shown(operation.root)}."
    )


def drop(journal: Journal) -> None:
    """Remove a journal and the part of a file that a killed copy left; all files stay.

    Raises:
        DlError: it is a folder; another process works on the dataset.
    """
    with hold(journal.root):
        if journal.path.is_dir() and not journal.path.is_symlink():
            raise DlError(
                f"{shown(journal.path)} is a folder",
                why="a journal of `dl` is a file",
                hint="Remove it or move it away.",
            )
        if journal.state != "done":
            with suppress(JournalError, NotOwnError, FileNotFoundError):
                sweep_copies(journal.read())
        journal.path.unlink(missing_ok=True)  # another process may have finished it


@contextmanager
def working_in(
    root: Path, name: str, named: Named | None = None
) -> Iterator[tuple[Held, Outcome | None]]:
    """Lock a folder, and finish an operation that was killed there.

    Args:
        root: the folder.
        name: the command.
        named: what the user asks for in it, if that may be the operation that was killed.

    Yields:
        the folder, and the outcome of an earlier call of this same command that was killed.

    Raises:
        DoubtfulError: what was killed there needs a question first.
        DlError: another process works on the folder, or what stopped the operation still does.
    """
    with hold(root) as held:
        outcome = finish(held, named, await_back)
        same = outcome and not outcome.undone and outcome.operation.name == name
        if outcome:
            what = (
                f"undoing `{outcome.operation.name}`"
                if outcome.undone
                else f"`{outcome.operation.name}`"
            )
            gone, moves = len(outcome.missing), len(outcome.operation.moves)
            without = f", without {gone:,} of {count(moves, 'file')}" if gone else ""
            say(f"Finished {what} in {shown(root)}, which had been stopped{without}.")
            for warning in () if same else outcome.warnings:
                say(warning)
            if not outcome.undone:
                clear_after(outcome.operation)
        yield held, outcome if same else None

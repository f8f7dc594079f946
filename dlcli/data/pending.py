"""Whether an operation that was interrupted is finished, or taken back, without a question.

A dataset may be a copy, a download or somebody else's, with a journal in it. Its moves may then be
of files that nobody meant. So a journal is carried out without a question only in the folders that
it was written for: the same path, on the same disk, with the same number there. 0.1.0 did not note
these. Of its journals, those are carried out that move files within the dataset alone, that began
in `dl`'s own folder beside the dataset, or whose source the user names again.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.data.journal import Journal, Operation, made_of, place_of, unfinished
from dlcli.errors import DlError
from dlcli.files.atomic import existing
from dlcli.files.own import marked
from dlcli.files.paths import quoted, shown
from dlcli.words import count

# Moves of a journal that are shown.
_MOST_SHOWN = 5
# The commands that have a journal, and of each the options with numbers.
_COMMANDS = {"organize": (), "split": ("valid", "seed"), "sample": ("train", "valid", "seed")}
# What the mark of a folder names that `data/photos/organize/staging` made beside a dataset.
_UNPACKED_BY = ("organize", "undo")


@dataclass(frozen=True)
class Named:
    """What the user asks for in this command, which an interrupted operation may have been.

    Args:
        source: the folder to organise.
        kind: "move", "copy" or "link".
    """

    source: Path
    kind: str


class DoubtfulError(DlError):
    """An operation that is not carried out before the user was shown it and agreed.

    Args:
        journal: its journal.
        operation: what that holds, maybe without the moves.
        why: what makes it doubtful.
        back: whether it would be taken back.
    """

    def __init__(self, journal: Journal, operation: Operation, why: str, *, back: bool) -> None:
        root = quoted(operation.root)
        hint = "Nothing was moved. "
        if is_within(operation):
            hint += f"`dl data undo {root} --yes` takes it back. "
        else:
            hint += f"In a terminal, `dl data undo {root}` shows the moves back, and asks. "
        if journal.state != "done":
            hint += f"`dl data undo {root} --drop` forgets it: all files stay where they are. "
        if not back and (command := as_typed(operation)):
            hint += f"In a terminal, `{command}` asks, then finishes it."
        state = "was not taken back" if back else "has not finished"
        # not the whole command, which a reader would type again
        what = f"`{operation.name}` {state} in {shown(operation.root)}"
        super().__init__(what, why=why, hint=hint.strip())
        self.journal, self.back = journal, back


def require_certain(
    journal: Journal, operation: Operation, *, back: bool, named: Named | None = None
) -> None:
    """Refuse to finish an operation, or take it back, in folders that it was not written for.

    Args:
        back: whether it is to be taken back.
        named: what the user names in this command.

    Raises:
        DoubtfulError: why it needs a question.
    """
    if why := doubt(journal, operation, back=back, named=named):
        raise DoubtfulError(journal, operation, why, back=back)


def doubt(journal: Journal, operation: Operation, *, back: bool, named: Named | None = None) -> str:
    """What makes an operation doubtful, as a clause; "" if nothing does."""
    if journal.state == "done" and (operation.kind == "link" or is_within(operation)):
        return ""  # its undo removes links, or moves files within the dataset
    root, source = operation.root, operation.source
    began = operation.began
    is_staged = _is_beside(operation)
    is_named = named == Named(source, operation.kind)
    if began is None:
        # what is done of a copy is taken back where the contents are in both files
        is_done_copy = journal.state == "done" and operation.kind == "copy"
        if is_within(operation) or is_staged or is_named or is_done_copy:
            return ""
        return f"`dl` 0.1.0 began it, and did not note in which folders; it names {shown(source)}"
    here = place_of(root)
    # what is done may be taken back after the folder was renamed
    is_renamed = journal.state == "done" and here and here[1:] == began.root[1:]
    if began.root != here and not is_renamed:
        if began.root.path != os.path.realpath(root):
            return f"it began in {shown(began.root.path)}"
        # a disk that is mounted anew may get another number
        is_mounted_anew = here and here.inode == began.root.inode
        if not (is_mounted_anew and is_within(operation)) and not (is_named and not back):
            return (
                f"{shown(root)} is a copy of the folder in which it began, or its disk was "
                "mounted anew"
            )
    if is_within(operation) or (is_named and not back):
        return ""
    if journal.path.lstat().st_uid != os.geteuid():
        return f"another user began it, with files of {shown(source)}"
    found = place_of(source)
    if found == began.source or (back and is_staged):
        return ""
    if found is None:
        # the user may have removed a folder that the move emptied, but not a whole disk
        gone = began.source
        if back and gone and existing(source).stat().st_dev == gone.device:
            return ""
        return f"{shown(source)}, where its files come from, is missing"
    return (
        f"{shown(source)} is not the folder any more from which its files come, or its disk was "
        "mounted anew"
    )


def is_within(operation: Operation) -> bool:
    """Whether an operation moves files of the dataset within the dataset, and touches no others."""
    return operation.origin is None


def to_move(operation: Operation, *, back: bool) -> Iterator[str]:
    """What is still to do, in lines: the first moves, and the number of the others."""
    start, goal = operation.source, operation.root
    pairs = [(move.source, move.target) for move in operation.moves]
    if back:
        start, goal, pairs = goal, start, [(target, source) for source, target in pairs]
    left = [(one, other) for one, other in pairs if os.path.lexists(f"{start}/{one}")]
    verb = operation.kind if not back or operation.kind == "move" else "remove"
    where = f" to {shown(goal)}" if verb != "remove" and start != goal else ""
    yield f"It would {verb} {count(len(left), 'file')}, from {shown(start)}{where}:"
    for one, other in left[:_MOST_SHOWN]:
        yield f"  {shown(one)}" + ("" if verb == "remove" else f" -> {shown(other)}")
    if len(left) > _MOST_SHOWN:
        yield f"  and {len(left) - _MOST_SHOWN:,} more"


def require_finished(root: Path) -> None:
    """Refuse to read a dataset of which only a part has moved.

    Raises:
        DlError: says what is pending, and what to type.
    """
    journal = unfinished(root)
    if journal is None:
        return
    operation, back = journal.read_header(), journal.state == "undoing"
    require_certain(journal, operation, back=back)
    undo = f"`dl data undo {quoted(root)}`"
    if back:
        raise DlError(
            f"`dl data undo` of `{operation.name}` has not finished in {shown(root)}",
            why="it is still running, or it was stopped",
            hint=f"{undo} finishes it.",
        )
    hint = f"{undo} takes it back."
    if command := as_typed(operation):
        hint = f"`{command}` finishes it, {hint}"
    raise DlError(
        f"`dl data {operation.name}` has not finished in {shown(root)}",
        why="it is still running, or it was stopped",
        hint=hint,
    )


def as_typed(operation: Operation) -> str:
    """The command that does an operation again; "" if no command of this version does.

    A number that the command would not take, as a journal of somebody else may hold, is left out.
    """
    if operation.name not in _COMMANDS:
        return ""
    download = made_of(operation)
    # an archive may have been removed once it was unpacked
    source = download if place_of(download) else operation.source
    words = ["dl data", operation.name, quoted(source)]
    if operation.name == "organize":
        words.append(quoted(operation.root))
        moves = operation.kind == "move" and operation.source != operation.root
        if moves and source == operation.source:
            words.append("--move")
        if operation.kind == "link":
            words.append("--link")
        if operation.details.get("flatten"):
            words.append("--flatten")
        for name, value in operation.details.get("naming", {}).items():
            option = "labels" if name == "file" else name.replace("_", "-")
            words += [f"--{option}", shlex.quote(value)]
    for option in _COMMANDS[operation.name]:
        if number := _number(option, operation.details.get(option)):
            words += [f"--{option}", number]
    return " ".join(words)


def _number(option: str, value: Any) -> str:
    """A number as an option takes it; "" if the option takes no such number."""
    least = 0 if option == "seed" else 1
    if type(value) is int and least <= value < 2**32:
        return str(value)
    if option == "valid" and type(value) is float and 0 < value < 1:
        from decimal import Decimal

        return f"{Decimal(str(value)):f}"  # a share has a point: 0.00001, not 1e-05
    return ""


def _is_beside(operation: Operation) -> bool:
    """Whether the files come from the folder beside the dataset that an archive was unpacked to."""
    source, root = operation.source, operation.root
    own = re.fullmatch(rf"\.{re.escape(root.name)}-[0-9a-f]{{12}}\.unpacked", source.name)
    if not own or operation.kind != "move" or source.parent != root.parent:
        return False
    if not os.path.lexists(source):
        return True  # an undo makes it anew
    if any(marked(source, purpose) for purpose in _UNPACKED_BY):
        return True
    # 0.1.0 had no mark, but this file in a complete one
    return not source.is_symlink() and (source / ".whole").is_file()

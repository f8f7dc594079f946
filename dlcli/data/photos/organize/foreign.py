"""What a download may hold besides files of its own: pipes and devices, links to other places."""

# These run for every file, and making a Path costs more than the system call.
# ruff: noqa: PTH110, PTH114

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from dlcli.data.journal import Move
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.images.formats import fault_of
from dlcli.words import count, first_of

_KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}


def require_files(folder: Path, names: Iterable[str]) -> None:
    """Refuse pipes, sockets and devices before one is opened: a read of it may never end.

    Args:
        names: files in the folder, or links to some.

    Raises:
        DlError: names the first.
    """
    for name in names:
        with suppress(OSError):  # a broken link
            mode = os.stat(f"{folder}/{name}").st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise DlError(
                    f"{shown(folder / name)} is {_KINDS.get(stat.S_IFMT(mode), 'a device')}",
                    why="`dl data organize` reads files and folders alone",
                    hint="Nothing was read. Remove it, or move it away.",
                )


def split_off_foreign(source: Path, moves: Sequence[Move]) -> tuple[tuple[Move, ...], list[str]]:
    """Leave out of a plan the links that would bring the contents of other places into a dataset.

    These are CSVs and settings outside the source, and files that are not images though their links
    are called so. An image may lie anywhere.

    Args:
        source: the download.
        moves: the plan to copy its files.

    Returns:
        the other moves, and what was left out as a list of at most one sentence.

    Raises:
        DlError: no other moves are left.
    """
    root = os.path.realpath(source)
    left = [move for move in moves if _is_foreign(root, f"{source}/{move.source}")]
    if not left:
        return tuple(moves), []
    names = [
        f"{shown(move.source)} -> {shown(os.path.realpath(source / move.source))}" for move in left
    ]
    link = "a link" if len(left) == 1 else "links"
    note = (
        f"Not copied: {count(len(left), 'file')} outside {shown(source)}, behind {link}: "
        f"{first_of(names)}. If a file belongs to the dataset, copy it there yourself."
    )
    if len(left) == len(moves):
        raise DlError(
            f"Nothing in {shown(source)} can be copied",
            why="it has only links to files outside it that are not images",
            hint=note,
        )
    foreign = set(left)
    return tuple(move for move in moves if move not in foreign), [note]


def _is_foreign(root: str, path: str) -> bool:
    if not os.path.islink(path):
        return False
    place = os.path.realpath(path)
    if place.startswith(f"{root}/") or not os.path.exists(place):
        return False
    return bool(fault_of(place))

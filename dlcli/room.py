"""Room on a disk, looked at before it is taken."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from dlcli.errors import DlError
from dlcli.folders import absolute, is_folder
from dlcli.places import shown

# File systems give whole blocks: of 25,000 small files that is half of what they take.
_BLOCK_BYTES = 4096


def require_room(
    folder: Path,
    sizes: Iterable[int],
    what: str,
    hint: str = "Free some space, or name a folder on another disk.",
) -> None:
    """Refuse to write more than a disk has left.

    Args:
        folder: where; it may be yet to be made.
        sizes: bytes of each file.
        what: what needs the room: "to unpack ~/pets.zip".
        hint: what to do, and what was done so far if that is not plain.

    Raises:
        DlError: the disk is too full.
    """
    needed = sum(-(-size // _BLOCK_BYTES) * _BLOCK_BYTES for size in sizes)
    free = shutil.disk_usage(existing(folder)).free
    if needed > free:
        raise DlError(
            f"No room {what}",
            why=f"it takes {_in_words(needed)}, and the disk at {shown(_mount(folder))} has "
            f"{_in_words(free)} left",
            hint=hint,
        )


def existing(folder: Path) -> Path:
    """A folder, or where it is yet to be made the nearest one around it that is there."""
    return next(each for each in (folder, *absolute(folder).parents) if is_folder(each))


def _mount(folder: Path) -> Path:
    """Where the disk is mounted that a folder lies on."""
    place = existing(folder).resolve()
    return next(each for each in (place, *place.parents) if os.path.ismount(each))


def _in_words(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"

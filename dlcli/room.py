"""Room on a disk, looked at before it is taken."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from dlcli.errors import DlError
from dlcli.places import shown

# File systems give whole blocks: of 25,000 small files that is half of what they take.
_BLOCK_BYTES = 4096


def require_room(folder: Path, sizes: Iterable[int], what: str) -> None:
    """Refuse to write more than a disk has left.

    Args:
        folder: where; it exists.
        sizes: bytes of each file.
        what: what needs the room: "to unpack ~/pets.zip".

    Raises:
        DlError: the disk is too full.
    """
    needed = sum(-(-size // _BLOCK_BYTES) * _BLOCK_BYTES for size in sizes)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DlError(
            f"No room {what} in {shown(folder.parent)}",
            why=f"it takes {needed / 1e6:,.0f} MB, the disk has {free / 1e6:,.0f} MB left",
            hint="Nothing is kept. Free some space, or name a folder on another disk.",
        )

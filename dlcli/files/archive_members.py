"""What an archive lists, and whether all of it may be unpacked: decided before a byte is written.

A name that would leave the folder, a link, a device, more than the disk or reason holds: whatever
one member is, nothing of the archive is unpacked. So is what only damage or haste explains: a name
that stands twice, a member that needs a password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from dlcli.errors import DlError
from dlcli.files.paths import shown

# ImageNet as Kaggle has it, annotations included, is 2 million.
MOST_MEMBERS = 3_000_000
# Pixels as CSV shrink to an eighth, blank bitmaps to a hundredth; a bomb to a thousandth.
MOST_RATIO = 200
# A ratio tells nothing about little: so much any archive may hold.
ALWAYS_ALLOWED_BYTES = 100_000_000
# train.zip in the competition's zip is 2.
MOST_NESTED = 3
AGAIN = "Download it again."
# What file systems take, of one name and (PATH_MAX, with room for the folder) of a whole path.
MOST_NAME_BYTES, MOST_PATH_BYTES = 255, 3000


class ArchiveError(DlError):
    """An archive itself is at fault: damaged, none, or not one to unpack."""


class Member(NamedTuple):
    """One entry of an archive, as the archive tells of it.

    Args:
        name: its path; not to be trusted.
        size: bytes that it says to unpack to.
        kind: links and devices are "other".
        seconds: when it was changed, since 1970; None where nobody can say.
        fault: why it can't be unpacked: "needs a password"; "" where it can.
    """

    name: str
    size: int
    kind: Literal["file", "folder", "other"]
    seconds: float | None
    fault: str = ""


@dataclass
class Budget:
    """What one archive, with all archives inside of it, may still unpack to.

    Args:
        packed: bytes of the outermost archive on disk.
    """

    packed: int
    unpacked: int = 0
    members: int = 0

    def take(self, archive: str, size: int) -> None:
        """Count one more member.

        Raises:
            ArchiveError: they are too many, or too large for what they are packed in.
        """
        self.members += 1
        self.unpacked += size
        if self.members > MOST_MEMBERS:
            raise refusal(archive, f"it holds more than {MOST_MEMBERS:,} files")
        if self.unpacked > max(ALWAYS_ALLOWED_BYTES, MOST_RATIO * self.packed):
            raise refusal(
                archive,
                f"it would grow to more than {MOST_RATIO} times its size, as archives do that are "
                "made to fill a disk",
            )


def checked(archive: str, members: Iterable[Member], budget: Budget) -> dict[str, Member]:
    """The files that an archive is unpacked to, by the paths that they get.

    Hidden entries, and the `__MACOSX/` of archives made on a Mac, are left out.

    Args:
        archive: what it is called, for the words of an error.
        budget: what it may hold; counts it.

    Raises:
        ArchiveError: a member that must not, or can't, be unpacked.
    """
    files: dict[str, Member] = {}
    folders: set[str] = set()
    for member in members:
        path = _safe_path(archive, member)
        if member.size < 0:
            raise damaged(archive, member.name, "its size is negative")
        budget.take(archive, member.size)
        if not path or _is_ignored(path):
            continue
        if member.kind == "folder":
            folders.add(path)
            continue
        if member.fault or member.kind == "other":
            raise _not_unpackable(archive, member)
        if path in files:
            raise refusal(archive, f"`{shown(member.name)}` is in it twice")
        files[path] = member
    for path in files:
        folders.update(_folders_of(path))
    if clash := min(folders.intersection(files), default=None):
        raise refusal(archive, f"`{shown(clash)}` in it is both a file and a folder")
    return files


def refusal(archive: str, why: str) -> ArchiveError:
    """What to raise where an archive is not one to unpack."""
    return ArchiveError(
        f"{archive} is not unpacked",
        why=why,
        hint="Nothing was written. If you trust it, unpack it by hand, then name its folder.",
    )


def damaged(archive: str, name: str, why: str) -> ArchiveError:
    """What to raise where an archive, or a member of it, can't be read."""
    of = f", in `{shown(name)}`" if name else ""
    return ArchiveError(
        f"{archive} is damaged{of}",
        why=why,
        hint=f"Nothing was unpacked. {AGAIN}",
    )


def _safe_path(archive: str, member: Member) -> str:
    """Where a member goes, relative to the folder; "" for that folder itself.

    Raises:
        ArchiveError: outside of the folder, or a name that file systems refuse.
    """
    name = member.name
    parts = [part for part in name.split("/") if part not in ("", ".")]
    path = "/".join(parts)
    outside = name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", path)
    if outside or "\\" in name or "\0" in name:
        why = "would land outside of its folder" if outside else "is no name of a file here"
        raise refusal(archive, f"`{shown(name)}` in it {why}")
    long = len(os.fsencode(path)) > MOST_PATH_BYTES
    if long or any(len(os.fsencode(part)) > MOST_NAME_BYTES for part in parts):
        raise refusal(archive, f"`{shown(name[:60])}...` in it is too long a name")
    return path


def _is_ignored(path: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))


def _folders_of(path: str) -> Iterable[str]:
    folder = path.rpartition("/")[0]
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


def _not_unpackable(archive: str, member: Member) -> ArchiveError:
    if member.kind == "other":
        return refusal(archive, f"`{shown(member.name)}` in it is a link or a device, no file")
    return ArchiveError(
        f"{archive} can't be unpacked here",
        why=f"`{shown(member.name)}` in it {member.fault}",
        hint="Nothing was written. Unpack it by hand, then name its folder.",
    )

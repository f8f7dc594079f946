"""Check the members of an archive before a byte is written.

Nothing of an archive is unpacked if one member has a path outside the folder, is a link or a
device, needs a password, or has the name of another, or if all together are too large.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from dlcli.errors import DlError
from dlcli.files.paths import shown

# Kaggle's ImageNet, with annotations, has 2 million.
MOST_MEMBERS = 3_000_000
# Pixels as CSV shrink to an eighth, blank bitmaps to a hundredth; a bomb to a thousandth.
MOST_RATIO = 200
# Any archive may hold this much: a ratio means nothing for small ones.
ALWAYS_ALLOWED_BYTES = 100_000_000
# train.zip in a competition's zip is nested 2 deep.
MOST_NESTED = 3
AGAIN = "Download it again."
# Limits of file systems for a name and for a whole path (PATH_MAX, less room for the folder).
MOST_NAME_BYTES, MOST_PATH_BYTES = 255, 3000


class ArchiveError(DlError):
    """The archive itself is at fault: damaged, not an archive, or not safe to unpack."""


class Member(NamedTuple):
    """One entry of an archive, as the archive describes it.

    Args:
        name: its path, not checked yet.
        size: its declared size in bytes.
        kind: links and devices are "other".
        seconds: time of its last change, since 1970; None if unknown.
        fault: why it can't be unpacked: "needs a password"; "" if it can.
    """

    name: str
    size: int
    kind: Literal["file", "folder", "other"]
    seconds: float | None
    fault: str = ""


@dataclass
class Budget:
    """How much one archive, with all archives in it, may still unpack.

    Args:
        packed: size of the outermost archive in bytes.
    """

    packed: int
    unpacked: int = 0
    members: int = 0

    def take(self, archive: str, size: int) -> None:
        """Count one more member.

        Raises:
            ArchiveError: there are too many, or they are too large for the archive's size.
        """
        self.members += 1
        self.unpacked += size
        if self.members > MOST_MEMBERS:
            raise refusal(archive, f"it holds more than {MOST_MEMBERS:,} files")
        if self.unpacked > max(ALWAYS_ALLOWED_BYTES, MOST_RATIO * self.packed):
            raise refusal(
                archive,
                f"it would unpack to more than {MOST_RATIO} times its size, as an archive bomb "
                "would",
            )


def checked(archive: str, members: Iterable[Member], budget: Budget) -> dict[str, Member]:
    """The files of an archive, by the paths that they get.

    Leaves out hidden entries and the `__MACOSX/` of archives made on a Mac.

    Args:
        archive: what it is called, for the words of an error.
        budget: what it may hold; counts it.

    Raises:
        ArchiveError: a member is unsafe, or can't be unpacked.
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
    """The error of an archive that is not safe to unpack."""
    return ArchiveError(
        f"{archive} is not unpacked",
        why=why,
        hint="Nothing was written. If you trust it, unpack it by hand, then name its folder.",
    )


def damaged(archive: str, name: str, why: str) -> ArchiveError:
    """The error of an archive, or a member, that can't be read."""
    of = f", in `{shown(name)}`" if name else ""
    return ArchiveError(
        f"{archive} is damaged{of}",
        why=why,
        hint=f"Nothing was unpacked. {AGAIN}",
    )


def _safe_path(archive: str, member: Member) -> str:
    """A member's path, relative to the folder; "" for the folder itself.

    Raises:
        ArchiveError: the path is outside the folder, or file systems refuse it.
    """
    name = member.name
    parts = [part for part in name.split("/") if part not in ("", ".")]
    path = "/".join(parts)
    outside = name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", path)
    if outside or "\\" in name or "\0" in name:
        why = "would be outside its folder" if outside else "is not a valid file name"
        raise refusal(archive, f"`{shown(name)}` in it {why}")
    long = len(os.fsencode(path)) > MOST_PATH_BYTES
    if long or any(len(os.fsencode(part)) > MOST_NAME_BYTES for part in parts):
        raise refusal(archive, f"the name `{shown(name[:60])}...` in it is too long")
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
        return refusal(archive, f"`{shown(member.name)}` in it is a link or a device, not a file")
    return ArchiveError(
        f"{archive} can't be unpacked here",
        why=f"`{shown(member.name)}` in it {member.fault}",
        hint="Nothing was written. Unpack it by hand, then name its folder.",
    )

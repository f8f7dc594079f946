"""Unpacking what was downloaded, whole or not at all.

An archive is checked as a whole before a byte is written; what is written goes into a new folder,
which whoever calls removes after an error. Permissions are not taken over.
"""

# A Path costs more than the system call, and these run for every file.
# ruff: noqa: PTH103, PTH123

from __future__ import annotations

import errno
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dlcli.archive_members import AGAIN, ArchiveError, Budget, Member, checked, damaged, refusal
from dlcli.folders import typed
from dlcli.places import shown
from dlcli.progress import track
from dlcli.room import require_room
from dlcli.tars import TarReader
from dlcli.zips import ZipReader

_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
SUFFIXES = (".zip", *_TARS, ".7z", ".rar")

# How each begins; a tar has its word further on.
_MAGIC = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
}
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
# Beside "unpack " stand a bar, "25,000/25,000 files", a rate and a time.
_MOST_BRIEF = 26
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OverflowError,
    # what `zipfile` and `tarfile` say of the odder kinds, endless nesting of headers included
    RuntimeError,
    ValueError,
)


def is_archive(name: str) -> bool:
    """Whether a file's name ends as an archive's does, in any case."""
    return name.lower().endswith(SUFFIXES)


def can_unpack(name: str) -> bool:
    """Whether a file's name ends as that of an archive does that is unpacked here."""
    return name.lower().endswith((".zip", *_TARS))


def without_suffix(name: str) -> str:
    """A file's name without what makes it an archive's: "train" for "train.tar.gz"."""
    longest = sorted(SUFFIXES, key=len, reverse=True)
    suffix = next((suffix for suffix in longest if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def brief(name: str) -> str:
    """A file's name, cut in its middle where a bar of 80 columns has no room for all of it."""
    half = _MOST_BRIEF // 2
    return name if len(name) <= _MOST_BRIEF else f"{name[: half - 1]}...{name[2 - half :]}"


@dataclass(frozen=True)
class Archive:
    """An archive that is fit to be unpacked.

    Args:
        called: what people are told that it is called.
        brief_name: its file's name, as long as progress has room for.
        files: what it holds, by the paths that they get.
    """

    called: str
    brief_name: str
    files: dict[str, Member]
    _reader: ZipReader | TarReader

    def unpack(self, into: Path, is_wanted: Callable[[str], bool] | None = None) -> None:
        """Write its files below a folder; nothing in it is replaced.

        Args:
            into: the folder.
            is_wanted: of which paths the content is wanted; the others become empty files.

        Raises:
            DlError: no room.
            ArchiveError: damage, or a name that another member has on this disk.
            OSError: the disk.
        """
        wanted = {path for path in self.files if is_wanted is None or is_wanted(path)}
        into.mkdir(parents=True, exist_ok=True)
        sizes = [self.files[path].size for path in wanted]
        require_room(into, sizes, f"to unpack {self.called}")
        for folder in sorted({path.rpartition("/")[0] for path in self.files}):
            os.makedirs(f"{into}/{folder}", exist_ok=True)
        with track(f"unpack {self.brief_name}:", len(self.files), "files") as bar:
            for path in self.files.keys() - wanted:
                Path(into, path).touch()
                bar.advance()
            if wanted:
                for path in self._unpacked(into, wanted):
                    wanted.remove(path)
                    bar.advance()
        if wanted:
            raise damaged(self.called, min(wanted), "it was changed while it was read")

    def _unpacked(self, into: Path, wanted: Set[str]) -> Iterator[str]:
        paths = {self.files[path].name: path for path in wanted}
        with _damage_told(self.called) as at:
            for member, content, step in self._reader.contents(paths):
                at.name, path = member.name, paths[member.name]
                _write(content, step, f"{into}/{path}", self.files[path])
                yield path
                at.name = ""


@contextmanager
def open_archive(path: Path, budget: Budget, called: str = "") -> Iterator[Archive]:
    """Open an archive, and check all that it lists.

    Args:
        path: a zip, or a tar that may be packed by gzip, bzip2 or xz; its content decides.
        budget: what it may hold, with those inside of it.
        called: what people are told that it is called; by default its path.

    Raises:
        ArchiveError: it is none, of another kind, damaged, or not fit to be unpacked.
    """
    called = called or shown(path)
    with _damage_told(called):
        reader = _reader(path, called)
        try:
            files = checked(called, reader.members(), budget)
            archive = Archive(called, brief(shown(path.name)), files, reader)
        except BaseException:
            reader.close()
            raise
    try:
        yield archive
    finally:
        reader.close()


def _reader(path: Path, called: str) -> ZipReader | TarReader:
    with path.open("rb") as file:
        head = file.read(512)
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "")
    if head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC):
        kind = "tar"
    if kind in ("7z", "rar"):
        raise _another_kind(path, kind)
    if kind == "zip":
        if not zipfile.is_zipfile(path):  # its directory stands at its end
            raise damaged(called, "", "its end is missing")
        return ZipReader(path)
    if not kind and not path.name.lower().endswith(".tar"):
        raise _no_archive(called, head)
    return TarReader(path, kind or "tar")


def _write(content: IO[bytes], step: int, target: str, member: Member) -> None:
    left = member.size
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    # buffered, for a raw file writes only a part, and says nothing, where the disk is full
    with open(os.open(target, flags, 0o666), "wb") as file:
        while data := content.read(step):
            left -= len(data)
            if left < 0:
                raise EOFError("it holds more than it declares")
            file.write(data)
    if left:
        raise EOFError("it holds less than it declares")
    if member.seconds is not None:
        os.utime(target, (member.seconds, member.seconds))


@dataclass
class _At:
    name: str = ""


@contextmanager
def _damage_told(called: str) -> Iterator[_At]:
    """Say of whatever an unpacker raises that the archive is damaged, and where."""
    at = _At()
    try:
        yield at
    except FileExistsError as error:
        raise refusal(called, f"two files in it get the name `{shown(at.name)}` here") from error
    except _DAMAGE as error:
        raise damaged(called, at.name, str(error) or "it ends too early") from error
    except OSError as error:
        # of the disk's own errors each has a number; those of gzip and bzip2 have none, and to
        # seek to where a damaged header leads is an invalid argument
        if error.errno not in (None, errno.EINVAL) or error.filename is not None:
            raise
        raise damaged(called, at.name, str(error) or "it ends too early") from error


def _another_kind(path: Path, kind: str) -> ArchiveError:
    folder = path.with_name(without_suffix(path.name))
    command = f"7z x {typed(path)} -o{typed(folder)}"
    if kind == "rar":
        command = f"unrar x {typed(path)} {typed(folder)}/"
    return ArchiveError(
        f"{shown(path)} is a {kind} archive",
        why="zip and tar are unpacked here, others are not",
        hint=f"Unpack it, `{command}`, then name its folder: `dl data organize {typed(folder)}`.",
    )


def _no_archive(called: str, head: bytes) -> ArchiveError:
    if not head:
        why = "it is empty"
    elif head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        why = "it is a web page, as a download brings for which one has to sign in"
    else:
        why = "its content is none of a zip or tar, whatever its name says"
    return ArchiveError(f"{called} is no archive", why=why, hint=AGAIN)

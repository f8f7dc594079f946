"""Unpack zip and tar archives, completely or not at all.

The whole archive is checked before a byte is written. Files go to a new folder, which the caller
removes after an error. Permissions are not kept. A tar may be plain or packed by gzip, bzip2 or xz.
"""

# These run for every file, and making a Path costs more than the system call.
# ruff: noqa: PTH103, PTH123

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from dlcli.files.archive_members import (
    AGAIN,
    ArchiveError,
    Budget,
    Member,
    checked,
    damaged,
    refusal,
)
from dlcli.files.atomic import require_room
from dlcli.files.paths import quoted, shown
from dlcli.progress import track

_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
SUFFIXES = (".zip", *_TARS, ".7z", ".rar")

# The first bytes of each kind; a tar has its magic further on.
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

# Behind a tar's end: zeros, as `tar` fills up its last record of some kB with. So many steps are
# 16 MiB; a packed stream of zeros could go on for terabytes.
_MOST_PADDING_STEPS = 16

_OPENERS: dict[str, Callable[[Path], Any]] = {
    "tar": lambda path: path.open("rb"),
    "gzip": gzip.open,
    "bzip2": bz2.open,
    "xz": lzma.open,
}

# What Python unpacks (APPNOTE.TXT, 4.4.5); deflate64 (9) and zstd (93), for two, it does not.
_METHODS = {0: "stored", 8: "deflate", 12: "bzip2", 14: "lzma"}
_IS_ENCRYPTED, _IS_UTF8 = 0x1, 0x800
# Who made the entry: of these, some write folders with a backslash.
_DOS, _NTFS = 0, 10
# The field that holds the time in UTC; the entry's own is local, in steps of two seconds.
_UNIX_TIME = 0x5455
# Read at a time.
_STEP = 1 << 20
# bzip2 and lzma are unpacked by what they are fed, without a bound on what comes out: bzip2 makes
# up to 20,000 bytes of one.
_SMALL_STEP = 1 << 12


def is_archive(name: str) -> bool:
    """Whether a file's suffix is that of an archive, in upper or lower case."""
    return name.lower().endswith(SUFFIXES)


def can_unpack(name: str) -> bool:
    """Whether a file's suffix is that of a kind of archive that can be unpacked here."""
    return name.lower().endswith((".zip", *_TARS))


def without_suffix(name: str) -> str:
    """A file's name without the suffixes of archives: "train" for "train.tar.gz"."""
    longest = sorted(SUFFIXES, key=len, reverse=True)
    suffix = next((suffix for suffix in longest if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def brief(name: str) -> str:
    """A file's name, shortened in the middle to fit a progress bar of 80 columns."""
    half = _MOST_BRIEF // 2
    return name if len(name) <= _MOST_BRIEF else f"{name[: half - 1]}...{name[2 - half :]}"


@dataclass(frozen=True)
class Archive:
    """An archive that has passed all checks.

    Args:
        called: its name in messages.
        brief_name: its file name, shortened for progress bars.
        files: its files, by the paths that they get.
    """

    called: str
    brief_name: str
    files: dict[str, Member]
    _reader: ZipReader | TarReader

    def unpack(self, into: Path, is_wanted: Callable[[str], bool] | None = None) -> None:
        """Write its files to a folder, and replace nothing there.

        Args:
            is_wanted: whether a path's content is needed; other files are made empty.

        Raises:
            DlError: no room.
            ArchiveError: damage, or two names that are the same on this disk.
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
            raise damaged(self.called, min(wanted), "it changed while it was read")

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
    """Open an archive, and check all of its members.

    Args:
        path: a zip, or a tar that may be packed by gzip, bzip2 or xz; its content decides.
        budget: the limit for it and the archives in it.
        called: its name in messages; by default its path.

    Raises:
        ArchiveError: it is not an archive, of another kind, damaged, or not safe to unpack.
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
    """Turn an unpacker's errors into one that says where the archive is damaged."""
    at = _At()
    try:
        yield at
    except FileExistsError as error:
        raise refusal(called, f"two files in it have the name `{shown(at.name)}` here") from error
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
    command = f"7z x {quoted(path)} -o{quoted(folder)}"
    if kind == "rar":
        command = f"unrar x {quoted(path)} {quoted(folder)}/"
    return ArchiveError(
        f"{shown(path)} is a {kind} archive",
        why="`dl` unpacks only zip and tar",
        hint=f"Unpack it, `{command}`, then name its folder: `dl data organize {quoted(folder)}`.",
    )


def _no_archive(called: str, head: bytes) -> ArchiveError:
    if not head:
        why = "it is empty"
    elif head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        why = "it is a web page, perhaps because the download needs a login"
    else:
        why = "its content is not that of a zip or tar, whatever its name"
    return ArchiveError(f"{called} is not an archive", why=why, hint=AGAIN)


class TarReader:
    """A tar archive. It has no directory: listing reads all of it, and contents once more."""

    def __init__(self, path: Path, packing: str) -> None:
        self._path, self._open = path, _OPENERS[packing]

    def close(self) -> None:
        """Do nothing: no file stays open between two readings."""

    def members(self) -> Iterator[Member]:
        """All entries. Each is yielded before its content is skipped, so that a caller may stop."""
        with self._entries() as entries:
            for _, info in entries:
                yield _tar_member(info)

    def contents(self, names: Container[str]) -> Iterator[tuple[Member, IO[bytes], int]]:
        """Each named file's member, its content, and in what steps that is read."""
        with self._entries() as entries:
            for tar, info in entries:
                member = _tar_member(info)
                if member.kind == "file" and member.name in names:
                    yield member, cast(IO[bytes], tar.extractfile(info)), _STEP

    @contextmanager
    def _entries(self) -> Iterator[Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]]:
        with self._open(self._path) as stream:
            yield _tar_entries(_Forward(stream))


def _tar_entries(stream: _Forward) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:") as tar:
        while info := tar.next():
            yield tar, info
            tar.members = []  # type: ignore[attr-defined]  # it would keep them all
    # `tarfile` takes a damaged header amid the archive, or none, for its end
    if stream.last != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it breaks off before its end")
    # a packed stream's checksum is looked at where that ends, which is a little further on
    for _ in range(_MOST_PADDING_STEPS):
        if not stream.read(_STEP):
            break


class _Forward:
    """A stream that is only read forward, in small steps, whatever sizes its headers claim.

    A header of a negative size would otherwise lead back to itself for ever, and one of a large
    size would be read into memory whole.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._at = 0
        self.last = b""

    def tell(self) -> int:
        return self._at

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _STEP:
            raise tarfile.ReadError(f"a header claims to be of {size:,} bytes")
        self.last = self._stream.read(size)
        self._at += len(self.last)
        return self.last

    def seek(self, to: int) -> int:
        if to < self._at:
            raise tarfile.ReadError("a header claims a negative size")
        while self._at < to and self.read(min(_STEP, to - self._at)):
            pass
        return self._at


def _tar_member(info: tarfile.TarInfo) -> Member:
    # pax headers write times as any float, "nan" included
    seconds = float(info.mtime) if -(2.0**31) <= info.mtime < 2.0**33 else None
    if info.isdir():
        return Member(info.name, 0, "folder", None)
    # a sparse file's holes cost nothing in the archive, and nobody's photos have any
    is_file = info.isreg() and not info.issparse()
    return Member(info.name, info.size, "file" if is_file else "other", seconds)


class ZipReader:
    """A zip archive that is open for reading."""

    def __init__(self, path: Path) -> None:
        self._file = zipfile.ZipFile(path)
        # in the order on disk, which is the quickest to read
        self._infos = sorted(self._file.infolist(), key=lambda info: info.header_offset)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def members(self) -> Iterator[Member]:
        """All entries, as the directory at the end lists them."""
        return map(_zip_member, self._infos)

    def contents(self, names: Container[str]) -> Iterator[tuple[Member, IO[bytes], int]]:
        """Each named file's member, its content, and in what steps that is read."""
        for info in self._infos:
            member = _zip_member(info)
            if member.kind == "file" and member.name in names:
                with self._file.open(info) as content:
                    step = _STEP if info.compress_type in (0, 8) else _SMALL_STEP
                    yield member, content, step


def _zip_member(info: zipfile.ZipInfo) -> Member:
    name = _zip_name(info)
    mode = info.external_attr >> 16
    fault = ""
    if info.flag_bits & _IS_ENCRYPTED:
        fault = "is encrypted and needs a password"
    elif info.compress_type not in _METHODS:
        fault = f"is packed by method {info.compress_type}, which Python can't undo"
    if name.endswith("/") or stat.S_ISDIR(mode):
        return Member(name, 0, "folder", None)
    is_file = stat.S_IFMT(mode) in (0, stat.S_IFREG)
    return Member(name, info.file_size, "file" if is_file else "other", _zip_seconds(info), fault)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """An entry's name; what no encoding explains stays as the bytes that it is."""
    name = info.orig_filename  # `filename` ends at a NUL
    if not info.flag_bits & _IS_UTF8 and not name.isascii():
        data = name.encode("cp437")  # as which `zipfile` read it
        with suppress(UnicodeDecodeError):
            return data.decode()
        if info.create_system not in (_DOS, _NTFS):
            return data.decode("utf-8", "surrogateescape")
    return name.replace("\\", "/") if info.create_system in (_DOS, _NTFS) else name


def _zip_seconds(info: zipfile.ZipInfo) -> float | None:
    """When an entry was changed, as `unzip` has it."""
    extra, at = info.extra, 0
    while at + 9 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == _UNIX_TIME and length >= 5 and extra[at + 4] & 1:
            seconds: int = struct.unpack_from("<i", extra, at + 5)[0]
            return seconds
        at += 4 + length
    try:
        return time.mktime((*info.date_time, 0, 0, -1))
    except OverflowError:
        return None

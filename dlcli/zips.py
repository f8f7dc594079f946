"""Zip archives, read as members and their contents."""

from __future__ import annotations

import stat
import struct
import time
import zipfile
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from dlcli.archive_members import Member

# What Python unpacks (APPNOTE.TXT, 4.4.5); deflate64 (9) and zstd (93), for two, it does not.
_METHODS = {0: "stored", 8: "deflate", 12: "bzip2", 14: "lzma"}
_IS_ENCRYPTED, _IS_UTF8 = 0x1, 0x800
# Who made the entry: of these, some write folders with a backslash.
_DOS, _NTFS = 0, 10
# The field that holds the time in UTC; the entry's own is local, in steps of two seconds.
_UNIX_TIME = 0x5455
# bzip2 and lzma are unpacked by what they are fed, without a bound on what comes out: bzip2 makes
# up to 20,000 bytes of one.
_STEP, _SMALL_STEP = 1 << 20, 1 << 12


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
        return map(_member, self._infos)

    def contents(self, names: Container[str]) -> Iterator[tuple[Member, IO[bytes], int]]:
        """Each named file's member, its content, and in what steps that is read."""
        for info in self._infos:
            member = _member(info)
            if member.kind == "file" and member.name in names:
                with self._file.open(info) as content:
                    step = _STEP if info.compress_type in (0, 8) else _SMALL_STEP
                    yield member, content, step


def _member(info: zipfile.ZipInfo) -> Member:
    name = _name(info)
    mode = info.external_attr >> 16
    fault = ""
    if info.flag_bits & _IS_ENCRYPTED:
        fault = "is encrypted and needs a password"
    elif info.compress_type not in _METHODS:
        fault = f"is packed by method {info.compress_type}, which Python can't undo"
    if name.endswith("/") or stat.S_ISDIR(mode):
        return Member(name, 0, "folder", None)
    is_file = stat.S_IFMT(mode) in (0, stat.S_IFREG)
    return Member(name, info.file_size, "file" if is_file else "other", _seconds(info), fault)


def _name(info: zipfile.ZipInfo) -> str:
    """An entry's name; what no encoding explains stays as the bytes that it is."""
    name = info.orig_filename  # `filename` ends at a NUL
    if not info.flag_bits & _IS_UTF8 and not name.isascii():
        data = name.encode("cp437")  # as which `zipfile` read it
        with suppress(UnicodeDecodeError):
            return data.decode()
        if info.create_system not in (_DOS, _NTFS):
            return data.decode("utf-8", "surrogateescape")
    return name.replace("\\", "/") if info.create_system in (_DOS, _NTFS) else name


def _seconds(info: zipfile.ZipInfo) -> float | None:
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

"""Tar archives, plain or packed by gzip, bzip2 or xz, read as members and their contents."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from dlcli.archive_members import Member

_STEP = 1 << 20
_MOST_PADDING_STEPS = 16
_OPENERS: dict[str, Callable[[Path], Any]] = {
    "tar": lambda path: path.open("rb"),
    "gzip": gzip.open,
    "bzip2": bz2.open,
    "xz": lzma.open,
}


class TarReader:
    """A tar archive. It has no directory: listing it reads it once, its contents once more."""

    def __init__(self, path: Path, packing: str) -> None:
        self._path, self._open = path, _OPENERS[packing]

    def close(self) -> None:
        """Nothing is open between two readings."""

    def members(self) -> Iterator[Member]:
        """All entries. Each is told before its content is passed by, so that one may stop there."""
        with self._entries() as entries:
            for _, info in entries:
                yield _member(info)

    def contents(self, names: Container[str]) -> Iterator[tuple[Member, IO[bytes], int]]:
        """Each named file's member, its content, and in what steps that is read."""
        with self._entries() as entries:
            for tar, info in entries:
                member = _member(info)
                if member.kind == "file" and member.name in names:
                    yield member, cast(IO[bytes], tar.extractfile(info)), _STEP

    @contextmanager
    def _entries(self) -> Iterator[Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]]:
        with self._open(self._path) as stream:
            yield _entries(_Forward(stream))


def _entries(stream: _Forward) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
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
    """A stream that is only read on, and in small steps, whatever sizes its headers claim.

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


def _member(info: tarfile.TarInfo) -> Member:
    # pax headers write times as any float, "nan" included
    seconds = float(info.mtime) if -(2.0**31) <= info.mtime < 2.0**33 else None
    if info.isdir():
        return Member(info.name, 0, "folder", None)
    # a sparse file's holes cost nothing in the archive, and nobody's photos have any
    is_file = info.isreg() and not info.issparse()
    return Member(info.name, info.size, "file" if is_file else "other", seconds)

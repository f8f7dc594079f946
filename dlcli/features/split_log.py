"""The log of one split in a feature store: which images have rows, and which chunks are intact.

    train.csv    path, size, time and inode of each image, in order; written first
    train.bc/    the rows: a bcolz array, one file for each chunk
    train.log    JSON lines: a header; then for each chunk its number of images and of rows, its
                 checksum, which images were left out and why, and which ones the rule for pixels
                 turns or scales
    train.done   the log, renamed when the last image is stored

Files are synced only at the end, and bcolz rewrites its count of rows in place. So after a kill or
a power cut any file may be torn, or older than another. The log therefore holds checksums of its
listing and its chunks, and what does not match counts as missing.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from struct import Struct
from typing import Any, Literal, NamedTuple

from dlcli.data.own_files import ARRAY, SUFFIXES
from dlcli.errors import DlError
from dlcli.files.atomic import atomic_write, sync_folder
from dlcli.files.formats import opened, parse_json, read_bytes, read_csv, write_csv
from dlcli.files.own import remove_known, remove_own, require_own, require_own_tree
from dlcli.files.transfer import sync_file
from dlcli.files.typed import read_as
from dlcli.images.pixels import PixelChange

# Of a description by bcolz: some hundred.
_MOST_BYTES = 1 << 16
# What is read at once, decompressed: 64 rows of the largest layer have 7 MB.
_MOST_CHUNK_BYTES = 1 << 30
# A chunk's file has a header by bcolz, then one by Blosc: bytes of a number, of all rows, of a
# block, of the compressed rows with this header.
_BEFORE_BLOSC = 16
_CHUNK_HEAD = Struct(f"<{_BEFORE_BLOSC}x3xBIII")


class Listed(NamedTuple):
    """An image's file at the time of listing; empty texts where there was none.

    Args:
        path: relative to the dataset's folder.
        size: in bytes.
        mtime: in whole seconds, so that a copy that keeps times compares equal.
        inode: the file's number on its disk, which a move does not change.
    """

    path: str
    size: str
    mtime: str
    inode: str

    @property
    def file(self) -> tuple[str, ...]:
        """A key that stays the same when the file moves to another split."""
        return (self.path.partition("/")[2], self.size, self.mtime, self.inode)


@dataclass(frozen=True)
class Chunk:
    """Some consecutive images.

    Args:
        images: how many, including those left out.
        rows: how many have a row; only the last chunk may be partly filled.
        crc32: checksum of the file that holds the rows.
        skipped: path -> why it was left out.
        changed: path -> what version 2 of the rule for pixels does to the image, by whichever
            version its row was made; None: unknown, as in logs of before that version.
    """

    images: int
    rows: int
    crc32: int | None
    skipped: dict[str, str]
    changed: dict[str, list[PixelChange]] | None = None


@dataclass(frozen=True)
class _Header:
    """The first line of a log; see `StoredSplit`."""

    listing: int | None
    shape: list[int]
    storage: int | None


@dataclass(frozen=True)
class _Sizes:
    """How many rows bcolz finds: `meta/sizes`."""

    shape: list[int]
    nbytes: int
    cbytes: int


@dataclass(frozen=True)
class _Compression:
    """How bcolz compresses."""

    clevel: int
    shuffle: int
    cname: Literal["lz4", "lz4hc", "blosclz", "snappy", "zlib", "zstd"]
    quantize: int | None = None


@dataclass(frozen=True)
class _Storage:
    """What bcolz says of an array of rows: `meta/storage`."""

    dtype: Literal["float32"]
    cparams: _Compression
    chunklen: int
    expectedlen: int
    dflt: float


@dataclass(frozen=True)
class StoredSplit:
    """One split's rows, as described by their log.

    Args:
        listing: all images, in order.
        shape: of one row.
        storage: checksum of bcolz's description of the array when it was made.
        chunks: the chunks so far, in order.
        finished: whether all images are stored.
    """

    folder: Path
    split: str
    listing: tuple[Listed, ...]
    shape: tuple[int, ...]
    storage: int | None
    chunks: tuple[Chunk, ...] = ()
    finished: bool = False

    @property
    def images(self) -> int:
        """The number of images in the chunks."""
        return sum(chunk.images for chunk in self.chunks)

    @property
    def rows(self) -> int:
        """The number of images with a row."""
        return sum(chunk.rows for chunk in self.chunks)

    @property
    def skipped(self) -> dict[str, str]:
        """Path -> why, for the images without a row."""
        return {path: why for chunk in self.chunks for path, why in chunk.skipped.items()}

    @property
    def changed(self) -> dict[str, list[PixelChange]] | None:
        """Path -> what version 2 of the rule for pixels does; None if it is not recorded."""
        found: dict[str, list[PixelChange]] = {}
        for chunk in self.chunks:
            if chunk.changed is None:
                return None
            found |= chunk.changed
        return found

    @property
    def with_rows(self) -> tuple[Listed, ...]:
        """The image of each row, in order."""
        skipped = self.skipped
        return tuple(each for each in self.listing[: self.images] if each.path not in skipped)

    def is_of(self, listing: Sequence[Listed]) -> bool:
        """Whether the split has exactly these images, unchanged."""
        return [each[:3] for each in self.listing] == [each[:3] for each in listing]

    def believed(self) -> StoredSplit:
        """The same, without the first missing or damaged chunk and all after it.

        A checksum does not show who wrote a file. So bcolz is shown only what it would have written
        for such rows: it reads chunks beyond their end, and objects by running what they name.
        """
        whole = 0
        if _storage_crc32(self.folder, self.split) == self.storage and self._is_stored_as_rows():
            for number, chunk in enumerate(self.chunks):
                if chunk.rows and not self._is_whole(number, chunk):
                    break
                whole += 1
        same = replace(self, chunks=self.chunks[:whole])
        return replace(same, finished=self.finished and same._is_complete())

    def _is_stored_as_rows(self) -> bool:
        """Whether bcolz's description is that of an array of such rows."""
        array = array_path(self.folder, self.split)
        try:
            held = parse_json(read_bytes(array / "meta" / "storage", _MOST_BYTES))
            storage: _Storage = read_as(_Storage, held, "storage")
        except (OSError, DlError, ValueError):
            return False
        chunk_bytes = 4 * storage.chunklen * math.prod(self.shape)
        full = all(chunk.rows in (0, storage.chunklen) for chunk in self.chunks[:-1])
        return storage.chunklen > 0 and chunk_bytes < _MOST_CHUNK_BYTES and full

    def _is_whole(self, number: int, chunk: Chunk) -> bool:
        """Whether a chunk's file is the logged one, and has as many bytes as its header says."""
        file = _chunk(self.folder, self.split, number)
        if _crc32(file) != chunk.crc32:
            return False
        with opened(file) as content:
            head = content.read(_CHUNK_HEAD.size)
            size = os.fstat(content.fileno()).st_size
        if len(head) < _CHUNK_HEAD.size:
            return False
        number_bytes, row_bytes, _, compressed = _CHUNK_HEAD.unpack(head)
        stored = 4 * chunk.rows * math.prod(self.shape)
        return (number_bytes, row_bytes, compressed) == (4, stored, size - _BEFORE_BLOSC)

    def _is_complete(self) -> bool:
        try:
            held = parse_json(read_bytes(_sizes(self.folder, self.split), _MOST_BYTES))
            sizes: _Sizes = read_as(_Sizes, held, "sizes")
        except (OSError, DlError, ValueError):
            return False
        return self.images == len(self.listing) and sizes.shape == [self.rows, *self.shape]

    def plus(
        self,
        images: int,
        rows: int,
        skipped: dict[str, str],
        changed: dict[str, list[PixelChange]],
    ) -> StoredSplit:
        """Log one more chunk, whose rows are already in their file."""
        crc32 = _chunk_crc32(self.folder, self.split, len(self.chunks))
        chunk = Chunk(images, rows, crc32, skipped, changed)
        with _path(self.folder, self.split, ".log").open("a", encoding="ascii") as file:
            file.write(_line(asdict(chunk)))
        return replace(self, chunks=(*self.chunks, chunk))

    def reopen(self) -> None:
        """Make the files describe exactly these chunks, so that more can be added."""
        done, log = (_path(self.folder, self.split, suffix) for suffix in (".done", ".log"))
        if done.exists():
            done.replace(log)
        header = _header(self.folder, self.split, self.shape)
        atomic_write(log, "".join(map(_line, [header, *map(asdict, self.chunks)])))
        self._write_sizes()

    def record_changed(self, changed: Mapping[str, Iterable[PixelChange]]) -> None:
        """Record what the rule for pixels does to the images of a finished split."""
        paths = iter(self.listing)
        chunks = []
        for chunk in self.chunks:
            mine = [listed.path for listed in itertools.islice(paths, chunk.images)]
            own = {path: list(changed[path]) for path in mine if path in changed}
            chunks.append(replace(chunk, changed=own))
        log = _path(self.folder, self.split, ".done")
        header = _whole_lines(log)[0]  # a new one would vouch for files damaged since
        atomic_write(log, "".join(map(_line, [header, *map(asdict, chunks)])))

    def finish(self) -> None:
        """Sync all files to disk, then mark the split as finished, as the last step."""
        self._write_sizes()
        log = _path(self.folder, self.split, ".log")
        array = _path(self.folder, self.split, ".bc")
        for path in (log, array, *array.rglob("*")):
            if path.is_dir():
                sync_folder(path)
            else:
                sync_file(str(path))
        log.replace(_path(self.folder, self.split, ".done"))
        sync_folder(self.folder)

    def _write_sizes(self) -> None:
        """Tell bcolz the number of rows, by an atomic write."""
        shape = [self.rows, *self.shape]
        data = (_path(self.folder, self.split, ".bc") / "data").iterdir()
        cbytes = sum(path.stat().st_size for path in data)
        sizes = {"shape": shape, "nbytes": 4 * math.prod(shape), "cbytes": cbytes}
        atomic_write(_sizes(self.folder, self.split), _line(sizes))


def list_images(root: Path, paths: Iterable[str]) -> tuple[Listed, ...]:
    """What shows whether an image is still the same: size, time, inode."""
    listing = []
    for path in paths:
        try:
            status = os.stat(f"{root}/{path}")
        except OSError:  # reported later, with the unreadable images
            listing.append(Listed(path, "", "", ""))
        else:
            times = (status.st_size, int(status.st_mtime), status.st_ino)
            listing.append(Listed(path, *map(str, times)))
    return tuple(listing)


def array_path(folder: Path, split: str) -> Path:
    """The folder of one split's bcolz array."""
    return _path(folder, split, ".bc")


def write_listing(folder: Path, split: str, listing: Iterable[Listed]) -> None:
    """Begin a split from scratch."""
    remove_split(folder, split)
    write_csv(_path(folder, split, ".csv"), [Listed._fields, *listing])


def begin_log(
    folder: Path, split: str, listing: tuple[Listed, ...], shape: tuple[int, ...]
) -> StoredSplit:
    """Begin the log of a new array, for rows of this shape."""
    header = _header(folder, split, shape)
    atomic_write(_path(folder, split, ".log"), _line(header))
    return StoredSplit(folder, split, listing, shape, header["storage"])


def read_split(folder: Path, split: str) -> StoredSplit | None:
    """Read a split's log; None if there is none, it belongs to another listing, or has a link."""
    done, log, listing, array = (_path(folder, split, suffix) for suffix in SUFFIXES)
    try:
        for file in (done, log, listing):
            require_own(file, folder)
        require_own_tree(array, folder)
        finished = done.is_file()
        first, *lines = _whole_lines(done if finished else log)
        header: _Header = read_as(_Header, first, "header")
        if header.listing != _crc32(listing):
            return None
        stored = StoredSplit(
            folder=folder,
            split=split,
            listing=tuple(Listed(*row) for row in read_csv(listing)[1:]),
            shape=tuple(header.shape),
            storage=header.storage,
            chunks=tuple(read_as(Chunk, line, "chunk") for line in lines),
            finished=finished,
        )
    except (OSError, DlError, ValueError, TypeError):
        return None
    return stored if _is_sound(stored) else None


def _is_sound(stored: StoredSplit) -> bool:
    """Whether a log's numbers are those of its images, and it names no others."""
    listed = iter(stored.listing)
    for chunk in stored.chunks:
        if not 0 <= chunk.images <= len(stored.listing):
            return False
        paths = {each.path for each in itertools.islice(listed, chunk.images)}
        named = chunk.skipped.keys() | (chunk.changed or {})
        if not named <= paths or chunk.rows != len(paths) - len(chunk.skipped):
            return False
        if len(paths) != chunk.images:
            return False
    return all(length > 0 for length in stored.shape)


def remove_split(folder: Path, split: str) -> None:
    """Remove all files of one split, its log first."""
    *files, array = (_path(folder, split, suffix) for suffix in SUFFIXES)
    for file in files:
        remove_own(file, folder)
    if array.is_file():  # it is damaged
        remove_own(array, folder)
    remove_known(array, folder, re.compile(ARRAY))


def set_aside(folder: Path, split: str, to: Path) -> None:
    """Move one split to another folder, a new one."""
    to.mkdir(parents=True)
    for suffix in SUFFIXES:
        path = _path(folder, split, suffix)
        if path.exists():
            path.rename(to / path.name)


def _path(folder: Path, split: str, suffix: str) -> Path:
    return folder / f"{split}{suffix}"


def _sizes(folder: Path, split: str) -> Path:
    return array_path(folder, split) / "meta" / "sizes"


def _header(folder: Path, split: str, shape: Sequence[int]) -> dict[str, Any]:
    return {
        "listing": _crc32(_path(folder, split, ".csv")),
        "shape": list(shape),
        "storage": _storage_crc32(folder, split),
    }


def _storage_crc32(folder: Path, split: str) -> int | None:
    array = array_path(folder, split)
    return _crc32(array / "meta" / "storage", array / "__attrs__")


def _chunk_crc32(folder: Path, split: str, number: int) -> int | None:
    return _crc32(_chunk(folder, split, number))


def _chunk(folder: Path, split: str, number: int) -> Path:
    return array_path(folder, split) / "data" / f"__{number}.blp"


def _crc32(*files: Path) -> int | None:
    """Checksum of files; None where one can't be read."""
    checksum = 0
    for path in files:
        try:
            checksum = zlib.crc32(read_bytes(path), checksum)
        except (OSError, DlError):
            return None
    return checksum


def _line(value: Any) -> str:
    return json.dumps(value) + "\n"


def _whole_lines(path: Path) -> list[Any]:
    """A log's lines before the first torn one."""
    *lines, _ = read_bytes(path).split(b"\n")
    found = []
    for line in lines:
        try:
            found.append(parse_json(line))
        except ValueError:
            break
    return found

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
from typing import Any, NamedTuple

from dlcli.errors import DlError
from dlcli.files.atomic import atomic_write, sync_folder
from dlcli.files.formats import read_csv, write_csv
from dlcli.files.own import remove_known, remove_own, require_own, require_own_tree
from dlcli.files.transfer import sync_file
from dlcli.images.pixels import PixelChange

SUFFIXES = (".done", ".log", ".csv", ".bc")
# The paths of what bcolz makes in an array's folder.
ARRAY = r"__attrs__|meta|meta/(sizes|storage)|data|data/__\d+\.blp"


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
        """The same, without the first missing or damaged chunk and all after it."""
        whole = 0
        if _storage_crc32(self.folder, self.split) == self.storage:
            for chunk in self.chunks:
                if chunk.rows and _chunk_crc32(self.folder, self.split, whole) != chunk.crc32:
                    break
                whole += 1
        same = replace(self, chunks=self.chunks[:whole])
        return replace(same, finished=self.finished and same._is_complete())

    def _is_complete(self) -> bool:
        try:
            sizes = json.loads(_sizes(self.folder, self.split).read_bytes())
            return self.images == len(self.listing) and sizes["shape"] == [self.rows, *self.shape]
        except (OSError, ValueError, KeyError, TypeError):
            return False

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
        header, *lines = _whole_lines(done if finished else log)
        if header["listing"] != _crc32(listing):
            return None
        return StoredSplit(
            folder=folder,
            split=split,
            listing=tuple(Listed(*row) for row in read_csv(listing)[1:]),
            shape=tuple(header["shape"]),
            storage=header["storage"],
            chunks=tuple(Chunk(**line) for line in lines),
            finished=finished,
        )
    except (OSError, ValueError, KeyError, TypeError, DlError):
        return None


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
    return _crc32(array_path(folder, split) / "data" / f"__{number}.blp")


def _crc32(*files: Path) -> int | None:
    """Checksum of files; None where one can't be read."""
    checksum = 0
    for path in files:
        try:
            checksum = zlib.crc32(path.read_bytes(), checksum)
        except OSError:
            return None
    return checksum


def _line(value: Any) -> str:
    return json.dumps(value) + "\n"


def _whole_lines(path: Path) -> list[Any]:
    """A log's lines before the first torn one."""
    *lines, _ = path.read_bytes().split(b"\n")
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found

"""Files and folders written whole or not at all; the room on a disk, looked at before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from dlcli import words
from dlcli.errors import DlError
from dlcli.files.paths import absolute, is_folder, shown
from dlcli.process import exists

# File systems give whole blocks: of 25,000 small files that is half of what they take.
_BLOCK_BYTES = 4096
# What a process writes aside: its number, and the name to be. People have files like `.2024-notes`.
_LEFT = ".dl-{}-{}"


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Write a file whole or not at all: temp + fsync + rename.

    Args:
        path: the file to appear, or to be replaced, when the block ends well.

    Yields:
        a temporary path beside it, with the same suffixes (Keras' savers insist on theirs).
    """
    temporary = _aside(path)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        # a write that fails names no file, and nobody knows the temporary one
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def atomic_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Make a folder whole or not at all: built aside + fsync + rename.

    Args:
        path: the folder to appear when the block ends well; its parent is made.
        replace: whether what is there gives way.

    Yields:
        an empty folder beside it.

    Raises:
        OSError: something is there, and is not to be replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left(path.parent.glob(_LEFT.format("*", escape(path.name))))
    built = _aside(path)
    shutil.rmtree(built, ignore_errors=True)  # by a process that had our number
    built.mkdir()
    try:
        yield built
        sync_tree(built)
        if replace:
            shutil.rmtree(path, ignore_errors=True)
        built.rename(path)
    finally:
        shutil.rmtree(built, ignore_errors=True)
    sync_folder(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove what was being written below a folder by processes that were killed."""
    _remove_left(folder.rglob(_LEFT.format("*", "*")))


def _aside(path: Path) -> Path:
    """Where this process writes what is to become `path`."""
    return path.with_name(_LEFT.format(os.getpid(), path.name))


def _remove_left(temporaries: Iterable[Path]) -> None:
    for path in list(temporaries):
        pid = path.name.split("-")[1]
        if pid.isdecimal() and not exists(int(pid)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write `content` whole or not at all; text as UTF-8, file names' odd bytes kept."""
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries (a rename, a new file) last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems can't; the rename itself stays atomic
        pass
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make a folder and all files below it last through a power cut."""
    for above, _, names in os.walk(folder):
        for name in names:
            with Path(above, name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(above))


def sync_disk(folder: Path) -> None:
    """Make all that was written on a folder's disk last through a power cut.

    25,000 files at once take a second; each on its own, twenty.
    """
    import ctypes

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if hasattr(ctypes.CDLL(None), "syncfs"):
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
        else:
            os.sync()
    finally:
        os.close(descriptor)


def digest_of(file: Path) -> str:
    """The sha256 of a file, in hex digits; "" where it is gone."""
    import hashlib

    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


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
            why=f"it takes {words.size(needed)}, and the disk at {shown(_mount(folder))} has "
            f"{words.size(free)} left",
            hint=hint,
        )


def existing(folder: Path) -> Path:
    """A folder, or where it is yet to be made the nearest one around it that is there."""
    return next(each for each in (folder, *absolute(folder).parents) if is_folder(each))


def _mount(folder: Path) -> Path:
    """Where the disk is mounted that a folder lies on."""
    place = existing(folder).resolve()
    return next(each for each in (place, *place.parents) if os.path.ismount(each))

"""Write files and folders atomically, and check the room on a disk before."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from dlcli import words
from dlcli.errors import DlError
from dlcli.files.paths import absolute, is_folder, shown
from dlcli.process import SILENT_SECONDS, exists

# File systems allocate whole blocks, which is half of the room that 25,000 small files take.
_BLOCK_BYTES = 4096
# A temporary name: the process's number and the final name. Users have files like `.2024-notes`.
_LEFT = ".dl-{}-{}"


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Write a file atomically: temporary file, fsync, rename.

    Args:
        path: the file to make or replace when the block ends without an error.

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
        # a failed write names no file, or the temporary one that nobody knows
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def atomic_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Make a folder atomically: temporary folder, fsync, rename.

    Args:
        path: the folder to make when the block ends without an error; its parent is made too.
        replace: whether an existing folder is replaced.

    Yields:
        an empty temporary folder beside it.

    Raises:
        OSError: it exists, and `replace` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # only old ones: a process of another machine may be building the same folder
    _remove_left(filter(_is_old, path.parent.glob(_LEFT.format("*", escape(path.name)))))
    built, replaced = _aside(path), _aside(path.with_name(f"old-{path.name}"))
    for each in (built, replaced):  # left by an earlier process of our number
        shutil.rmtree(each, ignore_errors=True)
    built.mkdir()
    try:
        yield built
        sync_tree(built)
        if replace and path.is_dir():
            path.rename(replaced)  # a kill while it is removed would leave half of it
        built.rename(path)
    finally:
        shutil.rmtree(built, ignore_errors=True)
    sync_folder(path.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed processes left below a folder."""
    _remove_left(folder.rglob(_LEFT.format("*", "*")))


def _aside(path: Path) -> Path:
    """The temporary path of this process for `path`."""
    return path.with_name(_LEFT.format(os.getpid(), path.name))


def _is_old(folder: Path) -> bool:
    """Whether nothing was added to it for so long that no process builds it."""
    try:
        return time.time() - folder.stat().st_mtime > SILENT_SECONDS
    except FileNotFoundError:  # finished by now
        return False


def _remove_left(temporaries: Iterable[Path]) -> None:
    for path in list(temporaries):
        pid = path.name.split("-")[1]
        if pid.isdecimal() and not exists(int(pid)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write `content` atomically; text as UTF-8, with invalid bytes of file names kept."""
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries (a rename, a new file) to disk, to survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems can't; the rename is still atomic
        pass
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Sync a folder and all files below it to disk, to survive a power cut."""
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
    """The sha256 of a file, in hex digits; "" if it is missing."""
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
    """Refuse to write more than fits on a disk.

    Args:
        folder: the folder to write to; it need not exist yet.
        sizes: bytes of each file.
        what: what needs the room: "to unpack ~/pets.zip".
        hint: what to do, and if needed what was done so far.

    Raises:
        DlError: the disk is too full.
    """
    needed = sum(-(-size // _BLOCK_BYTES) * _BLOCK_BYTES for size in sizes)
    free = shutil.disk_usage(existing(folder)).free
    if needed > free:
        raise DlError(
            f"No room {what}",
            why=f"it needs {words.size(needed)}, and the disk at {shown(_mount(folder))} has "
            f"{words.size(free)} left",
            hint=hint,
        )


def existing(folder: Path) -> Path:
    """A folder, or its nearest parent that exists."""
    return next(each for each in (folder, *absolute(folder).parents) if is_folder(each))


def _mount(folder: Path) -> Path:
    """The mount point of a folder's disk."""
    place = existing(folder).resolve()
    return next(each for each in (place, *place.parents) if os.path.ismount(each))

"""Write files and folders atomically, and check the room on a disk before."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from dlcli import words
from dlcli.errors import DlError
from dlcli.files.own import (
    ASIDE,
    LEFT_SECONDS,
    MARKER,
    WRITING,
    abandoned,
    is_begun,
    is_copy,
    mark,
    marked,
    own_folder,
    require_own,
    unmark,
)
from dlcli.files.paths import absolute, is_folder, shown
from dlcli.process import exists, machine_id
from dlcli.progress import say

# File systems allocate whole blocks, which is half of the room that 25,000 small files take.
_BLOCK_BYTES = 4096
# Where a folder that is replaced waits in there, until the new one has its place.
_REPLACED, _DROPPED = ".replaced", ".dropped"
# The temporary files of earlier versions. Nothing but the name tells them from a user's.
_EARLIER = re.compile(r"\.dl-\d+-")
# From so many files on, one sync of the whole disk is quicker than one for each file.
_MANY_FILES = 200


@contextmanager
def atomic(path: Path, root: Path | None = None) -> Iterator[Path]:
    """Write a file atomically: temporary file, fsync, rename.

    Args:
        path: the file to make or replace when the block ends without an error. A link is replaced,
            not what it leads to.
        root: the folder below which the path may go through no link; None: the file's own.

    Yields:
        a temporary path on the same disk, with the same name (Keras' savers insist on its suffix).

    Raises:
        NotOwnError: a folder between the root and the file is a link.
    """
    try:
        with own_folder(path.parent, root or path.parent) as above, aside(path) as folder:
            yield folder / path.name
            with (folder / path.name).open("rb") as file:
                os.fsync(file.fileno())
            os.replace(folder / path.name, path.name, dst_dir_fd=above)
    except OSError as error:
        # a failed write names no file, or one that nobody knows
        hidden = error.filename is None or ASIDE.search(os.fspath(error.filename))
        if error.errno is not None and (hidden or Path(error.filename) == path.parent):
            error.filename, error.filename2 = str(path), None
        raise
    sync_folder(path.parent)


@contextmanager
def atomic_folder(
    path: Path, root: Path | None = None, *, replace: bool = False, keep_others: bool = False
) -> Iterator[Path]:
    """Make a folder atomically: temporary folder, fsync, rename.

    Args:
        path: the folder to make when the block ends without an error; its parent is made too.
        root: the folder below which the path may go through no link; None: its parent.
        replace: whether an existing folder is replaced.
        keep_others: what the existing folder has and the new one lacks stays; else it goes.

    Yields:
        an empty temporary folder on the same disk.

    Raises:
        NotOwnError: it or a folder between the root and it is a link.
        OSError: it exists, and `replace` is false.
    """
    with own_folder(path.parent, root or path.parent, make=True):
        require_own(path, root or path.parent, folder=True)
    settle_folder(path)
    with aside(path) as folder:
        built, replaced = folder / path.name, folder / (_REPLACED if keep_others else _DROPPED)
        built.mkdir()
        yield built
        sync_tree(built)
        try:
            if replace and path.is_dir():
                path.rename(replaced)  # a kill while it is removed would leave half of it
            built.rename(path)
        finally:
            if replaced.is_dir() and not path.exists():  # Ctrl-C between the two renames
                replaced.rename(path)
    sync_folder(path.parent)


def settle_folder(path: Path) -> None:
    """Clear up after a killed `atomic_folder(path)`: the old folder is back, or the new one whole.

    `atomic_folder` itself begins with this.
    """
    for folder in list(path.parent.glob(".dl-*")):
        if not ASIDE.fullmatch(folder.name):
            continue
        record = abandoned(folder, WRITING)
        if record.get("target") == path.name:
            for replaced in (folder / _REPLACED, folder / _DROPPED):
                if replaced.is_dir() and not os.path.lexists(path):  # killed between the renames
                    replaced.rename(path)
        if record.get("target") == path.name or not marked(folder, WRITING):
            _remove_left(folder)


def remove_folder(path: Path) -> None:
    """Remove a folder that is there whole, until it is gone at once; links in it are not followed.

    A kill may leave it under a temporary name, for `remove_leftovers`.
    """
    with aside(path) as folder:
        path.rename(folder / path.name)


def remove_leftovers(folder: Path, *, deep: bool = True) -> None:
    """Remove the temporary files that killed processes left in a folder; follow no link.

    Args:
        deep: whether to look into the folders in it, too.
    """
    for above, names, files in os.walk(folder):
        for name in filter(ASIDE.fullmatch, list(names)):
            names.remove(name)
            _remove_left(Path(above, name))
        for name in filter(_EARLIER.match, [*names, *files]):
            say(
                f"{shown(Path(above, name))} may be what a stopped command of an earlier version "
                "left. If it is not yours, remove it."
            )
        if not deep:
            break


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A new temporary folder beside `path`, for this process alone; it goes at the end.

    So does a file or folder in it that has the path's name. All else in it stays.
    """
    folder = path.with_name(f".dl-{os.getpid()}-{machine_id()}-{os.urandom(4).hex()}")
    folder.mkdir()
    try:
        mark(folder, WRITING, path.name)
        yield folder
    finally:
        _clear(folder, path)


def _clear(folder: Path, target: Path) -> None:
    """Remove a temporary folder and what `dl` put into it; the mark goes last."""
    with suppress(OSError):
        if os.path.lexists(target):
            _carry_over(folder / _REPLACED, target)
        for left in (folder / target.name, folder / _REPLACED, folder / _DROPPED):
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            elif os.path.lexists(left):
                left.unlink()
        if [path.name for path in folder.iterdir()] == [MARKER]:
            unmark(folder)
        folder.rmdir()


def _remove_left(folder: Path) -> None:
    """Remove a temporary folder of a process that was killed."""
    if record := abandoned(folder, WRITING):
        _clear(folder, folder.with_name(Path(record["target"]).name))
        if folder.exists():
            say(f"{shown(folder)} stays: it holds something that `dl` did not put there.")
        return
    with suppress(OSError, DlError):  # killed before it was marked, or when it no longer was
        if _is_unmarked(folder):
            unmark(folder)
            folder.rmdir()
    if is_copy(folder):
        _name_copy(folder)


@cache
def _name_copy(folder: Path) -> None:
    """Say once what a folder is that is named like a temporary one, and has its mark."""
    say(
        f"{shown(folder)} stays: it is a copy of a temporary folder of `dl`, such as a backup that "
        "was restored. If you need nothing in it, remove it."
    )


def _is_unmarked(folder: Path) -> bool:
    """Whether a temporary folder of a killed process is empty, or holds half a mark alone."""
    pid, machine = ASIDE.fullmatch(folder.name).groups()  # type: ignore[union-attr]
    status = folder.lstat()
    if machine == machine_id():
        gone = not exists(int(pid))
    else:
        gone = time.time() - status.st_mtime > LEFT_SECONDS
    if not gone or folder.is_symlink():
        return False
    return not any(folder.iterdir()) or is_begun(folder, WRITING)


def _carry_over(replaced: Path, target: Path) -> None:
    """Move what a replaced folder has, and the new one lacks, into the new one."""
    for above, folders, names in os.walk(replaced):
        inside = target / Path(above).relative_to(replaced)
        for name in list(folders):
            if not os.path.lexists(inside / name):
                Path(above, name).rename(inside / name)
                folders.remove(name)
        for name in names:
            if not os.path.lexists(inside / name):
                Path(above, name).rename(inside / name)


def atomic_write(path: Path, content: str | bytes, root: Path | None = None) -> None:
    """Write `content` as by `atomic`; text as UTF-8, with invalid bytes of file names kept."""
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    with atomic(path, root) as temporary:
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
    if sum(len(names) for _, _, names in os.walk(folder)) > _MANY_FILES:
        sync_disk(folder)
        return
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

"""Write files and folders atomically, and check the room on a disk before."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from dlcli import words
from dlcli.errors import DlError
from dlcli.files.paths import absolute, is_folder, shown
from dlcli.process import exists, machine_id

# File systems allocate whole blocks, which is half of the room that 25,000 small files take.
_BLOCK_BYTES = 4096
# A temporary name: process, machine, a random part, and the final name. 0.1.0 wrote the first and
# the last. Users have files like `.2024-notes`.
_TEMPORARY = re.compile(r"\.dl-(\d+)-(?:([0-9a-f]{8})-[0-9a-f]{8}(?:\.old)?-)?")
# Most file systems take names of 255 bytes; what comes before the final name takes up to 37.
_MOST_NAME_BYTES = 200
# A process of another machine can't be checked, but none writes for so long.
_LEFT_SECONDS = 24 * 60 * 60
# From so many files on, one sync of the whole disk is quicker than one for each file.
_MANY_FILES = 200


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
    settle_folder(path)
    built, replaced = _aside(path), _aside(path, ".old")
    built.mkdir()
    try:
        yield built
        sync_tree(built)
        if replace and path.is_dir():
            path.rename(replaced)  # a kill while it is removed would leave half of it
        built.rename(path)
    finally:
        if replaced.is_dir() and not path.exists():  # Ctrl-C between the two renames
            replaced.rename(path)
        shutil.rmtree(built, ignore_errors=True)
    sync_folder(path.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def settle_folder(path: Path) -> None:
    """Clear up after a killed `atomic_folder(path)`: the old folder is back, or the new one whole.

    `atomic_folder` itself begins with this.
    """
    name = escape(_end(path.name))
    for old in filter(_is_left, list(path.parent.glob(f".dl-*.old-{name}"))):
        if not path.exists():  # killed between the two renames
            old.rename(path)
    _remove_left(path.parent.glob(f".dl-*-{name}"))


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed processes left below a folder."""
    _remove_left(folder.rglob(".dl-*"))


def _aside(path: Path, mark: str = "") -> Path:
    """A new temporary path for `path`, which no other process and no other machine uses."""
    unique = f"{os.getpid()}-{machine_id()}-{os.urandom(4).hex()}{mark}"
    return path.with_name(f".dl-{unique}-{_end(path.name)}")


def _end(name: str) -> str:
    """A name, or the end of a long one, with its suffixes."""
    encoded = os.fsencode(name)
    if len(encoded) <= _MOST_NAME_BYTES:
        return name
    return encoded[-_MOST_NAME_BYTES:].decode(errors="ignore")  # the first character may be cut


def _remove_left(paths: Iterable[Path]) -> None:
    for path in filter(_is_left, list(paths)):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_left(path: Path) -> bool:
    """Whether it is temporary, and its process has ended."""
    temporary = _TEMPORARY.match(path.name)
    if not temporary:
        return False
    pid, machine = temporary.groups()
    if machine == machine_id():
        return not exists(int(pid))
    try:
        return time.time() - path.stat().st_mtime > _LEFT_SECONDS
    except FileNotFoundError:  # finished by now
        return False


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

"""Move or copy one file, so that no file is replaced or lost.

`os.rename` replaces silently, so a move is link + unlink: at every moment the file has its old
name, its new one, or both. Each function may be called again after it was killed anywhere, and
then ends as if it had not been.

A move between the folders of a dataset goes through their descriptors: a folder that somebody
exchanges for a link meanwhile leads no file elsewhere.
"""

# A Path costs more than the system call, and these run for every file.
# ruff: noqa: PTH108, PTH110, PTH114, PTH115, PTH117, PTH208, PTH211

from __future__ import annotations

import errno
import filecmp
import os
import shutil
import stat
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple

PARTIAL = ".dl-partial"
"""The hidden name, one per folder, under which a copy grows before it gets its own."""

# EPERM: file systems without hard links, and Linux' rule against linking to others' files.
_CANNOT_LINK = {
    errno.EPERM,
    errno.EXDEV,
    errno.EMLINK,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
}
# FAT keeps times to two seconds.
_TIME_STEP_SECONDS = 2
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Files move class by class.
_MOST_OPEN = 8


class Spot(NamedTuple):
    """Where a file is or goes: its path, and its name in a folder that is open, if one is."""

    path: str
    name: str
    folder: int | None = None


class Folders:
    """The folders below a root: opened without following links, and the last few kept open.

    Args:
        root: may itself be a link.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._open: dict[str, int] = {}
        with suppress(FileNotFoundError):
            self._open[""] = os.open(root, _FOLDER)

    def __enter__(self) -> Folders:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)

    def spot(self, path: str) -> Spot | None:
        """A file's place, given its path below the root; None where its folder is missing.

        Raises:
            OSError: a folder on the way is a link, or not a folder; no permission.
        """
        folder, _, name = path.rpartition("/")
        descriptor = self._open.get(folder)
        if descriptor is None:
            if not self._open:
                return None
            try:
                descriptor = self._descend(folder)
            except FileNotFoundError:
                return None
            if len(self._open) > _MOST_OPEN:
                oldest = next(key for key in self._open if key)
                os.close(self._open.pop(oldest))
            self._open[folder] = descriptor
        return Spot(f"{self._root}/{path}", name, descriptor)

    def _descend(self, folder: str) -> int:
        descriptor, way = os.dup(self._open[""]), self._root
        for name in folder.split("/"):
            way += f"/{name}"
            try:
                inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            except OSError as error:
                error.filename = way
                if error.errno in (errno.ELOOP, errno.ENOTDIR) and os.path.islink(way):
                    error.strerror = "it has become a link"
                raise
            finally:
                os.close(descriptor)
            descriptor = inner
        return descriptor


def move_file(source: str | Spot | None, target: str | Spot | None, link: str = "") -> bool:
    """Give a file a new name, on the same file system or another.

    Args:
        source, target: paths, or places in open folders; None where the folder is missing.
        link: the text that a symbolic link gets; by default one that points to the same file.

    Returns:
        False where there is neither source nor target: somebody removed the file.

    Raises:
        FileExistsError: there is another file at the target.
        OSError: no permission, no space; the target is the source itself.
    """
    here, there = _spot(source), _spot(target)
    if here is None or there is None:
        if here is not None and _mode(here) is not None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), here.path)
        return there is not None and _mode(there) is not None
    try:
        return _move(here, there, link)
    except OSError as error:
        if error.filename == here.name:
            error.filename = here.path
        elif error.filename == there.name:
            error.filename = there.path
        if error.filename2 is not None:
            error.filename, error.filename2 = there.path, None
        raise


def move_back(target: str | Spot | None, source: str | Spot | None, link: str = "") -> bool:
    """Undo `move_file(source, target)`, whether it was killed, never begun, or finished.

    Args:
        link: the text that the symbolic link had; "" for a file.
    """
    there, here = _spot(target), _spot(source)
    if there is not None and here is not None and _is_claim(there, here):
        _unlink(there)
        return True
    return move_file(there, here, link)


def copy_file(source: str, target: str, *, durable: bool = False) -> bool:
    """Copy a file's bytes, times and permissions; a link is copied as the file it points to.

    Args:
        durable: wait until the bytes would survive a power cut.

    Returns:
        False where there is neither source nor target.

    Raises:
        FileExistsError: there is another file at the target.
        OSError: no permission, no space.
    """
    if os.path.lexists(target):
        if not os.path.exists(source) or is_unchanged(target, source):
            return True
        _free_claim(Spot(target, target), Spot(source, source))
    partial = os.path.join(os.path.dirname(target), PARTIAL)
    # first, for a killed copy may have left it as a second name of a finished file
    with suppress(FileNotFoundError):
        os.unlink(partial)
    try:
        _copy(source, partial, durable)
        _name(partial, target)
    except FileNotFoundError:
        if os.path.exists(source):
            raise
        return False
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial)
    return True


def remove_copy(target: str, source: str) -> bool:
    """Undo `copy_file(source, target)`, but never remove the only copy or a changed one.

    Returns:
        False where the copy stays: it was changed, or its original is gone, was changed, or is
            this same file.
    """
    if not os.path.lexists(target):
        return True
    if is_spare(target, source) or _is_claim(Spot(target, target), Spot(source, source)):
        os.unlink(target)
        return True
    return False


def link_file(source: str, target: str) -> bool:
    """Make a symbolic link to a file; a link in the file's path is resolved, the file's own is not.

    Returns:
        False where there is neither source nor target.

    Raises:
        FileExistsError: there is another file at the target.
        OSError: no permission.
    """
    if not os.path.lexists(source):
        return os.path.lexists(target)
    if not _is_link_to(target, source):
        os.symlink(_place(source), target)
    return True


def link_text(path: str) -> str:
    """What a symbolic link says; "" for a file, and where there is nothing."""
    return os.readlink(path) if os.path.islink(path) else ""


def remove_link(target: str, source: str) -> bool:
    """Undo `link_file(source, target)`.

    Returns:
        False where the target stays: it is not that link any more.
    """
    if not os.path.lexists(target):
        return True
    if not _is_link_to(target, source):
        return False
    os.unlink(target)
    return True


def is_unchanged(copy: str, original: str) -> bool:
    """Whether a copy still has its original's size and time; False where either is missing."""
    try:
        ours, theirs = os.stat(copy), os.stat(original)
    except FileNotFoundError:
        return False
    apart = abs(int(ours.st_mtime) - int(theirs.st_mtime))
    return ours.st_size == theirs.st_size and apart <= _TIME_STEP_SECONDS


def is_spare(copy: str, original: str) -> bool:
    """Whether a copy is unchanged and its original another file, so that nothing goes with it.

    An original may have become a link to its copy, or the copy's folder taken the original's name.
    Size and time alone can be forged, so all bytes are compared.
    """
    if not is_unchanged(copy, original):
        return False
    copy_itself, original_itself = (Spot(p, p) for p in map(os.path.realpath, (copy, original)))
    if _is_one(copy_itself, original_itself):
        return False
    with suppress(PermissionError):
        return filecmp.cmp(copy, original, shallow=False)
    return False


def sweep(folder: str) -> None:
    """Remove what a killed copy left in a folder."""
    with suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(os.path.join(folder, PARTIAL))


def sync_file(path: str) -> None:
    """Wait until a file's bytes would survive a power cut; nothing where it is gone."""
    with suppress(FileNotFoundError):
        # by now, it may be a FIFO that has the name: to open it would wait
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _spot(place: str | Spot | None) -> Spot | None:
    return Spot(place, place) if isinstance(place, str) else place


def _mode(spot: Spot) -> int | None:
    """What is there, a link as such; None where there is nothing."""
    try:
        return os.lstat(spot.name, dir_fd=spot.folder).st_mode
    except OSError:
        return None


def _unlink(spot: Spot) -> None:
    os.unlink(spot.name, dir_fd=spot.folder)


def _move(source: Spot, target: Spot, link: str) -> bool:
    mode = _mode(source)
    if _mode(target) is not None:
        if mode is None:
            return True
        if _is_one(source, target):
            raise OSError(errno.EINVAL, "it would move onto itself", target.path)
        if _is_same(source, target):
            _unlink(source)
            return True
        _free_claim(target, source)
    try:
        if mode is not None and stat.S_ISLNK(mode):
            os.symlink(link or _link_text(source, target), target.name, dir_fd=target.folder)
        else:
            os.link(
                source.name,
                target.name,
                src_dir_fd=source.folder,
                dst_dir_fd=target.folder,
                follow_symlinks=False,
            )
    except FileNotFoundError:
        if _mode(source) is not None:
            raise  # it is the target's folder that is missing
        return False
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        _move_without_link(source, target)
    else:
        _unlink(source)
    return True


def _is_link_to(path: str, file: str) -> bool:
    return link_text(path) == _place(file)


def _place(file: str) -> str:
    """A file's path without links, but for the file itself."""
    folder, name = os.path.split(file)
    return os.path.join(os.path.realpath(folder), name)


def _link_text(source: Spot, target: Spot) -> str:
    """The text of a symbolic link that points, from its new folder, to what the old one does."""
    text = os.readlink(source.name, dir_fd=source.folder)
    before, after = (os.path.realpath(os.path.dirname(spot.path)) for spot in (source, target))
    if before != after and not os.path.isabs(text):
        text = os.path.relpath(os.path.join(before, text), after)
    return text


def _move_without_link(source: Spot, target: Spot) -> None:
    """Move where hard links can't be made: claim the name, then rename over the claim."""
    claim = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    os.close(os.open(target.name, claim, 0o777, dir_fd=target.folder))
    try:
        os.replace(source.name, target.name, src_dir_fd=source.folder, dst_dir_fd=target.folder)
    except OSError as error:
        _unlink(target)
        if error.errno != errno.EXDEV:
            raise
        copy_file(source.path, target.path, durable=True)
        if _mode(target) is None:  # it went elsewhere, through a link
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), target.path) from error
        _unlink(source)


def _free_claim(target: Spot, source: Spot) -> None:
    if not _is_claim(target, source):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target.path)
    _unlink(target)


def _is_claim(spot: Spot, other: Spot) -> bool:
    """Whether a name is only claimed: an empty file, while the other name has the bytes."""
    try:
        ours = os.lstat(spot.name, dir_fd=spot.folder)
        if not (stat.S_ISREG(ours.st_mode) and ours.st_size == 0):
            return False
        return os.lstat(other.name, dir_fd=other.folder).st_size > 0
    except FileNotFoundError:
        return False


def _is_one(spot: Spot, other: Spot) -> bool:
    """Whether two places are one name of one file: to remove it would remove the file.

    A folder that is a link gives a name a second path; a disk that ignores case, a second spelling.
    """
    statuses = [os.lstat(each.name, dir_fd=each.folder) for each in (spot, other)]
    if not os.path.samestat(*statuses):
        return False
    folder, another = map(_folder, (spot, other))
    if not os.path.samestat(os.stat(folder), os.stat(another)):
        return False
    name, other_name = (each.path.rpartition("/")[2] for each in (spot, other))
    return name == other_name or not {name, other_name}.issubset(os.listdir(folder))


def _folder(spot: Spot) -> int | str:
    return os.path.dirname(spot.path) if spot.folder is None else spot.folder


def _is_same(source: Spot, target: Spot) -> bool:
    """Whether the target is this very file, from a move that was killed before its end.

    Two names of one inode, two links to one file, or, after a copy to another file system, the
    same bytes: whichever it is, the source can go.
    """
    ours, theirs = (os.lstat(each.name, dir_fd=each.folder) for each in (source, target))
    if os.path.samestat(ours, theirs):
        return True
    if stat.S_ISLNK(ours.st_mode) and stat.S_ISLNK(theirs.st_mode):
        return os.path.realpath(source.path) == os.path.realpath(target.path)
    return (
        stat.S_ISREG(ours.st_mode)
        and stat.S_ISREG(theirs.st_mode)
        and ours.st_size == theirs.st_size
        and filecmp.cmp(source.path, target.path, shallow=False)
    )


def _copy(source: str, partial: str, durable: bool) -> None:
    # a copy of a pipe would wait, and one of a device might never end
    if not stat.S_ISREG(os.stat(source).st_mode):
        raise OSError(errno.EINVAL, "not a regular file", source)
    shutil.copyfile(source, partial)
    with suppress(PermissionError):  # FAT, and some network shares, let nobody change these
        shutil.copymode(source, partial)
    times = os.stat(source)
    os.utime(partial, ns=(times.st_atime_ns, times.st_mtime_ns))
    if durable:
        sync_file(partial)


def _name(partial: str, target: str) -> None:
    """Give a whole copy its own name, which nothing may have yet."""
    try:
        os.link(partial, target)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.replace(partial, target)

"""Move or copy one file, so that no file is replaced or lost.

`os.rename` replaces silently, so a move is link + unlink: at every moment the file has its old
name, its new one, or both. Each function may be called again after it was killed anywhere, and
then ends as if it had not been.
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


def move_file(source: str, target: str, link: str = "") -> bool:
    """Give a file a new name, on the same file system or another.

    Args:
        link: the text that a symbolic link gets; by default one that points to the same file.

    Returns:
        False where there is neither source nor target: somebody removed the file.

    Raises:
        FileExistsError: there is another file at the target.
        OSError: no permission, no space; the target is the source itself.
    """
    if os.path.lexists(target):
        if not os.path.lexists(source):
            return True
        if _is_one(source, target):
            raise OSError(errno.EINVAL, "it would move onto itself", target)
        if _is_same(source, target):
            os.unlink(source)
            return True
        _free_claim(target, source)
    try:
        if os.path.islink(source):
            os.symlink(link or _link_text(source, target), target)
        else:
            os.link(source, target, follow_symlinks=False)
    except FileNotFoundError:
        if os.path.lexists(source):
            raise  # it is the target's folder that is missing
        return False
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        _move_without_link(source, target)
    else:
        os.unlink(source)
    return True


def move_back(target: str, source: str, link: str = "") -> bool:
    """Undo `move_file(source, target)`, whether it was killed, never begun, or finished.

    Args:
        link: the text that the symbolic link had; "" for a file.
    """
    if _is_claim(target, source):
        os.unlink(target)
        return True
    return move_file(target, source, link)


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
        _free_claim(target, source)
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
    if is_spare(target, source) or _is_claim(target, source):
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
    if _is_one(os.path.realpath(copy), os.path.realpath(original)):
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


def _is_link_to(path: str, file: str) -> bool:
    return link_text(path) == _place(file)


def _place(file: str) -> str:
    """A file's path without links, but for the file itself."""
    folder, name = os.path.split(file)
    return os.path.join(os.path.realpath(folder), name)


def _link_text(source: str, target: str) -> str:
    """The text of a symbolic link that points, from its new folder, to what the old one does."""
    text = os.readlink(source)
    before, after = (os.path.realpath(os.path.dirname(path)) for path in (source, target))
    if before != after and not os.path.isabs(text):
        text = os.path.relpath(os.path.join(before, text), after)
    return text


def _move_without_link(source: str, target: str) -> None:
    """Move where hard links can't be made: claim the name, then rename over the claim."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    try:
        os.replace(source, target)
    except OSError as error:
        os.unlink(target)
        if error.errno != errno.EXDEV:
            raise
        copy_file(source, target, durable=True)
        os.unlink(source)


def _free_claim(target: str, source: str) -> None:
    if not _is_claim(target, source):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    os.unlink(target)


def _is_claim(path: str, other: str) -> bool:
    """Whether a name is only claimed: an empty file, while the other name has the bytes."""
    try:
        ours, theirs = os.lstat(path), os.lstat(other)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(ours.st_mode) and ours.st_size == 0 < theirs.st_size


def _is_one(path: str, other: str) -> bool:
    """Whether two paths are one name of one file: to remove it would remove the file.

    A folder that is a link gives a name a second path; a disk that ignores case, a second spelling.
    """
    if not os.path.samestat(os.lstat(path), os.lstat(other)):
        return False
    (folder, name), (another, other_name) = os.path.split(path), os.path.split(other)
    if not os.path.samestat(os.stat(folder), os.stat(another)):
        return False
    return name == other_name or not {name, other_name}.issubset(os.listdir(folder))


def _is_same(source: str, target: str) -> bool:
    """Whether the target is this very file, from a move that was killed before its end.

    Two names of one inode, two links to one file, or, after a copy to another file system, the
    same bytes: whichever it is, the source can go.
    """
    ours, theirs = os.lstat(source), os.lstat(target)
    if os.path.samestat(ours, theirs):
        return True
    if stat.S_ISLNK(ours.st_mode) and stat.S_ISLNK(theirs.st_mode):
        return os.path.realpath(source) == os.path.realpath(target)
    return (
        stat.S_ISREG(ours.st_mode)
        and stat.S_ISREG(theirs.st_mode)
        and ours.st_size == theirs.st_size
        and filecmp.cmp(source, target, shallow=False)
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

"""Files and folders that `dl` keeps for itself in a folder that may be somebody else's.

The root is the folder that the user names: a dataset, a run, a project. It may be a link. What `dl`
keeps below it may not be one, because a link leads to files of others: they would be overwritten or
removed. So every name below the root is opened from the descriptor of the folder above it, without
following links.

Folders that are made aside, to get their name once they are whole, hold a marker until then. So a
later command knows what a killed one left. The marker holds the folder's name and inode: neither a
user's folder nor a downloaded copy of such a folder has that.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.process import at_work, machine_id, this_process

MARKER = ".made-by-dl"
# The purpose of a folder in which `files.atomic` makes a file or folder, and its name: process,
# machine, a random part. What is in it goes only if it is marked, too.
WRITING = "write"
ASIDE = re.compile(r"\.dl-(\d+)-([0-9a-f]{8})-[0-9a-f]{8}")
# What systems leave in folders that somebody looks at.
_LITTER = re.compile(r"\.DS_Store|\._.*|Thumbs\.db|desktop\.ini")
# O_NONBLOCK: to open a FIFO would otherwise wait for somebody at its other end.
_AS_IT_IS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MOST_MARKER_BYTES = 4096
# A process of another machine can't be checked, but none fills a folder for so long.
LEFT_SECONDS = 24 * 60 * 60
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFREG: "a file",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class NotOwnError(DlError):
    """Where `dl` keeps its own, there is a link or something else that it has not made."""


@contextmanager
def own_folder(folder: Path, root: Path, *, make: bool = False) -> Iterator[int]:
    """Open a folder at or below a root.

    Args:
        make: make the folder, and those above it, where they are missing.

    Yields:
        its descriptor, for `dir_fd=`.

    Raises:
        NotOwnError: it or a folder between it and the root is a link, or not a folder.
        FileNotFoundError: it is missing, and `make` is false.
        OSError: no permission.
    """
    names = _names(folder, root)
    if make:
        root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        path = root
        for name in names:
            path /= name
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=descriptor)
            inner = _open(path, root, os.O_RDONLY | os.O_DIRECTORY, descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def open_own(file: Path, root: Path, flags: int = os.O_RDONLY) -> int:
    """Open a file below a root.

    Args:
        flags: as for `os.open`, such as `os.O_RDWR | os.O_CREAT`.

    Returns:
        its descriptor.

    Raises:
        NotOwnError: it or a folder between it and the root is a link, or it is not a file.
        FileNotFoundError: it or its folder is missing.
        OSError: no permission.
    """
    with own_folder(file.parent, root) as folder:
        descriptor = _open(file, root, flags, folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        mode = os.fstat(descriptor).st_mode
        os.close(descriptor)
        raise _not_own(file, root, mode, "a file")
    os.set_blocking(descriptor, True)
    return descriptor


def read_own(file: Path, root: Path, most_bytes: int | None = None) -> bytes:
    """Read a file below a root.

    Args:
        most_bytes: read no more than this.

    Raises:
        NotOwnError, OSError: as `open_own`.
    """
    with os.fdopen(open_own(file, root), "rb") as opened:
        return opened.read(-1 if most_bytes is None else most_bytes)


def is_own_file(path: Path) -> bool:
    """Whether there is a file, not a link to one."""
    return path.is_file() and not path.is_symlink()


def require_own(path: Path, root: Path, *, folder: bool = False) -> None:
    """Refuse a link, and what is neither file nor folder, where `dl` keeps its own.

    Args:
        path: a file, or with `folder` a folder. It, or folders above it, may be missing.

    Raises:
        NotOwnError: it or a folder between it and the root is none of these.
    """
    names = _names(path, root)
    at = root
    for number, name in enumerate(names, start=1):
        at /= name
        try:
            mode = at.lstat().st_mode
        except FileNotFoundError:
            return
        wanted = stat.S_IFDIR if folder or number < len(names) else stat.S_IFREG
        if stat.S_IFMT(mode) != wanted:
            raise _not_own(at, root, mode, _KINDS[wanted])


def require_own_tree(folder: Path, root: Path) -> None:
    """Refuse a folder that is a link, or has anything below it but files and folders.

    Raises:
        NotOwnError: names what it has.
    """
    require_own(folder, root, folder=True)
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                require_own_tree(folder / entry.name, root)
            elif not entry.is_file(follow_symlinks=False):
                mode = entry.stat(follow_symlinks=False).st_mode
                raise _not_own(folder / entry.name, root, mode, "a file")


def remove_own(file: Path, root: Path) -> None:
    """Remove a file below a root; a link itself, never what it leads to. Nothing if it is gone.

    Raises:
        NotOwnError: a folder between it and the root is a link.
    """
    with suppress(FileNotFoundError), own_folder(file.parent, root) as folder:
        os.unlink(file.name, dir_fd=folder)


def others_in(folder: Path, known: re.Pattern[str]) -> list[Path]:
    """What a folder holds that `dl` did not make; no link is followed.

    Args:
        known: the paths of what `dl` makes there, relative to the folder and with forward slashes,
            folders too.

    Returns:
        files, links, and folders of which nothing is known, by name. What a system leaves in every
        folder, such as `.DS_Store`, is not among them. Nor is what a command at work removes
        meanwhile, or writes aside.
    """
    found = []
    for above, folders, names in os.walk(folder):
        inside = Path(above).relative_to(folder)
        for name in sorted([*folders, *names]):
            path = Path(above, name)
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:
                continue
            is_real = stat.S_IFMT(mode) in (stat.S_IFDIR, stat.S_IFREG)
            if is_real and _is_known(inside / name, known):
                continue
            if not (stat.S_ISDIR(mode) and _is_aside(path)):
                found.append(path)
            if name in folders:
                folders.remove(name)
    return found


def remove_known(folder: Path, root: Path, known: re.Pattern[str]) -> None:
    """Remove what `dl` made in a folder below a root, and the folder too if that was all.

    Args:
        known: as in `others_in`.

    Raises:
        NotOwnError: it or a folder between it and the root is a link.
    """
    require_own(folder, root, folder=True)
    with suppress(FileNotFoundError), own_folder(folder.parent, root) as outside:
        for at, folders, names, descriptor in os.fwalk(folder.name, topdown=False, dir_fd=outside):
            inside = Path(at).relative_to(folder.name)
            for name in names:
                if _is_known(inside / name, known):
                    os.unlink(name, dir_fd=descriptor)
            for name in folders:
                if _is_known(inside / name, known):
                    with suppress(OSError):  # it holds something else, or is a link
                        os.rmdir(name, dir_fd=descriptor)
        with suppress(OSError):
            os.rmdir(folder.name, dir_fd=outside)


def _is_aside(folder: Path) -> bool:
    """Whether a folder is one in which `files.atomic` makes something, or is gone by now.

    It is empty before it is marked, and again before it goes. Both may happen between two looks, so
    one look is not enough; but it gets its mark once.
    """
    if not ASIDE.fullmatch(folder.name):
        return False
    for _ in range(2):
        if marked(folder, WRITING):
            return True
        try:
            if {path.name for path in folder.iterdir()} <= {MARKER}:
                return True
        except OSError:
            return not os.path.lexists(folder)
    return False


def _is_known(inside: Path, known: re.Pattern[str]) -> bool:
    return bool(known.fullmatch(inside.as_posix())) or is_litter(inside.name)


def is_litter(name: str) -> bool:
    """Whether a system leaves a file of that name in folders that somebody looks at."""
    return bool(_LITTER.fullmatch(name))


def mark(folder: Path, purpose: str, target: str = "") -> None:
    """Mark a new, empty folder as one that this process fills, and that is not whole yet.

    Args:
        purpose: which part of `dl` fills it, such as "sample".
        target: the name that its content will get.
    """
    _write_mark(folder / MARKER, purpose, target)


def remark(folder: Path, purpose: str) -> None:
    """Mark a folder that has a mark for another purpose; at every moment it has one of the two."""
    aside = folder / f"{MARKER}-new"
    aside.unlink(missing_ok=True)  # of a call that was killed
    _write_mark(aside, purpose)
    aside.replace(folder / MARKER)


def _write_mark(file: Path, purpose: str, target: str = "") -> None:
    record = _mark_of(file.parent, purpose) | {"target": target, "machine": machine_id()}
    content = json.dumps(record | this_process()).encode("ascii")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _AS_IT_IS
    descriptor = os.open(file, flags, 0o666)
    with os.fdopen(descriptor, "wb", buffering=0) as opened:
        while content:  # a disk that becomes full takes a part, and the rest is its error
            content = content[opened.write(content) :]


def unmark(folder: Path) -> None:
    """Remove the mark, when the folder is whole or about to be removed."""
    (folder / MARKER).unlink(missing_ok=True)


def marked(folder: Path, purpose: str) -> Mapping[str, Any]:
    """What `mark` wrote into a folder: its target, and the process that fills it.

    {} for all folders that `dl` did not mark for this purpose: they belong to others.
    """
    record = _read_mark(folder)
    with suppress(OSError):  # gone by now
        return record if _mark_of(folder, purpose).items() <= record.items() else {}
    return {}


def _read_mark(folder: Path) -> Mapping[str, Any]:
    with suppress(OSError, ValueError, RecursionError, DlError):
        record = json.loads(read_own(folder / MARKER, folder.parent, _MOST_MARKER_BYTES))
        return record if isinstance(record, dict) else {}
    return {}


def is_begun(folder: Path, purpose: str) -> bool:
    """Whether a folder holds nothing but the beginning of a mark, whose writer was killed."""
    if [path.name for path in folder.iterdir()] != [MARKER]:
        return False
    content = read_own(folder / MARKER, folder.parent, _MOST_MARKER_BYTES)
    beginning = json.dumps(_mark_of(folder, purpose)).encode("ascii").removesuffix(b"}")
    return beginning.startswith(content) or content.startswith(beginning)


def is_copy(folder: Path) -> bool:
    """Whether a folder has a mark that is another's: it is a copy, such as a restored backup."""
    record = _read_mark(folder)
    with suppress(OSError):  # gone by now
        is_whole = {"dl", "name", "inode"} <= record.keys()
        return is_whole and not _mark_of(folder, record["dl"]).items() <= record.items()
    return False


def abandoned(folder: Path, purpose: str) -> Mapping[str, Any]:
    """The same of a folder whose process has ended; {} if it may be at work, and for all others."""
    record = marked(folder, purpose)
    if record.get("machine") == machine_id():
        return {} if at_work(record, folder / MARKER) else record
    try:
        silent = time.time() - (folder / MARKER).lstat().st_mtime
    except OSError:
        return {}
    return record if silent > LEFT_SECONDS else {}


def _mark_of(folder: Path, purpose: str) -> dict[str, Any]:
    return {"dl": purpose, "name": folder.name, "inode": folder.lstat().st_ino}


def _names(path: Path, root: Path) -> tuple[str, ...]:
    names = path.relative_to(root).parts
    if ".." in names:
        raise ValueError(f"{path} leaves {root}")
    return names


def _open(path: Path, root: Path, flags: int, above: int) -> int:
    """Open a name in a folder that is open, as what it is itself."""
    try:
        return os.open(path.name, flags | _AS_IT_IS, 0o666, dir_fd=above)
    except OSError as error:
        error.filename = str(path)
        wanted = stat.S_IFDIR if flags & os.O_DIRECTORY else stat.S_IFREG
        with suppress(FileNotFoundError):
            mode = os.lstat(path.name, dir_fd=above).st_mode
            if stat.S_IFMT(mode) != wanted:
                raise _not_own(path, root, mode, _KINDS[wanted]) from error
        raise


def _not_own(path: Path, root: Path, mode: int, wanted: str) -> NotOwnError:
    if not stat.S_ISLNK(mode):
        found = _KINDS.get(stat.S_IFMT(mode), "not a file")
        return NotOwnError(
            f"{shown(path)} is {found}",
            why=f"`dl` keeps {wanted} of its own there",
            hint="Remove it or move it away, then try again.",
        )
    hint = "Remove the link, or put what it leads to in its place."
    if wanted == "a folder":
        hint += f" To keep files on another disk, make a link of {shown(root)} as a whole."
    return NotOwnError(
        f"{shown(path)} is a link to {shown(path.readlink())}",
        why=f"`dl` keeps {wanted} of its own there, and follows no link to others' files",
        hint=hint,
    )

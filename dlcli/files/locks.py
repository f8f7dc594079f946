"""Locks: one that names its owner, and a short one around a change.

The kernel releases a lock when its process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from dlcli.errors import DlError
from dlcli.files.formats import dump_yaml, read_yaml
from dlcli.files.own import NotOwnError, open_own, own_folder, remove_own
from dlcli.files.paths import shown
from dlcli.process import (
    BEAT_SECONDS,
    GONE_SECONDS,
    at_work,
    is_here,
    owner_text,
    this_owner,
    utc_now,
)
from dlcli.progress import say

# One second of tries: as long as a new owner may take to write its name.
TRIES, PAUSE_SECONDS = 100, 0.01
# How the content of a lock begins; up to 0.1.0 it was a sentence.
_BEGINNINGS = (b"pid:", b"`dl ", b"by process")


@contextmanager
def held(
    file: Path,
    doing: str,
    hint: str = "Wait until it ends.",
    *,
    root: Path | None = None,
    make_folder: bool = False,
    wait: bool = False,
) -> Iterator[None]:
    """Hold a lock while the block runs.

    The lock on the file counts, not its content, which a killed process may have left.

    Args:
        file: the file to lock; it names the owner, and is removed at the end.
        doing: the error for other processes: "dogscats is being worked on".
        hint: what the user can do.
        root: the folder below which no link is followed; None: the file's own.
        make_folder: make the file's folder if it is missing.
        wait: wait for another process that has the lock, and say which.

    Raises:
        DlError: another process has the lock, and `wait` is false; names it.
        NotOwnError: the file is a link, or somebody else's.
        OSError: the file can't be made.
    """
    root = root or file.parent
    descriptor = _take(file, root, doing, hint, make_folder, wait)
    try:
        with suppress(OSError):  # a full disk must not stop the undo that would make room
            os.ftruncate(descriptor, 0)
            os.write(descriptor, dump_yaml(this_owner(utc_now())).encode())
        with _beating(descriptor):
            yield
    finally:
        with suppress(OSError):  # its folder may be closed to us by now
            # it may be gone with its folder, and another process have the lock in a new one
            if _is_named(descriptor, file):
                remove_own(file, root)
        os.close(descriptor)


def in_use(doing: str, owner: Mapping[str, Any], hint: str) -> DlError:
    """The error of what a process works on.

    Args:
        doing: in words: "dogscats is being worked on".
        owner: what `this_owner` gave, read back from a file; {} where that can't be read.
    """
    if owner and not is_here(owner):
        hint += f" If that computer is off, wait {GONE_SECONDS // 60} minutes, then try again."
    return DlError(doing, why=owner_text(owner), hint=hint)


def is_held(file: Path) -> bool:
    """Whether a process of this machine works on what `held` locks with a file."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        _lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Change something in a folder while all others who want to wait; for an instant alone.

    Anybody who may read the folder can lock it, and keep it so. A long wait is said.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(TRIES):
            with suppress(BlockingIOError):
                _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(PAUSE_SECONDS)
        else:
            say(f"Waiting: another process has locked {shown(folder)}")
            _lock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _beating(descriptor: int) -> Iterator[None]:
    """Touch a file now and then, so that other machines see that its owner is at work."""
    done = Event()

    def beat() -> None:
        while not done.wait(BEAT_SECONDS):
            with suppress(OSError):
                os.utime(descriptor)

    thread = Thread(target=beat, name="sign of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _take(file: Path, root: Path, doing: str, hint: str, make_folder: bool, wait: bool) -> int:
    """The lock's descriptor."""
    owner: dict[str, Any] = {}
    said = False
    for _ in itertools.count() if wait else range(TRIES):
        try:
            if make_folder:
                with own_folder(file.parent, root, make=True):
                    pass
            descriptor = open_own(file, root, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:
            if not make_folder:
                raise
            continue  # another process, at its end, removed the folder
        try:
            _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # its owner may have removed the file between our opening and our locking
            if _is_named(descriptor, file):
                _require_lock(descriptor, file)
                return descriptor
        except BlockingIOError:
            owner = _read(file)
            if owner and at_work(owner, file):  # else it is what a killed one left
                if not wait:
                    os.close(descriptor)
                    break
                if not said:
                    say(f"Waiting: {doing} {owner_text(owner)}")
                    said = True
                _lock(descriptor, fcntl.LOCK_EX)  # its owner removes this file: lock the next one
        os.close(descriptor)
        time.sleep(PAUSE_SECONDS)
    raise in_use(doing, owner, hint)


def _lock(descriptor: int, operation: int) -> None:
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks: one can work there nevertheless
        pass


def _require_lock(descriptor: int, file: Path) -> None:
    """Refuse to write over a file that no process of `dl` made, and close it.

    Raises:
        NotOwnError: it has another content than a lock has, or a second name.
    """
    content = os.pread(descriptor, 4096, 0).strip(b"\0")  # zeros are what a power cut may leave
    ours = any(content.startswith(begin) or begin.startswith(content) for begin in _BEGINNINGS)
    if ours and os.fstat(descriptor).st_nlink == 1:
        return
    os.close(descriptor)
    raise NotOwnError(
        f"{shown(file)} is not a lock that `dl` made",
        why="it has another content" if not ours else "it is a second name of another file",
        hint="Move it away, then try again. Nothing was changed.",
    )


def _is_named(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.lstat())
    except FileNotFoundError:
        return False


def _read(file: Path) -> dict[str, Any]:
    try:
        owner = read_yaml(file)
    except (DlError, OSError):  # being written, or gone by now
        return {}
    return owner if isinstance(owner, dict) else {}

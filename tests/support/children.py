"""Children of a test's process: killed before a step, without rights, with little room.

A kill is SIGKILL right before the n-th system call that changes the disk: with every n there is, a
test sees all that an accident may leave behind.
"""

from __future__ import annotations

import codecs
import errno
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlcli.errors import DlError

# Each is announced by the interpreter before it happens (PEP 578); so is "open".
CHANGES = {
    "fcntl.flock",
    "os.chmod",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
    "os.utime",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# These need room, where the others make some.
NEEDS_ROOM = {"open", "os.fsync", "os.link", "os.mkdir", "os.symlink"}
# Printed when something happened to a child that then went on.
STRUCK = "[struck]"


def fork(act: Callable[[], Any], prepare: Callable[[], Any] = lambda: None) -> int:
    """Run in a forked child, first what prepares it; its process id.

    The child ends with 0, with 1 after a `DlError`, whose words it prints, and with 99 after
    anything else.
    """
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            prepare()
            act()
            code = 0
        except DlError as error:
            print(error, file=sys.stderr)
            code = 1
        finally:
            if code == 99:
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(code)
    return pid


def wait(pid: int) -> int:
    """How a child ended: its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def forked(act: Callable[[], Any], prepare: Callable[[], Any] = lambda: None) -> int:
    """Run in a forked child to its end; how it ended."""
    return wait(fork(act, prepare))


def killed_before_change(number: int, act: Callable[[], Any]) -> bool:
    """Run in a child that dies before its n-th change; False where it ended before that."""

    left = [number]

    def count(event: str, path: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            die()

    code = forked(act, lambda: at_each_change(count))
    assert code in (0, -signal.SIGKILL)
    return code != 0


def die() -> None:
    """Be killed, as by a power cut or for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def at_each_change(act: Callable[[str, str], None], below: str = "") -> None:
    """Tell a function each change of the disk right before this process makes it, from now on.

    Args:
        act: gets the event's name and the path; what it raises, the change raises.
        below: leave out what has an absolute path outside of this folder.
    """

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if event in CHANGES or writes:
            path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else ""
            if not path.startswith("/") or path.startswith(below):
                act(event, path)

    sys.dont_write_bytecode = True
    sys.addaudithook(look)


def strike(how: str, number: int, below: str = "") -> None:
    """Let something happen to this process right before its n-th change of the disk.

    Args:
        how: "kill"; "full": from then on the disk has no room; "error": this one change fails;
            "interrupt": Ctrl-C; "cut": be killed while a file grows beyond `number` bytes;
            "moment": be killed after so many milliseconds.
        number: of the change, from 1.
        below: the folder whose changes count.
    """
    if how == "cut":
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        no_file_above(number)
        return
    if how == "moment":
        later = threading.Timer(number / 1000, die)
        later.daemon = True
        later.start()
        return
    done, fsync = 0, os.fsync

    def act(event: str, path: str) -> None:
        nonlocal done
        done += 1
        if done < number or (how != "full" and done > number):
            return
        if how == "kill":
            die()
        if how == "full" and event not in NEEDS_ROOM:
            return
        os.write(2, STRUCK.encode())
        if how == "interrupt":
            raise KeyboardInterrupt
        code = errno.ENOSPC if how == "full" else errno.EIO
        raise OSError(code, os.strerror(code), path or None)

    def counted(descriptor: int) -> None:
        act("os.fsync", "")
        fsync(descriptor)

    at_each_change(act, below)
    os.fsync = counted


def die_before(path: str) -> None:
    """Be killed right before a file of this name is put into its place, or a folder removed."""

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        place = {"os.rename": 1, "os.rmdir": 0}.get(event)
        if place is not None and str(arguments[place]).endswith(path):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


def become_nobody() -> None:
    """Root may write anywhere; nobody may not."""
    codecs.lookup("ascii")  # Python's own files may be closed to nobody
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


def drop_rights() -> None:
    """Root may read and write anywhere; this process may not, from now on."""
    if os.geteuid() == 0:
        import ctypes

        libc = ctypes.CDLL(None)
        # linux/capability.h: version 3, of this process; then effective, permitted, inheritable
        header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        if libc.capget(header, sets):
            raise OSError("root's rights can't be asked for")
        for number in (0, 1):
            sets[number] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        if libc.capset(header, sets):
            raise OSError("root keeps its right to read and write anywhere")


def no_file_above(size: int) -> None:
    """The kernel then refuses to write on, as it does on a full disk.

    Python would cut what it compiles off at that size, without an error, for all who come after.
    """
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # for its children
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def few_descriptors(count: int) -> None:
    """So many more than are open by now."""
    count += max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def little_memory(n_bytes: int) -> None:
    """So much more than this process has by now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    n_bytes += pages * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))

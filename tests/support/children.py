"""Children of a test's process: killed before a step, without rights, with little room.

A kill is SIGKILL right before the n-th system call that changes the disk: with every n there is, a
test sees all that an accident may leave behind.
"""

from __future__ import annotations

import codecs
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
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

    def to_be_killed() -> None:
        left = [number]

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
            if event in CHANGES or writes:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.dont_write_bytecode = True
        sys.addaudithook(count)

    code = forked(act, to_be_killed)
    assert code in (0, -signal.SIGKILL)
    return code != 0


def die_before(path: str) -> None:
    """Be killed right before a file of this name is put into its place, or a folder removed."""

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        place = {"os.rename": 1, "shutil.rmtree": 0}.get(event)
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

"""This process and others: who works on what, where a result comes from, safe Ctrl-C.

Another process can ask whether the one that was written down still works.
"""

from __future__ import annotations

# What only a training needs is imported in bodies: completion of runs comes by here.
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.words import printable

if TYPE_CHECKING:
    from types import FrameType

# How often whoever works on something touches its sign, and after how long without it counts as
# gone.
BEAT_SECONDS = 30
SILENT_SECONDS = 600

# What stands for the command line while a caller in Python is at work.
_command = ""

# Whose versions `config.yaml` records.
BACKENDS = ("keras", "tensorflow", "jax", "torch", "numpy")
PACKAGES = (*BACKENDS, "openvino", "pillow", "simplejpeg", "opencv-python-headless")


def utc_now() -> str:
    """The time in UTC, ISO 8601, to the microsecond: `2026-11-23T14:09:31.123456Z`."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def this_process() -> dict[str, Any]:
    """This process as plain values: its number, when it began, and on which machine."""
    pid = os.getpid()
    return {"pid": pid, "pid_start": _start(pid), "host": _host()}


def this_owner(since: str) -> dict[str, Any]:
    """This process as `this_process` gives it, and for people: whose it is, and what it does.

    Args:
        since: when it began with that.
    """
    return this_process() | {
        "owner": {"user": _user(), "since": since, "command": command_line()},
    }


def owner_text(owner: Mapping[str, Any]) -> str:
    """Which process `this_owner` or `this_process` described, read back from a file.

    For example "by process 12 of mary on gpu-box since 2026-11-23T14:09:31Z: `dl train fc`".
    """
    pid, host, known = owner.get("pid"), owner.get("host"), owner.get("owner")
    if pid is None:
        return "by another process"
    if not isinstance(known, Mapping):
        return f"by process {pid} on {host}"
    whose = f"by process {pid} of {known.get('user')} on {host} since {known.get('since')}"
    return printable(f"{whose}: `{known.get('command')}`")


def is_here(owner: Mapping[str, Any]) -> bool:
    """Whether the process that `this_process` described is one of this machine."""
    return owner.get("host") == _host()


def at_work(owner: Mapping[str, Any], sign: Path) -> bool:
    """Whether the process that `this_process` described is still there.

    Another machine's process can't be asked: it counts as gone when its last sign of life is
    `SILENT_SECONDS` old, or that far ahead by a clock that is wrong.

    Args:
        owner: what it gave, read back from a file; anything else describes no process.
        sign: the file that it touches at least every `BEAT_SECONDS` while it is at work.
    """
    if not is_here(owner):
        try:
            return abs(time.time() - sign.stat().st_mtime) < SILENT_SECONDS
        except OSError:
            return False
    pid = owner.get("pid")
    if not isinstance(pid, int) or not exists(pid):
        return False
    return owner.get("pid_start") in (None, _start(pid))


def exists(pid: int) -> bool:
    """Whether a process of this machine has a number."""
    if not 0 < pid < 2**31:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is there, and somebody else's
    return True


def _host() -> str:
    from socket import gethostname

    return gethostname()


def _user() -> str:
    """The account's name; its number where it has none, as in a container."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _start(pid: int) -> int | None:
    """When a process began, in clock ticks since the machine did; None where nobody can say.

    Numbers are given out again: after a while, and at once in a container. A process that has
    ended and whose parent hasn't asked about it yet is none.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # proc(5): the name, field 2, may hold spaces and brackets; 3 is the state, 22 the start
    state, *fields = stat.rpartition(")")[2].split()
    return 0 if state in "ZX" else int(fields[18])


def provenance() -> dict[str, Any]:
    """What `config.yaml` records beside the settings: command, versions, git commit, host."""
    import platform
    from importlib import metadata

    from dlcli.version import __version__

    versions = {"dlcli": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "command": command_line(),
        "folder": str(Path.cwd()),
        "git": _git_commit(Path.cwd()),
        "host": _host(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "versions": versions,
    }


def command_line() -> str:
    """What was typed, as it can be pasted into a shell; from Python, the command that does it."""
    import shlex

    return _command or shlex.join(["dl", *sys.argv[1:]])


@contextmanager
def as_command(command: str) -> Iterator[None]:
    """Record this command while the block runs: a caller in Python typed none.

    Args:
        command: the command line that does the same, quoted for a shell.
    """
    global _command
    before, _command = _command, command
    try:
        yield
    finally:
        _command = before


def _git_commit(folder: Path) -> str | None:
    """The commit of the project around the folder, marked where files have changed since."""
    from subprocess import TimeoutExpired

    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = commit and _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, TimeoutExpired):  # no git, or a slow file system
        return None
    return f"{commit} with changes" if changed else commit or None


def _git(folder: Path, *arguments: str) -> str:
    import subprocess

    git = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(git, capture_output=True, text=True, timeout=5)
    return done.stdout.strip() if done.returncode == 0 else ""


@contextmanager
def between_steps() -> Iterator[Callable[[], None]]:
    """Take Ctrl-C between steps alone while the block runs; a second one doesn't wait.

    Within a step NumPy's and TensorFlow's C code may swallow a `KeyboardInterrupt`, or make another
    error of it (measured: one in a hundred).

    Yields:
        what to call between steps: raises `KeyboardInterrupt` if Ctrl-C came since.
    """
    import signal
    import threading

    before = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    if before is not signal.default_int_handler or not in_main:  # ignored, or somebody else's
        yield lambda: None
        return
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield check
        check()
    finally:
        signal.signal(signal.SIGINT, before)

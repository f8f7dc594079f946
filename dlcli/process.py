"""Processes: who works on what, the provenance of a result, safe Ctrl-C.

A process can check whether another one, recorded in a file, is still running.
"""

from __future__ import annotations

# Imports for training alone are in function bodies, because completion of runs imports this module.
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.git import commit_of
from dlcli.words import printable

if TYPE_CHECKING:
    from types import FrameType

# How often a process touches its sign of life, and after how long a silence it counts as gone.
BEAT_SECONDS = 30
GONE_SECONDS = 600

# The command line to record while a Python caller runs.
_command = ""

# Packages whose versions `config.yaml` records.
BACKENDS = ("keras", "tensorflow", "jax", "torch", "numpy")
PACKAGES = (*BACKENDS, "openvino", "pillow", "simplejpeg", "opencv-python-headless")


def utc_now() -> str:
    """The time in UTC, ISO 8601, to the microsecond: `2026-11-23T14:09:31.123456Z`."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def this_process() -> dict[str, Any]:
    """This process as plain values: its number, start time and machine."""
    pid = os.getpid()
    return {"pid": pid, "pid_start": _start(pid), "host": host_name()}


def this_owner(since: str) -> dict[str, Any]:
    """This process as by `this_process`, and for people its user and command.

    Args:
        since: when it began this work.
    """
    return this_process() | {
        "owner": {"user": _user(), "since": since, "command": command_line()},
    }


def owner_text(owner: Mapping[str, Any]) -> str:
    """Describe the process that `this_owner` or `this_process` recorded in a file.

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
    """Whether the recorded process is of this machine."""
    return owner.get("host") == host_name()


def at_work(owner: Mapping[str, Any], sign: Path) -> bool:
    """Whether the recorded process is still running.

    A process of another machine can't be checked. It counts as gone when its last sign of life is
    `GONE_SECONDS` old, or that far in the future because of a wrong clock.

    Args:
        owner: the record, read back from a file; anything else counts as not running.
        sign: the file that the process touches at least every `BEAT_SECONDS`.
    """
    if not is_here(owner):
        try:
            return abs(time.time() - sign.stat().st_mtime) < GONE_SECONDS
        except OSError:
            return False
    pid = owner.get("pid")
    if not isinstance(pid, int) or not exists(pid):
        return False
    return owner.get("pid_start") in (None, _start(pid))


def exists(pid: int) -> bool:
    """Whether this machine has a process of that number."""
    if not 0 < pid < 2**31:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it exists and belongs to another user
    return True


def host_name() -> str:
    """The name of this machine."""
    from socket import gethostname

    return gethostname()


def machine_id() -> str:
    """This machine, in 8 hex digits; its name may be too long for a file's name."""
    from zlib import crc32

    known = host_name()
    with suppress(OSError):  # each container numbers its processes anew; a Mac has none
        known += str(Path("/proc/self/ns/pid").readlink())
    return f"{crc32(os.fsencode(known)):08x}"


def session_id() -> str | None:
    """The terminal session of this process, as a file's name; None if it can't be told.

    A number of a process is used again, so the leader's start is part of the name. On a Mac, where
    that is unknown, the terminal's name takes its place. Where the leader has ended or is outside
    of the container, the eldest process of this one's line in the session takes its place.
    """
    leader = os.getsid(0)
    start = _start(leader)
    if not start and (eldest := _eldest_in_session()):
        leader, start = eldest, _start(eldest)
    if not exists(leader):
        return None
    return f"{machine_id()}-{leader}-{start or _terminal()}"


def session_ended(name: str) -> bool | None:
    """Whether a session has ended, by its `session_id`; None for one of another machine."""
    machine, leader, began = name.split("-", maxsplit=2)
    if machine != machine_id():
        return None
    start = _start(int(leader))
    return not exists(int(leader)) or (start is not None and began != str(start))


def _terminal() -> str:
    """The terminal of the standard streams: "ttys003"; "" without one."""
    for stream in (0, 1, 2):
        with suppress(OSError):
            return Path(os.ttyname(stream)).name
    return ""


def _user() -> str:
    """The account's name, or its number if it has no name, as in a container."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _eldest_in_session() -> int | None:
    """This process or its farthest ancestor, as far as all are in one session; None if unknown."""
    eldest, session = None, os.getsid(0)
    pid = os.getpid()
    while (fields := _stat(pid)) and int(fields[3]) == session:
        eldest, pid = pid, int(fields[1])
    return eldest


def _start(pid: int) -> int | None:
    """When a process started, in clock ticks since the machine's start; None if unknown.

    It tells processes apart that get the same number, after a while or, in a container, at once. A
    zombie process counts as ended.
    """
    if not (fields := _stat(pid)):
        return None
    return 0 if fields[0] in "ZX" else int(fields[19])


def _stat(pid: int) -> list[str]:
    """What the system tells of a process: state, parent, group, session and more; [] if unknown.

    These are the fields of proc(5) from the third. The second, the name, may hold spaces and
    brackets.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def provenance() -> dict[str, Any]:
    """What `config.yaml` records besides the settings: command, versions, git commit, host."""
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
        "git": commit_of(Path.cwd()),
        "host": host_name(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "versions": versions,
    }


def install_command(extra: str) -> str:
    """The command that installs the missing packages of an extra for this very interpreter.

    It names these packages, not an extra of `dlcli`: the package index has another project of that
    name. Where the metadata does not know the extra, `dl` runs from its source, which does.

    Args:
        extra: a name in `project.optional-dependencies`.
    """
    import shlex
    from importlib import metadata
    from importlib.util import find_spec

    try:
        declared = metadata.requires("dlcli") or ()
    except metadata.PackageNotFoundError:
        declared = ()
    wanted: dict[str, str] = {}
    for line in declared:
        requirement, _, marker = line.partition(";")
        if re.search(rf"extra == ['\"]{extra}['\"]", marker):
            wanted[re.split(r"[^\w.-]", requirement, maxsplit=1)[0]] = requirement.strip()
    missing = [name for name in wanted if not [*metadata.distributions(name=name)]]
    packages = shlex.join(wanted[name] for name in missing or wanted)
    if not wanted:
        source = Path(__file__).parents[1]
        packages = f"-e {shlex.quote(f'{source}[{extra}]')}"
    environment = Path(sys.prefix)
    if (environment / "pipx_metadata.json").is_file():
        return f"pipx inject {shlex.quote(environment.name)} {packages}"
    interpreter = shlex.quote(sys.executable)
    if find_spec("pip") is None:  # made by uv
        return f"uv pip install --python {interpreter} {packages}"
    return f"{interpreter} -m pip install {packages}"


def command_line() -> str:
    """The command line, quoted for a shell; from Python, the equivalent command."""
    import shlex

    return _command or shlex.join(["dl", *sys.argv[1:]])


@contextmanager
def as_command(command: str) -> Iterator[None]:
    """Record this command while the block runs, for callers in Python.

    Args:
        command: the equivalent command line, quoted for a shell.
    """
    global _command
    before, _command = _command, command
    try:
        yield
    finally:
        _command = before


@contextmanager
def between_steps() -> Iterator[Callable[[], None]]:
    """Handle Ctrl-C only between steps while the block runs; a second one acts at once.

    Within a step, the C code of NumPy and TensorFlow may swallow a `KeyboardInterrupt` or turn it
    into another error (measured: one in a hundred).

    Yields:
        a function to call between steps; it raises `KeyboardInterrupt` if Ctrl-C was pressed.
    """
    import signal
    import threading

    before = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    if before is not signal.default_int_handler or not in_main:  # ignored, or handled elsewhere
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

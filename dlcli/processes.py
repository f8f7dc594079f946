"""Which process works on something, written down so that another can ask whether it still does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def this_process() -> dict[str, Any]:
    """This process as plain values: its number, when it began, and on which machine."""
    pid = os.getpid()
    return {"pid": pid, "pid_start": _start(pid), "host": _host()}


def at_work(owner: Mapping[str, Any]) -> bool:
    """Whether the process that `this_process` described is still there.

    Args:
        owner: what it gave, read back from a file; anything else describes no process.
    """
    if owner.get("host") != _host():
        return True  # another machine's process can't be asked
    pid = owner.get("pid")
    if not isinstance(pid, int) or not 0 < pid < 2**31:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is there, and somebody else's
    return owner.get("pid_start") in (None, _start(pid))


def _host() -> str:
    from socket import gethostname  # not at the top: completion of runs comes by here

    return gethostname()


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

"""A command at a terminal of its own: what a person sees who isn't a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from contextlib import suppress


def at_terminal(*arguments: str, columns: int = 80) -> str:
    """What a Python command writes to a terminal of some width, stdout and stderr together."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environ = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environ | {"TERM": "xterm"},
    )
    os.close(theirs)
    written = written_to(ours)
    assert process.wait() == 0, written
    return written.replace("\r\n", "\n")


def written_to(terminal: int) -> str:
    """What was written to a terminal until its other side closed; closes this one."""
    written = b""
    with suppress(OSError):  # Linux's word for: the other side has closed
        while chunk := os.read(terminal, 4096):
            written += chunk
    os.close(terminal)
    return written.decode()

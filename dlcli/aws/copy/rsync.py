"""Bulk copying by the system's rsync, through the system's ssh: resumed after each drop."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

from dlcli.aws.copy.plan import PARTIAL, Direction
from dlcli.aws.ssh import Unreachable, run
from dlcli.aws.system_ssh import Host, ssh_options
from dlcli.errors import DlError
from dlcli.progress import say
from dlcli.words import printable

if TYPE_CHECKING:
    from paramiko import SSHClient

# The first with `--info=progress2`; Apple's own is another program.
OLDEST = (3, 1)
_VERSION = re.compile(r"^rsync +version v?(\d+)\.(\d+)", re.MULTILINE)
_BYTES = re.compile(rb"^\s*([\d,.]+)\s+\d+%")
# rsync(1), "EXIT VALUES": socket, protocol stream, signal, time out; and ssh's own 255.
DROPPED = {10, 12, 20, 30, 255}
VANISHED = 24
MOST_LINES = 5


def why_not(client: SSHClient) -> str:
    """Why rsync can't be used, in words; empty where it can, here and there."""
    try:
        here = subprocess.run(["rsync", "--version"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return "rsync is not installed here"
    if not _is_recent(here):
        return "rsync is too old here"
    code, there, _ = run(client, ["rsync", "--version"])
    if code:
        return "rsync is not installed there"
    return "" if _is_recent(there) else "rsync is too old there"


def copy_once(
    host: Host,
    direction: Direction,
    here: Path,
    there: str,
    names: Sequence[str],
    progress: Callable[[int], None],
) -> None:
    """Copy files, from where an earlier try stopped.

    Args:
        here, there: the folders, absolute; both are made where they aren't.
        names: of the files, relative to both.
        progress: called with how many bytes are done.

    Raises:
        Unreachable: the connection was dropped; call it again.
        DlError: the disk is full, a file can't be read or written.
    """
    here.mkdir(parents=True, exist_ok=True)
    with TemporaryFile() as wanted, TemporaryFile() as errors:
        # `./`: a name that begins with `#` or `;` is no comment then
        wanted.write(b"".join(os.fsencode(f"./{name}") + b"\0" for name in names))
        wanted.seek(0)
        process = subprocess.Popen(
            _argv(host, direction, here, there),
            stdin=wanted,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for this process, which ends rsync
        )
        assert process.stdout is not None  # asked for
        try:
            _follow(process.stdout, progress)
            code = process.wait()
        finally:
            process.terminate()  # it then keeps what it has of a file, for the next time
            process.wait()
            process.stdout.close()
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace")
    if code == VANISHED:
        say("Some files were removed while they were copied.")
    elif code:
        raise _explained(host, code, said)


def _argv(host: Host, direction: Direction, here: Path, there: str) -> list[str]:
    folder = shlex.quote(there)
    ours, theirs = f"{here}/", f"{host.alias}:./"
    return [
        "rsync",
        "--files-from=-",
        "--from0",
        "--links",
        "--times",
        "--executability",
        f"--partial-dir={PARTIAL}",
        "--info=progress2",
        "--protect-args",
        f"--rsh={' '.join(map(_quoted, ['ssh', '-q', *ssh_options(host)]))}",
        # a folder as the place to run in is taken as it is; as an argument `*` would be a pattern
        f"--rsync-path=mkdir -p -- {folder} && cd -- {folder} && rsync",
        *((ours, theirs) if direction == "put" else (theirs, ours)),
    ]


def _quoted(word: str) -> str:
    """A word of `--rsh`, where a quote within quotes is written twice."""
    return "'" + word.replace("'", "''") + "'"


def _follow(output: IO[bytes], progress: Callable[[int], None]) -> None:
    """Read rsync's one line of progress, which it writes over and over."""
    rest = b""
    while chunk := os.read(output.fileno(), 65536):
        *lines, rest = re.split(rb"[\r\n]", rest + chunk)
        for line in lines[-1:]:
            if match := _BYTES.match(line):
                progress(int(re.sub(rb"\D", b"", match[1])))


def _explained(host: Host, code: int, said: str) -> DlError:
    lines = [printable(line) for line in said.splitlines() if line.strip()]
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return DlError(
            "The disk at the goal is full",
            why=next(line for line in lines if "space" in line or "quota" in line),
            hint="Free some space, then run the same again: it goes on from there.",
        )
    # the last line repeats the exit code; those before it say what happened
    why = "; ".join(lines[:-1][:MOST_LINES] or lines) or f"rsync ended with {code}"
    if code in DROPPED or code < 0:
        return Unreachable(
            f"The connection to {host.alias} dropped",
            why=lines[0].rstrip(".") if lines else why,
            hint="Run the same again: it goes on from there.",
        )
    return DlError(
        "Not all could be copied",
        why=why,
        hint="Mend that, then run the same again: what is copied is not copied twice.",
    )


def _is_recent(version: str) -> bool:
    match = _VERSION.search(version)
    return match is not None and (int(match[1]), int(match[2])) >= OLDEST

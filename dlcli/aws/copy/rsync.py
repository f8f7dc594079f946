"""Copy files by the system's rsync over ssh; each copy can be resumed."""

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

# The first version with `--info=progress2`; Apple's rsync is another program.
OLDEST = (3, 1)
_VERSION = re.compile(r"^rsync +version v?(\d+)\.(\d+)", re.MULTILINE)
_BYTES = re.compile(rb"^\s*([\d,.]+)\s+\d+%")
# rsync(1), "EXIT VALUES": socket, protocol stream, signal, time out; and ssh's own 255.
DROPPED = {10, 12, 20, 30, 255}
VANISHED = 24
MOST_LINES = 5


def why_not(client: SSHClient) -> str:
    """Why rsync cannot be used, in words; empty if it can."""
    try:
        here = subprocess.run(["rsync", "--version"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return "rsync is not installed on this computer"
    if not _is_recent(here):
        return "rsync is too old on this computer"
    code, there, _ = run(client, ["rsync", "--version"])
    if code:
        return "rsync is not installed on the box"
    return "" if _is_recent(there) else "rsync is too old on the box"


def copy_once(
    host: Host,
    direction: Direction,
    here: Path,
    there: str,
    names: Sequence[str],
    progress: Callable[[int], None],
) -> None:
    """Copy files, from where an earlier attempt stopped.

    Args:
        here, there: the folders, absolute; missing ones are made.
        names: the files, relative to both folders.
        progress: called with the number of bytes done.

    Raises:
        Unreachable: the connection was lost; call it again.
        DlError: the disk is full, or a file cannot be read or written.
    """
    here.mkdir(parents=True, exist_ok=True)
    with TemporaryFile() as wanted, TemporaryFile() as errors:
        # `./` keeps rsync from reading a name that begins with `#` or `;` as a comment
        wanted.write(b"".join(os.fsencode(f"./{name}") + b"\0" for name in names))
        wanted.seek(0)
        process = subprocess.Popen(
            _argv(host, direction, here, there),
            stdin=wanted,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # only this process gets Ctrl-C; it then ends rsync
        )
        assert process.stdout is not None  # asked for
        try:
            _follow(process.stdout, progress)
            code = process.wait()
        finally:
            process.terminate()  # rsync then keeps its partial file for the next time
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
        # `cd` takes the folder's name as it is; as an argument of rsync, `*` would be a pattern
        f"--rsync-path=mkdir -p -- {folder} && cd -- {folder} && rsync",
        *((ours, theirs) if direction == "put" else (theirs, ours)),
    ]


def _quoted(word: str) -> str:
    """A word of `--rsh`, which doubles a quote within quotes."""
    return "'" + word.replace("'", "''") + "'"


def _follow(output: IO[bytes], progress: Callable[[int], None]) -> None:
    """Read rsync's progress line, which it overwrites again and again."""
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
            "The disk of the destination is full",
            why=next(line for line in lines if "space" in line or "quota" in line),
            hint="Free some space, then run the same command again: it continues.",
        )
    # the last line repeats the exit code; the lines before it give the reason
    why = "; ".join(lines[:-1][:MOST_LINES] or lines) or f"rsync ended with exit code {code}"
    if code in DROPPED or code < 0:
        return Unreachable(
            f"The connection to {host.alias} was lost",
            why=lines[0].rstrip(".") if lines else why,
            hint="Run the same command again: it continues.",
        )
    return DlError(
        "Some files were not copied",
        why=why,
        hint="Fix that, then run the same command again: it copies only what is missing.",
    )


def _is_recent(version: str) -> bool:
    match = _VERSION.search(version)
    return match is not None and (int(match[1]), int(match[2])) >= OLDEST

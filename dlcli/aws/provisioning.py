"""What makes a rented machine ours: its watchdog from the first second, and all that `dl` needs.

The scripts lie in `box/`. How a command runs over there, and how a file gets there, is passed in.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from dlcli.aws.settings import Aws
from dlcli.aws.wheel import from_index, version, write_wheel
from dlcli.errors import DlError
from dlcli.files import read_text
from dlcli.places import expanded, printable, shown
from dlcli.progress import say

BOX = Path(__file__).parent / "box"
UNITS = ("dl-watchdog.service", "dl-watchdog.timer", "dl-shutdown.service")
USER = "ubuntu"
# Paths over there are relative to the home folder, where ssh begins.
FOLDER = ".dl"
LOG = f"{FOLDER}/bootstrap.log"
LOG_LINES = 25
# EC2's limit, before it is encoded.
MOST_BYTES = 16_384
WATCHDOG = "/usr/local/lib/dl/watchdog.sh"
# What the watchdog saw last, and what the time is over there: clocks differ.
STATUS = ("sh", "-c", "cat /run/dl/watchdog; date +now=%s")
# It looks each minute.
SILENT_SECONDS = 180


class Answer(Protocol):
    """How a command over there ended, and what it printed."""

    @property
    def code(self) -> int:
        """Its exit code."""

    @property
    def output(self) -> str:
        """What it wrote, errors included."""


class Run(Protocol):
    """Runs a command over there and gives each line that it writes to `on_line` at once."""

    def __call__(self, argv: Sequence[str], *, on_line: Callable[[str], None] | None) -> Answer:
        """Run it and wait for its end, whatever its exit code."""


Put = Callable[[Path, str], object]


@dataclass(frozen=True)
class Watched:
    """What a box's watchdog says.

    Attributes:
        idle: for how long nothing has used the box; zero while something does.
        stops_in: time until it stops, if it stays as it is; zero where that is due.
        because: "idle" or "cap", the reason that comes first.
        sees: "GPU 0 %, no job, 1 ssh terminal, no busy Jupyter kernel".
    """

    idle: timedelta
    stops_in: timedelta
    because: str
    sees: str


def user_data(idle: timedelta | None, max_hours: float, user: str = USER) -> str:
    """The script that a box runs at its first boot: arms its shutdown, installs its watchdog.

    It holds no secret: whatever runs on the box may read it.

    Args:
        idle: time without use after which the box stops; None for never.
        max_hours: hours after each start at which it stops whatever it does.
        user: whose jobs, terminals and kernels count.
    """
    idle_seconds = round(idle.total_seconds()) if idle else 0
    settings = f"idle_seconds={idle_seconds}\ncap_seconds={round(max_hours * 3600)}\nuser={user}"
    units = "\n".join(
        f"place /etc/systemd/system/{name} <<'END_OF_FILE'\n{_file(name)}\nEND_OF_FILE"
        for name in UNITS
    )
    filled = (
        _file("user-data.sh")
        .replace("@SETTINGS@", settings)
        .replace("@UNITS@", units)
        .replace("@WATCHDOG@", _file("watchdog.sh"))
    )
    return filled + "\n"


def own_script(settings: Aws) -> Path | None:
    """The script that is to run on a new box after everything else; None where there is none.

    Raises:
        DlError: there is no such file.
    """
    if settings.bootstrap is None:
        return None
    script = expanded(str(settings.bootstrap))
    if not script.is_file():
        raise DlError(
            f"There is no {shown(script)}",
            why="the setting `aws.bootstrap` names it as the script to run on a new box",
            hint="Write it, or `dl config set aws.bootstrap none`.",
        )
    return script


def provision(name: str, settings: Aws, run: Run, put: Put) -> None:
    """Bring a box up to date: watchdog, Python, this version of `dl`, Jupyter, TensorBoard.

    What is there already stays; after a failure the next call does what is missing.

    Args:
        name: the box's name, for the hints.
        settings: `idle`, `max_hours` and `bootstrap` are read.
        run: runs a command over there.
        put: copies a file to a path over there, relative to the home folder.

    Raises:
        DlError: the watchdog doesn't run, or the setup failed, with the end of its log.
    """
    script = own_script(settings)
    install_watchdog(name, settings, run, put)
    _require(run(["mkdir", "-p", f"{FOLDER}/wheels"], on_line=None), name)
    arguments = [version()]
    if not from_index():
        with TemporaryDirectory() as folder:
            wheel = write_wheel(Path(folder))
            arguments.append(f"{FOLDER}/wheels/{wheel.name}")
            put(wheel, arguments[-1])
    if script:
        put(script, f"{FOLDER}/own-bootstrap")
    put(BOX / "bootstrap.sh", f"{FOLDER}/bootstrap.sh")
    answer = run(["bash", f"{FOLDER}/bootstrap.sh", *arguments], on_line=say)
    if answer.code:
        log = run(["tail", "-n", str(LOG_LINES), LOG], on_line=None).output
        raise _failed(name, f"its setup ended with exit code {answer.code}", log or answer.output)


def install_watchdog(name: str, settings: Aws, run: Run, put: Put) -> Watched:
    """Bring a box's watchdog and its limits up to date, and see it at work.

    Args:
        name: the box's name, for the hints.
        settings: `idle` and `max_hours` are read.
        run: runs a command over there.
        put: copies a file to a path over there, relative to the home folder.

    Raises:
        DlError: it doesn't run.
    """
    _require(run(["mkdir", "-p", FOLDER], on_line=None), name)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "user-data.sh"
        file.write_text(user_data(settings.idle, settings.max_hours))
        put(file, f"{FOLDER}/user-data.sh")
    installed = run(["sudo", "-n", "bash", f"{FOLDER}/user-data.sh"], on_line=None)
    watched = read_watchdog(run(STATUS, on_line=None).output)
    if installed.code or watched is None:
        raise DlError(
            f"The watchdog of {name} does not run, so nothing would stop the box when it is idle",
            why=_quoted(installed.output) or "it has not written what it sees",
            hint=f"The box stops by itself two hours after its start. Try `dl aws up -n {name}` "
            f"again, or end it: `dl aws down {name}`.",
        )
    return watched


def extend_command(by: timedelta) -> list[str]:
    """What makes a box stay for so long from now, idle or not; prints what `STATUS` prints."""
    extended = shlex.join(["sudo", "-n", "sh", WATCHDOG, "extend", f"{int(by.total_seconds())}s"])
    return ["sh", "-c", f"{extended} && date +now=%s"]


def read_watchdog(text: str) -> Watched | None:
    """What a box's watchdog says, of what `STATUS` printed.

    Returns:
        None where it says nothing, or nothing any more: then the box still stops at its cap.
    """
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    try:
        now, checked, stops_at, idle = (
            int(said[key]) for key in ("now", "checked", "stops_at", "idle")
        )
        # a second may pass between its look and our question
        if now - checked > SILENT_SECONDS:
            return None
        return Watched(
            idle=timedelta(seconds=idle and idle + now - checked),
            stops_in=timedelta(seconds=max(0, stops_at - now)),
            because=printable(said.get("because", "")),
            sees=printable(said.get("sees", "")),
        )
    except (KeyError, ValueError, OverflowError):
        return None


def _file(name: str) -> str:
    return read_text(BOX / name).rstrip("\n")


def _require(answer: Answer, name: str) -> None:
    if answer.code:
        raise _failed(name, "its disk can't be written", answer.output)


def _failed(name: str, why: str, log: str) -> DlError:
    quoted = _quoted(log)
    return DlError(
        f"{name} is running but not set up",
        why=f"{why}; the end of ~/{LOG} there:\n{quoted}" if quoted else why,
        hint=f"`dl aws up -n {name}` does what is missing; `dl aws ssh {name}` looks around. "
        f"Meanwhile it costs: `dl aws stop {name}`.",
    )


def _quoted(log: str) -> str:
    return "\n".join(f"    {printable(line)}" for line in log.splitlines()[-LOG_LINES:])

"""The setup of a box: its watchdog, Python, `dl`, Jupyter and TensorBoard.

The scripts are in `box/`. The box gets the `dl` of this computer, as a wheel written from the
running package without a build tool; the package index has another project of its name.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from dlcli.aws.cloud import Named
from dlcli.errors import DlError
from dlcli.files.formats import read_text
from dlcli.files.paths import expanded, shown
from dlcli.progress import say
from dlcli.settings.aws import Aws
from dlcli.words import printable

BOX = Path(__file__).parent / "box"
UNITS = (
    "dl-watchdog.service",
    "dl-watchdog.timer",
    "dl-shutdown.service",
    "dl-poweroff.service",
)
USER = "ubuntu"
# Paths on the box are relative to the home folder, where ssh starts.
FOLDER = ".dl"
BOOTSTRAP, WHEELS, LOG = (
    f"{FOLDER}/{name}" for name in ("bootstrap.sh", "wheels", "bootstrap.log")
)
LOG_LINES = 25
# The exit code of `follow` while the setup runs: EX_TEMPFAIL.
GOING_ON = 75
WATCHDOG = "/usr/local/lib/dl/watchdog.sh"
# Prints the watchdog's last status, and the box's time, for clocks differ.
STATUS = ("sh", "-c", "cat /run/dl/watchdog; date +now=%s")
# The watchdog looks each minute; silent for longer, it does not run.
WATCHDOG_GONE_SECONDS = 180

DISTRIBUTION = "dlcli"
PACKAGE_FOLDER = Path(__file__).parent.parent
WHEEL_TEXT = "Wheel-Version: 1.0\nGenerator: dl\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


class Runner(Protocol):
    """Runs a program on the box to its end, as `ssh.run` does."""

    def __call__(self, argv: Sequence[str], stdin: bytes = b"") -> tuple[int, str, str]:
        """Run it; returns its exit code, stdout and stderr."""


@dataclass(frozen=True)
class Watched:
    """The status of a box's watchdog.

    Attributes:
        idle: how long the box has been unused; zero while it is in use.
        stops_in: time until the box stops, if nothing changes; zero if it is due.
        because: the reason that comes first, "idle" or "cap".
        sees: such as "GPU 0 %, no job, 1 ssh terminal, no busy Jupyter kernel".
    """

    idle: timedelta
    stops_in: timedelta
    because: str
    sees: str


def user_data(idle: timedelta | None, max_hours: float, user: str = USER) -> str:
    """The script that a box runs at its first boot: schedules a shutdown, installs the watchdog.

    It contains no secret, for every program on the box can read it.

    Args:
        idle: time without use after which the box stops; None for never.
        max_hours: time limit in hours after each start.
        user: whose jobs, terminals and kernels count as use.
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
    """The user's own setup script for new boxes; None if there is none.

    Raises:
        DlError: the file does not exist.
    """
    if settings.bootstrap is None:
        return None
    script = expanded(str(settings.bootstrap))
    if not script.is_file():
        raise DlError(
            f"{shown(script)} does not exist",
            why="the setting `aws.bootstrap` names it as the script to run on a new box",
            hint="Create it, or run `dl config set aws.bootstrap none`.",
        )
    return script


def provision(box: Named, settings: Aws, run: Runner) -> None:
    """Bring a box up to date: watchdog, Python, this version of `dl`, Jupyter, TensorBoard.

    Finished steps are not repeated; after a failure the next call does what is missing. The setup
    continues on the box if the connection is lost.

    Args:
        box: for the hints.
        settings: `idle`, `max_hours` and `bootstrap` are read.
        run: runs a program on the box.

    Raises:
        DlError: the watchdog does not run, or the setup failed; shows the end of its log.
    """
    script = own_script(settings)
    install_watchdog(box, settings, run)
    with TemporaryDirectory() as folder:
        wheel = write_wheel(Path(folder))
        arguments = [version(), f"{WHEELS}/{wheel.name}"]
        _place(box, run, arguments[-1], wheel.read_bytes())
    if script:
        _place(box, run, f"{FOLDER}/own-bootstrap", script.read_bytes())
    _place(box, run, BOOTSTRAP, (BOX / "bootstrap.sh").read_bytes())
    code, begun, error = run(["bash", BOOTSTRAP, "start", *arguments])
    if code:
        raise _failed(box, "its setup could not be started", error)
    if code := _follow(run, begun.strip()):
        _, log, _ = run(["tail", "-n", str(LOG_LINES), LOG])
        raise _failed(box, f"its setup ended with exit code {code}", log)


def install_watchdog(box: Named, settings: Aws, run: Runner, *, anew: bool = False) -> Watched:
    """Bring a box's watchdog and its limits up to date, and check that it runs.

    Args:
        box: for the hints.
        settings: `idle` and `max_hours` are read.
        run: runs a program on the box.
        anew: whether the time limit counts from this boot, because the box was stopped before.

    Raises:
        DlError: it does not run.
    """
    script = f"{FOLDER}/user-data.sh"
    _place(box, run, script, user_data(settings.idle, settings.max_hours).encode())
    code, said, error = run(["sudo", "-n", "bash", script, *(["anew"] if anew else [])])
    watched = read_watchdog(run(STATUS)[1])
    if code or watched is None:
        raise DlError(
            f"The watchdog of {box} does not run",
            why=" ".join(_indented(error or said).split()) or "it has not written its status",
            hint="Without its watchdog the box stops two hours after its start, idle or busy. "
            f"Try `dl aws up{box.options}` again, or end the box: `dl aws down{box.options}`.",
        )
    return watched


def extend_command(by: timedelta) -> list[str]:
    """The command that keeps a box up for a time from now; it prints what `STATUS` prints."""
    extended = shlex.join(["sudo", "-n", "sh", WATCHDOG, "extend", f"{int(by.total_seconds())}s"])
    return ["sh", "-c", f"{extended} && date +now=%s"]


def read_watchdog(text: str) -> Watched | None:
    """The watchdog's status, from the output of `STATUS`.

    Returns:
        None if it has none or stopped writing it; the box then still stops at its time limit.
    """
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    try:
        now, checked, stops_at, idle = (
            int(said[key]) for key in ("now", "checked", "stops_at", "idle")
        )
        # seconds may pass between its look and our question
        if now - checked > WATCHDOG_GONE_SECONDS:
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
    """A script's text without its comments, because EC2 limits the size of user data."""
    first, *lines = read_text(BOX / name).splitlines()
    return "\n".join([first, *(line for line in lines if not line.lstrip().startswith("#"))])


def _place(box: Named, run: Runner, path: str, content: bytes) -> None:
    """Write a file on the box in one step, for the present one may be running."""
    script = 'mkdir -p "${1%/*}" && cat >"$1.new" && mv -f "$1.new" "$1"'
    code, _, error = run(["sh", "-c", script, "sh", path], stdin=content)
    if code:
        raise _failed(box, f"~/{path} cannot be written there", error)


def _follow(run: Runner, begun: str) -> int:
    """Show the setup's progress until it ends; returns its exit code."""
    heard = 0
    while True:
        code, text, _ = run(["bash", BOOTSTRAP, "follow", begun, str(heard)])
        heard += len(text.encode("utf-8", "surrogateescape"))
        if text:
            say(text.removesuffix("\n"))
        if code != GOING_ON:
            return code


def _failed(box: Named, why: str, log: str) -> DlError:
    end = _indented(log)
    return DlError(
        f"{box} is running but not set up",
        why=f"{why}; the end of ~/{LOG} there:\n{end}" if end else why,
        hint=f"Continue the setup with `dl aws up{box.options}`, or look around with "
        f"`dl aws ssh{box.options}`. It costs money until `dl aws stop{box.options}`.",
    )


def _indented(log: str) -> str:
    return "\n".join(f"    {printable(line)}" for line in log.splitlines()[-LOG_LINES:])


def version() -> str:
    """The installed version of `dl`.

    Raises:
        DlError: the package is not installed.
    """
    return _distribution().version


def write_wheel(folder: Path) -> Path:
    """Write the running package as a wheel. The same files give the same bytes.

    Args:
        folder: where to write it.

    Raises:
        DlError: the package is not installed.

    Reference: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
    """
    found = _distribution()
    about = f"{DISTRIBUTION}-{found.version}.dist-info"
    content = {
        f"{DISTRIBUTION}/{path.relative_to(PACKAGE_FOLDER).as_posix()}": path.read_bytes()
        for path in sorted(PACKAGE_FOLDER.rglob("*"))
        if path.is_file() and not _is_left_out(path.relative_to(PACKAGE_FOLDER))
    }
    for name in ("METADATA", "entry_points.txt"):
        content[f"{about}/{name}"] = (found.read_text(name) or "").encode()
    content[f"{about}/WHEEL"] = WHEEL_TEXT.encode()
    record = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in content.items()]
    content[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,", ""]).encode()
    wheel = folder / f"{DISTRIBUTION}-{found.version}-py3-none-any.whl"
    with ZipFile(wheel, "w", ZIP_DEFLATED) as archive:
        for name, data in content.items():
            # a ZipInfo has a fixed time, 1980; the file's own time would change the bytes
            entry = ZipInfo(name)
            entry.external_attr = 0o644 << 16
            entry.compress_type = ZIP_DEFLATED
            archive.writestr(entry, data)
    return wheel


def _is_left_out(path: Path) -> bool:
    return "__pycache__" in path.parts or any(part.startswith(".") for part in path.parts)


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _distribution() -> Distribution:
    try:
        return distribution(DISTRIBUTION)
    except PackageNotFoundError as error:
        raise DlError(
            "This `dl` cannot be copied to a box",
            why="it runs from a folder and is not installed",
            hint="Run `pip install -e .` in its checkout.",
        ) from error

"""What makes a rented machine ours: its watchdog from the first second, and all that `dl` needs.

The scripts lie in `box/`. How a program is run over there is passed in. The box gets the version of
`dl` that runs here: by its number on the package index, or as a wheel that is written from the
package that runs, installed or a checkout, without a build tool.
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
# Paths over there are relative to the home folder, where ssh begins.
FOLDER = ".dl"
BOOTSTRAP, WHEELS, LOG = (
    f"{FOLDER}/{name}" for name in ("bootstrap.sh", "wheels", "bootstrap.log")
)
LOG_LINES = 25
# What `follow` ends with while the setup goes on: EX_TEMPFAIL.
GOING_ON = 75
# EC2's limit, before it is encoded.
MOST_BYTES = 16_384
WATCHDOG = "/usr/local/lib/dl/watchdog.sh"
# What the watchdog saw last, and what the time is over there: clocks differ.
STATUS = ("sh", "-c", "cat /run/dl/watchdog; date +now=%s")
# It looks each minute.
SILENT_SECONDS = 180

DISTRIBUTION = "dlcli"
PACKAGE_FOLDER = Path(__file__).parent.parent
WHEEL_TEXT = "Wheel-Version: 1.0\nGenerator: dl\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


class Runner(Protocol):
    """Runs a program over there to its end, as `ssh.run` does for a client."""

    def __call__(self, argv: Sequence[str], stdin: bytes = b"") -> tuple[int, str, str]:
        """Its exit code, and what it wrote to stdout and stderr."""


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


def provision(box: Named, settings: Aws, run: Runner) -> None:
    """Bring a box up to date: watchdog, Python, this version of `dl`, Jupyter, TensorBoard.

    What is there already stays; after a failure the next call does what is missing. The setup goes
    on over there when the connection ends.

    Args:
        box: for the hints.
        settings: `idle`, `max_hours` and `bootstrap` are read.
        run: runs a program over there.

    Raises:
        DlError: the watchdog doesn't run, or the setup failed, with the end of its log.
    """
    script = own_script(settings)
    install_watchdog(box, settings, run)
    arguments = [version()]
    if not from_index():
        with TemporaryDirectory() as folder:
            wheel = write_wheel(Path(folder))
            arguments.append(f"{WHEELS}/{wheel.name}")
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
    """Bring a box's watchdog and its limits up to date, and see it at work.

    Args:
        box: for the hints.
        settings: `idle` and `max_hours` are read.
        run: runs a program over there.
        anew: whether its hours begin with this boot, for it was stopped before.

    Raises:
        DlError: it doesn't run.
    """
    script = f"{FOLDER}/user-data.sh"
    _place(box, run, script, user_data(settings.idle, settings.max_hours).encode())
    code, said, error = run(["sudo", "-n", "bash", script, *(["anew"] if anew else [])])
    watched = read_watchdog(run(STATUS)[1])
    if code or watched is None:
        raise DlError(
            f"The watchdog of {box} does not run, so nothing would stop the box when it is idle",
            why=" ".join(_indented(error or said).split()) or "it has not written what it sees",
            hint="Without it the box stops two hours after its start, sooner than was said. "
            f"Try `dl aws up{box.options}` again, or end it: `dl aws down{box.options}`.",
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
    """A script's text without its comments: user data has little room."""
    first, *lines = read_text(BOX / name).splitlines()
    return "\n".join([first, *(line for line in lines if not line.lstrip().startswith("#"))])


def _place(box: Named, run: Runner, path: str, content: bytes) -> None:
    """Write a file over there, whole: what is there may be running."""
    script = 'mkdir -p "${1%/*}" && cat >"$1.new" && mv -f "$1.new" "$1"'
    code, _, error = run(["sh", "-c", script, "sh", path], stdin=content)
    if code:
        raise _failed(box, f"~/{path} can't be written there", error)


def _follow(run: Runner, begun: str) -> int:
    """Say what the setup says until it ends; its exit code."""
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
        hint=f"`dl aws up{box.options}` does what is missing; `dl aws ssh{box.options}` looks "
        f"around. Meanwhile it costs: `dl aws stop{box.options}`.",
    )


def _indented(log: str) -> str:
    return "\n".join(f"    {printable(line)}" for line in log.splitlines()[-LOG_LINES:])


def version() -> str:
    """The version as the installer knows it.

    Raises:
        DlError: the package runs without being installed.
    """
    return _distribution().version


def from_index() -> bool:
    """Whether this installation came from a package index by its name, so that another can.

    Raises:
        DlError: the package runs without being installed.
    """
    found = _distribution()
    # PEP 610: written for whatever was installed from a folder, a file, a URL or a repository
    named = found.read_text("direct_url.json") is None
    installed = Path(str(found.locate_file(DISTRIBUTION))).resolve()
    return named and installed == PACKAGE_FOLDER.resolve()


def write_wheel(folder: Path) -> Path:
    """Write the package that runs as a wheel; of the same files the same bytes.

    Args:
        folder: where the wheel is to be.

    Raises:
        DlError: the package runs without being installed.

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
            # a ZipInfo has the year 1980, where the file's own time would change the bytes
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
            "This `dl` can't be brought to another machine",
            why="it runs from a folder without being installed",
            hint="Install it: `pip install -e .` in its checkout.",
        ) from error

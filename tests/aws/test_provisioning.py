"""What a box gets: user data that can't leave it running, a setup that says what it does."""

from __future__ import annotations

import base64
import configparser
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from aws.boxes_home import BoxHome, write_package
from aws.sshd import Sshd
from aws.watched import BOOTED, Box
from hypothesis import given
from hypothesis import strategies as st
from paramiko import SSHClient

from dlcli.aws import connecting, provisioning
from dlcli.aws.durations import Duration
from dlcli.aws.naming import Named
from dlcli.aws.provisioning import (
    BOX,
    MOST_BYTES,
    STATUS,
    UNITS,
    Run,
    Watched,
    extend_command,
    install_watchdog,
    own_script,
    provision,
    read_watchdog,
    user_data,
)
from dlcli.aws.settings import Aws
from dlcli.errors import DlError
from dlcli.progress import heard_by

FISH = Named("fish", " --region eu-west-1")
HALF_HOUR = Duration(minutes=30)
SEEN = "checked=1000\nidle=720\nstops_at=2080\nbecause=idle\nsees=GPU 0 %, no job\nnow=1010\n"


def commands(script: str) -> list[str]:
    """The lines of a script that do something."""
    return [
        line for line in script.splitlines() if line.strip() and not line.strip().startswith("#")
    ]


def test_the_first_thing_that_user_data_does_is_arm_a_shutdown() -> None:
    script = user_data(HALF_HOUR, 24)
    assert script.startswith("#!/bin/bash\n")
    assert commands(script)[0] == "shutdown -h +120"


@given(
    idle=st.none() | st.timedeltas(timedelta(minutes=1), timedelta(days=365)),
    hours=st.floats(1, 8760),
)
def test_user_data_fits_and_holds_no_secret(idle: timedelta | None, hours: float) -> None:
    script = user_data(idle, hours)
    assert len(script.encode()) < MOST_BYTES
    assert "@" not in re.sub(r"@pts|\.\*@|ubuntu@|-H @-", "", script)  # every place is filled
    assert not re.search(r"AKIA|ASIA|PRIVATE KEY|aws_|secret|password|ssh-(ed|rsa)", script, re.I)


def test_user_data_is_a_script_that_shells_can_read(tmp_path: Path) -> None:
    (tmp_path / "user-data.sh").write_text(user_data(HALF_HOUR, 24))
    for script in (tmp_path / "user-data.sh", *BOX.glob("*.sh")):
        subprocess.run(["bash", "-n", script], check=True)
    subprocess.run(["sh", "-n", BOX / "watchdog.sh"], check=True)


def test_the_watchdog_is_started_each_minute_and_at_each_boot() -> None:
    units = {}
    for name in UNITS:
        units[name] = configparser.ConfigParser(interpolation=None, strict=False)
        units[name].read_string((BOX / name).read_text())
        if not name.endswith("watchdog.service"):
            assert units[name]["Install"]["WantedBy"]
    assert units["dl-watchdog.timer"]["Timer"]["OnCalendar"] == "minutely"
    service = units["dl-watchdog.service"]["Service"]
    assert service["ExecStart"].endswith(provisioning.WATCHDOG)
    assert int(service["TimeoutStartSec"]) < 60
    assert units["dl-shutdown.service"]["Service"]["ExecStart"] == "shutdown --no-wall -h +120"


def moved(script: str, root: Path) -> str:
    """A script that writes below another folder."""
    for name in ("etc/dl", "etc/systemd/system", "usr/local/lib/dl"):
        (root / name).mkdir(parents=True, exist_ok=True)
    lines = script.splitlines(keepends=True)
    return "".join(
        re.sub(" (?=/(etc|usr|var)/)", f" {root}", line)
        if line.startswith(("place", "mkdir", "if"))
        else line
        for line in lines
    )


def run_user_data(root: Path, systemctl: str, *arguments: str) -> tuple[int, list[str]]:
    """Run user data below a folder; its exit code, and the programs that it called, in order."""
    called, programs = root / "called", root / "programs"
    programs.mkdir(parents=True, exist_ok=True)
    called.unlink(missing_ok=True)
    for name, script in {"systemctl": systemctl, "shutdown": ":"}.items():
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >>"{called}"\n{script}\n')
        (programs / name).chmod(0o755)
    (root / "user-data.sh").write_text(moved(user_data(HALF_HOUR, 24), root))
    done = subprocess.run(
        ["bash", root / "user-data.sh", *arguments],
        env={"PATH": f"{programs}:/usr/bin:/bin"},
        check=False,
    )
    return done.returncode, called.read_text().splitlines()


def test_user_data_installs_the_watchdog_and_leaves_the_shutdown_armed(tmp_path: Path) -> None:
    code, called = run_user_data(tmp_path, systemctl=":")
    assert code == 0
    assert called == [
        "shutdown -h +120",  # which the watchdog's first look moves to the cap
        "systemctl daemon-reload",
        "systemctl enable dl-shutdown.service dl-poweroff.service",
        "systemctl enable --now dl-watchdog.timer",
        "systemctl start dl-watchdog.service",
    ]
    config = (tmp_path / "etc/dl/watchdog.conf").read_text()
    assert config == "idle_seconds=1800\ncap_seconds=86400\nuser=ubuntu\n"
    for name, place in {
        "watchdog.sh": "usr/local/lib/dl",
        **dict.fromkeys(UNITS, "etc/systemd/system"),
    }.items():
        assert commands((tmp_path / place / name).read_text()) == commands((BOX / name).read_text())


def test_the_hours_of_a_box_that_was_started_begin_anew(tmp_path: Path) -> None:
    lasting = tmp_path / "var/lib/dl"
    lasting.mkdir(parents=True)
    (lasting / "began").write_text(f"{BOOTED}")
    assert run_user_data(tmp_path, ":")[0] == 0
    assert (lasting / "began").exists()
    assert run_user_data(tmp_path, ":", "anew")[0] == 0
    assert not lasting.exists()


def test_a_power_off_forgets_the_hours_and_a_reboot_does_not() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.read_string((BOX / "dl-poweroff.service").read_text())
    assert unit["Install"]["WantedBy"].split() == ["poweroff.target", "halt.target"]
    assert unit["Service"]["ExecStart"] == "rm -rf /var/lib/dl"
    assert (BOX / "watchdog.sh").read_text().count("/var/lib/dl") == 1


def test_where_the_watchdog_does_not_start_the_shutdown_stays(tmp_path: Path) -> None:
    code, called = run_user_data(tmp_path, systemctl="exit 1")
    assert code != 0
    assert called[0] == "shutdown -h +120"
    assert [line for line in called if line.startswith("shutdown")] == ["shutdown -h +120"]


def test_without_an_idle_limit_the_cap_is_left() -> None:
    assert "idle_seconds=0\ncap_seconds=5400\n" in user_data(None, 1.5)


def test_what_the_watchdog_says_is_read(tmp_path: Path) -> None:
    assert read_watchdog(SEEN) == Watched(
        timedelta(seconds=730), timedelta(seconds=1070), "idle", "GPU 0 %, no job"
    )
    box = Box(tmp_path / "box")
    box.look()
    box.gpus("80")
    box.look(after=600)
    text = (box.state / "watchdog").read_text() + f"now={box.now}\n"
    watched = read_watchdog(text)
    assert watched is not None
    assert (watched.idle, watched.because) == (timedelta(0), "cap")
    assert watched.stops_in == timedelta(hours=24) - timedelta(seconds=box.now - BOOTED)
    assert watched.sees.startswith("GPU 80 %")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now=1010\n",
        SEEN.replace("now=1010", "now=1200"),  # it has been silent for minutes
        SEEN.replace("idle=720", "idle=much"),
        SEEN.replace("stops_at=2080", "stops_at=" + "9" * 40),
        SEEN.replace("checked=1000\n", ""),
        "cat: /run/dl/watchdog: No such file or directory\nnow=12\n",
    ],
)
def test_a_watchdog_that_says_nothing_sensible_is_none(text: str) -> None:
    assert read_watchdog(text) is None


def test_nothing_that_it_says_steers_a_terminal() -> None:
    watched = read_watchdog(SEEN.replace("no job", "\x1b[2J"))
    assert watched is not None
    assert "\x1b" not in watched.sees


def test_a_box_is_made_to_stay_longer_and_says_until_when() -> None:
    assert extend_command(Duration.parse("1h30m")) == [
        "sh",
        "-c",
        f"sudo -n sh {provisioning.WATCHDOG} extend 5400s && date +now=%s",
    ]


class Remote:
    """A box as ssh shows it: programs run in a home folder of their own; root's are noted."""

    def __init__(self, home: BoxHome, watchdog: str = SEEN) -> None:
        self.home, self.watchdog = home, watchdog

    def __call__(self, argv: Sequence[str], stdin: bytes = b"") -> tuple[int, str, str]:
        if tuple(argv) == STATUS:
            return 0, self.watchdog, ""
        return self.home.run(argv, stdin)


def over_ssh(client: SSHClient, home: BoxHome) -> Run:
    """The same through a true connection."""
    environ = [f"{name}={value}" for name, value in home.environ.items()]

    def run(argv: Sequence[str], stdin: bytes = b"") -> tuple[int, str, str]:
        if tuple(argv) == STATUS:
            return 0, SEEN, ""
        return connecting.run(client, ["env", "-C", str(home.home), *environ, *argv], stdin)

    return run


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment."""
    folder = tmp_path_factory.mktemp("template") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def home_of_box(tmp_path: Path, template: Path) -> BoxHome:
    return BoxHome(tmp_path / "box", template)


@pytest.fixture
def small_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel without the packages that the true one needs."""
    monkeypatch.setattr(
        provisioning, "write_wheel", lambda folder: write_package(folder, "dlcli", "0.1.0", "mine")
    )
    monkeypatch.setattr(provisioning, "version", lambda: "0.1.0")


@pytest.mark.usefixtures("small_wheel")
def test_a_box_gets_watchdog_dl_and_the_owners_script(
    home_of_box: BoxHome, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "mine.sh").write_text('#!/bin/sh\ndl >>"$FAKE/own"\n')
    settings = Aws(bootstrap=Path("~/mine.sh"), idle=None, max_hours=3)
    provision(FISH, settings, Remote(home_of_box))
    data = (home_of_box.home / ".dl/user-data.sh").read_text()
    assert data == user_data(None, 3)
    assert home_of_box.noted("sudos")[0] == "-n bash .dl/user-data.sh"
    assert home_of_box.dl() == "dlcli 0.1.0 mine"
    assert home_of_box.noted("own") == ["dlcli 0.1.0 mine"]
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("Making ~/.dl/venv with Python")
    assert said[-2:] == ["Running your own bootstrap script", "The box is set up"]
    provision(FISH, settings, Remote(home_of_box))
    assert len(home_of_box.noted("own")) == 1


@pytest.mark.usefixtures("small_wheel")
def test_a_setup_that_fails_brings_the_end_of_its_log_back(home_of_box: BoxHome) -> None:
    (home_of_box.index / "jupyterlab-1.0-py3-none-any.whl").unlink()
    with pytest.raises(DlError) as failed:
        provision(FISH, Aws(), Remote(home_of_box))
    assert failed.value.what == "fish is running but not set up"
    assert "its setup ended with exit code 1; the end of ~/.dl/bootstrap.log" in failed.value.why
    assert "No matching distribution found for jupyterlab" in failed.value.why
    assert "`dl aws up -n fish --region eu-west-1`" in failed.value.hint
    assert "`dl aws stop -n fish --region eu-west-1`" in failed.value.hint


@pytest.mark.usefixtures("small_wheel")
def test_a_setup_goes_on_when_the_connection_is_dropped_and_the_next_call_joins_it(
    home_of_box: BoxHome, sshd: Sshd, capsys: pytest.CaptureFixture[str]
) -> None:
    home_of_box.fake("sudo", 'case $* in *linger*) sleep 3;; esac; echo "$*" >>"$FAKE/sudos"')
    host = sshd.host()

    def drop(said: str) -> None:
        if "Jupyter and TensorBoard" in said:
            sshd.drop()

    with (
        closing(connecting.connect(host)) as client,
        heard_by(drop),
        pytest.raises(connecting.Unreachable),
    ):
        provision(FISH, Aws(), over_ssh(client, home_of_box))
    capsys.readouterr()
    with closing(connecting.connect(host)) as client:
        provision(FISH, Aws(), over_ssh(client, home_of_box))
    assert capsys.readouterr().err.splitlines() == [
        "Waiting for another setup of this box to end",
        "Jupyter and TensorBoard, for localhost alone",
        "The box is set up",
    ]
    assert home_of_box.dl() == "dlcli 0.1.0 mine"
    assert home_of_box.log.count("The box is set up") == 2


@pytest.mark.usefixtures("small_wheel")
def test_a_version_of_the_index_comes_from_the_index(
    home_of_box: BoxHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provisioning, "from_index", lambda: True)
    write_package(home_of_box.index, "dlcli", "0.1.0", "published")
    provision(FISH, Aws(), Remote(home_of_box))
    assert home_of_box.dl() == "dlcli 0.1.0 published"
    assert not (home_of_box.home / ".dl/wheels").exists()


@pytest.mark.parametrize(
    ("sudo", "watchdog", "why"),
    [("echo no tty >&2; exit 1", SEEN, "no tty"), (":", "now=12\n", "it has not written")],
)
def test_a_box_without_a_watchdog_at_work_is_an_error(
    home_of_box: BoxHome, sudo: str, watchdog: str, why: str
) -> None:
    home_of_box.fake("sudo", sudo)
    with pytest.raises(DlError, match="The watchdog of fish does not run") as refused:
        install_watchdog(FISH, Aws(), Remote(home_of_box, watchdog))
    assert refused.value.why.startswith(why)
    assert "stops two hours after its start, sooner than was said" in refused.value.hint


def test_a_full_disk_is_said(home_of_box: BoxHome) -> None:
    (home_of_box.home / ".dl").write_text("no folder")
    with pytest.raises(DlError, match="fish is running but not set up") as failed:
        install_watchdog(FISH, Aws(), Remote(home_of_box))
    assert "~/.dl/user-data.sh can't be written there" in failed.value.why


def test_a_script_of_ones_own_that_is_not_there_is_refused_early(home: Path) -> None:
    with pytest.raises(DlError, match=r"There is no ~/nowhere\.sh") as refused:
        own_script(Aws(bootstrap=Path("~/nowhere.sh")))
    assert "`aws.bootstrap`" in refused.value.why
    assert own_script(Aws()) is None


def test_user_data_fits_as_it_is_sent() -> None:
    assert len(base64.b64encode(user_data(HALF_HOUR, 24).encode())) < MOST_BYTES

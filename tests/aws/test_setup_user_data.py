"""User data: a box's first boot, which can't leave it running and installs its watchdog."""

from __future__ import annotations

import base64
import configparser
import re
import subprocess
from datetime import timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from support.watchdog_box import BOOTED

from dlcli.aws import setup
from dlcli.aws.setup import BOX, UNITS, user_data
from dlcli.settings.aws import Duration

# EC2's limit on user data, before encoding.
MOST_BYTES = 16_384
HALF_HOUR = Duration(minutes=30)


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


def test_user_data_fits_as_it_is_sent() -> None:
    assert len(base64.b64encode(user_data(HALF_HOUR, 24).encode())) < MOST_BYTES


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
    assert service["ExecStart"].endswith(setup.WATCHDOG)
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

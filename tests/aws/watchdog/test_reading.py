"""What a watchdog says of its box, as it is read here, and the command that extends a box."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.watchdog_box import BOOTED, SEEN, Box

from dlcli.aws import setup
from dlcli.aws.setup import Watched, extend_command, read_watchdog
from dlcli.settings.aws import Duration


def test_what_the_watchdog_says_is_read(box: Box) -> None:
    assert read_watchdog(SEEN) == Watched(
        timedelta(seconds=730), timedelta(seconds=1070), "idle", "GPU 0 %, no job"
    )
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
        f"sudo -n sh {setup.WATCHDOG} extend 5400s && date +now=%s",
    ]

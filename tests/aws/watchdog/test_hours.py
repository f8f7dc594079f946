"""A box's hours: the cap that stops it even if it is busy, across reboots, and `extend`."""

from __future__ import annotations

import pytest
from support.jupyter_server import Jupyter
from support.watchdog_box import BOOTED, CAP_SECONDS, HOUR, IDLE_SECONDS, Box, everything_busy

pytestmark = pytest.mark.slow


def test_the_cap_fires_whatever_the_box_does(box: Box, jupyter: Jupyter) -> None:
    everything_busy(box, jupyter)
    box.look()
    seen = box.look(after=CAP_SECONDS - 200)
    assert seen["idle"] == "0"
    assert seen["stops_at"] == str(BOOTED + CAP_SECONDS)
    assert "its hard cap is near: this box stops in 4 min" in box.walls[0]
    box.run(after=200)
    assert box.shutdowns[-1] == "-h now dl: its hard cap is reached"


@pytest.mark.parametrize(
    "config",
    ["", "cap_seconds=", "cap_seconds=0", "cap_seconds=-1", "cap_seconds=$(false)", "\0", "(((("],
    ids=repr,
)
def test_without_readable_settings_a_box_stops_after_half_an_hour_or_a_day(
    box: Box, config: str
) -> None:
    box.configure(config)
    seen = box.look(after=60)
    assert box.armed_seconds == CAP_SECONDS + 360
    assert seen["because"] == "cap"
    assert box.look(after=60)["stops_at"] == str(BOOTED + 60 + IDLE_SECONDS)


def test_a_shutdown_for_the_cap_is_armed_before_anything_is_looked_at(box: Box) -> None:
    box.look(after=60)
    assert box.armed_seconds == CAP_SECONDS + 360
    for program in ("nvidia-smi", "ps", "getent"):
        box.kill_while(program)
        assert box.armed_seconds == CAP_SECONDS + 360
    assert [words for words in box.shutdowns if not words.startswith("--no-wall -h +")] == []


@pytest.mark.parametrize("name", ["began", "until"])
@pytest.mark.parametrize("content", ["", "nonsense", "08", "9" * 10], ids=repr)
def test_damaged_hours_give_no_box_more_than_its_cap(
    box: Box, jupyter: Jupyter, name: str, content: str
) -> None:
    everything_busy(box, jupyter)
    box.look()
    (box.lasting / name).write_text(content)
    assert box.look(after=CAP_SECONDS - 60)["stops_at"] == str(BOOTED + CAP_SECONDS)
    box.run(after=60)
    assert box.stopped


def test_a_box_that_was_started_again_begins_anew(box: Box, jupyter: Jupyter) -> None:
    box.look()
    box.look("extend", "3d")
    box.now += 40 * HOUR
    box.boot(powered_off=True)
    assert box.look(after=20)["idle"] == "0"
    assert box.until_stopped(minutes=29) is None
    everything_busy(box, jupyter)
    assert box.look()["stops_at"] == str(box.booted + CAP_SECONDS)


def test_no_reboot_gives_a_box_new_hours(box: Box, jupyter: Jupyter) -> None:
    everything_busy(box, jupyter)
    box.look()
    for _ in range(3):
        box.now += 7 * HOUR
        box.boot()
        assert box.look(after=20)["stops_at"] == str(BOOTED + CAP_SECONDS)
        assert box.armed_seconds + box.booted <= BOOTED + CAP_SECONDS + 360
    box.run(after=3 * HOUR)
    assert box.stopped


def test_a_reboot_keeps_what_extend_gave(box: Box) -> None:
    box.look()
    until = box.now + 30 * HOUR
    box.look("extend", "30h")
    box.now += 2 * HOUR
    box.boot()
    box.look(after=20)
    assert box.look(after=10 * HOUR)["stops_at"] == str(until)
    assert not box.stopped


def test_a_box_past_its_hours_that_lost_its_power_stays_until_it_is_told_of_its_start(
    box: Box, jupyter: Jupyter
) -> None:
    everything_busy(box, jupyter)
    box.look()
    box.now += 2 * CAP_SECONDS
    box.boot()
    assert box.look(after=20)["stops_at"] == str(box.booted + 900)
    box.run(after=880)
    assert box.stopped


def test_extend_keeps_an_idle_box_for_so_long_from_now(box: Box) -> None:
    box.look()
    box.look(after=1600)
    seen = box.look("extend", "4h")
    assert seen["stops_at"] == str(box.now + 4 * HOUR)
    end = box.now + 4 * HOUR
    while box.now < end - 600:
        box.look(after=600)
    assert not box.stopped
    assert box.until_stopped(minutes=15) == 10


def test_extend_moves_the_cap_and_the_armed_shutdown(box: Box, jupyter: Jupyter) -> None:
    everything_busy(box, jupyter)
    box.look()
    box.look(after=CAP_SECONDS - 60)
    box.look("extend", "90m")
    end = CAP_SECONDS - 60 + 90 * 60
    assert box.armed_seconds == end + 360
    box.look(after=80 * 60)
    assert not box.stopped
    box.run(after=10 * 60)
    assert box.stopped


def test_extend_makes_no_time_shorter(box: Box) -> None:
    box.look()
    box.look("extend", "2d")
    until = box.now + 48 * HOUR
    assert box.look("extend", "30m", after=60)["stops_at"] == str(until)
    assert box.look("extend", "1s", after=60)["stops_at"] == str(until)


@pytest.mark.parametrize(
    "time", ["", "4", "h", "0h", "-4h", "4x", "4 h", "1e3h", "99999d", "1;reboot", "9" * 20 + "s"]
)
def test_extend_refuses_what_is_no_time(box: Box, time: str) -> None:
    refused = box.run("extend", time)
    assert refused.returncode == 2
    assert f"Expected a time such as 90m or 4h, received: {time}" in refused.stderr
    assert not (box.lasting / "until").exists()

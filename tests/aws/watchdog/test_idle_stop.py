"""When the watchdog stops an idle box, whom it warns before, and what can't stop it."""

from __future__ import annotations

import pytest
from support.watchdog_box import BOOTED, CAP_SECONDS, IDLE_SECONDS, Box

pytestmark = pytest.mark.slow


def test_an_idle_box_is_warned_five_minutes_before_and_then_stopped(box: Box) -> None:
    box.gpus("0")
    box.look()
    assert box.until_stopped(minutes=24) is None
    assert box.walls == []
    assert box.until_stopped(minutes=10) == 6
    assert box.now - BOOTED == IDLE_SECONDS
    assert len(box.walls) == 1
    assert "idle for 25 min (GPU 0 %, no job, no ssh terminal, no busy Jupyter" in box.walls[0]
    assert "stops in 5 min. `dl aws extend 2h` keeps it" in box.walls[0]
    assert box.shutdowns[-1].startswith("-h now dl: idle for 30 min")


def test_what_it_sees_and_when_it_will_stop_is_written_down(box: Box) -> None:
    box.gpus("3")
    assert box.look()["stops_at"] == str(BOOTED + CAP_SECONDS)
    seen = box.look(after=600)
    assert seen == {
        "checked": str(box.now),
        "idle": "600",
        "stops_at": str(BOOTED + IDLE_SECONDS),
        "because": "idle",
        "sees": "GPU 3 %, no job, no ssh terminal, no busy Jupyter kernel",
    }


def test_without_an_idle_limit_only_the_cap_stops_a_box(box: Box) -> None:
    box.configure("idle_seconds=0\ncap_seconds=7200\nuser=ubuntu")
    box.look()
    assert box.look(after=7000)["because"] == "cap"
    assert not box.stopped
    assert "hard cap is near: this box stops in 4 min" in box.walls[0]
    box.run(after=200)
    assert box.stopped


def test_use_takes_the_warning_back(box: Box) -> None:
    box.look()
    box.look(after=1600)
    box.gpus("50")
    box.look(after=60)
    box.gpus("0")
    assert box.look(after=1200)["because"] == "idle"
    assert len(box.walls) == 1
    assert box.until_stopped(minutes=15) == 10
    assert len(box.walls) == 2


def test_a_watchdog_killed_in_the_middle_goes_on_where_it_was(box: Box) -> None:
    box.look()
    before = box.seen()
    for _ in range(27):
        box.kill_while("nvidia-smi")
    assert box.seen() == before
    assert box.look(after=60)["idle"] == "1680"
    assert len(box.walls) == 1
    box.look(after=180)
    assert box.stopped


@pytest.mark.parametrize("name", ["last_busy", "walled", "warned", "watchdog"])
@pytest.mark.parametrize("content", ["", "nonsense", "08", "9" * 10], ids=repr)
def test_a_damaged_memory_delays_an_idle_stop_by_its_limit_at_most(
    box: Box, name: str, content: str
) -> None:
    box.look()
    (box.state / name).write_text(content)
    for seconds in (1500, IDLE_SECONDS, 60, 60):
        box.look(after=seconds)
        if box.stopped:
            break
        assert box.armed_seconds == CAP_SECONDS + 360
    assert box.stopped


def test_a_clock_that_jumps_stops_no_box_without_a_warning(box: Box) -> None:
    box.look()
    box.look(after=10 * IDLE_SECONDS)
    assert not box.stopped
    assert "stops in 1 min" in box.walls[0]
    box.look(after=60)
    assert box.stopped


def test_a_clock_that_goes_back_counts_as_use(box: Box) -> None:
    box.now += 5000
    box.look()
    assert box.look(after=-3000)["idle"] == "0"


def test_when_shutdown_fails_the_machine_is_powered_off(box: Box) -> None:
    box.write("shutdown-code", "1")
    box.look()
    box.look(after=IDLE_SECONDS)
    box.look(after=60)
    assert (box.folder / "systemctls").read_text() == "--force poweroff\n"


def test_it_says_how_it_is_called(box: Box) -> None:
    refused = box.run("--help")
    assert (refused.returncode, box.shutdowns) == (2, [])
    assert "usage: watchdog.sh [extend TIME]" in refused.stderr

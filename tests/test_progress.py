"""The talk on stderr, and bars for people at a terminal."""

from __future__ import annotations

import re

import pytest
from support.terminal import at_terminal

from dlcli.progress import say, track

COUNT = """
import time
from dlcli.progress import track
with track("Reading", 40, "images") as bar:
    for number in range(40):
        bar.advance()
        time.sleep(0.01)
    bar.say("said above the bar, [not] markup, in a line that may well be longer than the screen")
"""


def test_what_is_said_goes_to_stderr_and_steers_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say("one\x1b[2J\ntwo \udcff")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "one\\x1b[2J\ntwo \\udcff\n")


def test_without_a_terminal_progress_is_quiet_and_counts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with track("Reading", 3, "images", done=1) as bar:
        bar.advance(2)
        bar.say("a word")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "a word\n")


def test_at_a_terminal_progress_has_a_rate_and_what_is_said_stands_above() -> None:
    written = at_terminal("-c", COUNT)
    assert "Reading" in written
    assert "40/40 images" in written
    assert " images/s" in written
    assert "said above the bar, [not] markup" in written


def test_a_bar_leaves_room_for_the_ctrl_c_that_a_terminal_shows() -> None:
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", at_terminal("-c", COUNT, columns=60))
    bars = [line for line in re.split(r"[\r\n]", drawn) if line.startswith("Reading")]
    assert {len(line) for line in bars} == {58}


def test_at_a_terminal_a_command_stays_on_one_line_to_be_copied() -> None:
    command = "`dl evaluate 202611230939-finetune-e12-lr0.003-t1`"
    script = f"from dlcli.progress import say; say('Saved ~/runs/dogscats; next: {command}')"
    written = at_terminal("-c", script, columns=60)
    assert written.splitlines() == ["Saved ~/runs/dogscats; next:", command]

"""The talk on stderr, and bars for people at a terminal."""

from __future__ import annotations

import re

import pytest
from support.terminal import at_terminal

from dlcli.progress import heard_by, hushed, say, track

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


def test_what_is_said_once_is_printed_once_but_not_while_quiet_and_always_heard(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with hushed():
        say("said once, of a test", once=True)
    logs: list[list[str]] = [[], []]
    for log in logs:
        with heard_by(log.append):
            say("said once, of a test", once=True)
    assert capsys.readouterr().err == "said once, of a test\n"
    assert logs == [["said once, of a test"]] * 2


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
    assert written.splitlines() == ["Saved ~/runs/dogscats;", f"next: {command}"]
    written = at_terminal("-c", script, columns=54)
    assert written.splitlines() == ["Saved ~/runs/dogscats; next:", command]


def test_no_message_ends_with_a_word_alone_on_its_line() -> None:
    words = "Features take space too: `dl features ls` shows how much, `dl features rm` frees it."
    written = at_terminal("-c", f"from dlcli.progress import say; say({words!r})")
    assert written.splitlines() == [
        "Features take space too: `dl features ls` shows how much,",
        "`dl features rm` frees it.",
    ]


EPOCHS = """
import time
from dlcli.progress import track
with track("Training", 4, "images", done=4, epochs=range(3, 6)) as bar:
    for number in range(8):
        time.sleep(0.15)
        bar.advance()
"""


def test_images_are_counted_once_and_epochs_apart() -> None:
    drawn = at_terminal("-c", EPOCHS)
    counts = re.findall(r"epoch \d/\d  \d/\d images", drawn)
    assert counts[0] == "epoch 3/5  4/4 images"
    assert counts[-1] == "epoch 5/5  4/4 images"
    assert counts == sorted(counts)
    assert "epoch 4/5  1/4 images" in counts
    assert "/12" not in drawn

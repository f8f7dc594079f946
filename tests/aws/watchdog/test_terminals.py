"""Which ssh terminals the watchdog takes for use, those in tmux among them."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.watchdog_box import BOOTED, HOUR, LOGGED_IN, Box, is_in_use

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "processes",
    [
        LOGGED_IN,
        "sshd-session: ubuntu@pts/0\n",
        "sshd: somebody@example.org@pts/12 \n",
        "sshd: ubuntu@pts/3,pts/4\n",
    ],
)
def test_an_ssh_terminal_is_use(box: Box, processes: str) -> None:
    box.write("processes", processes)
    assert is_in_use(box)


@pytest.mark.parametrize(
    "processes",
    ["sshd: ubuntu@notty\n", "sshd: ubuntu [priv]\n", "grep sshd: ubuntu@pts/0\n", "-bash\n"],
)
def test_a_connection_without_a_terminal_is_no_use(box: Box, processes: str) -> None:
    """A tunnel that somebody forgot."""
    box.write("processes", processes)
    assert not is_in_use(box)


def test_a_silent_tmux_that_is_attached_is_no_use(box: Box) -> None:
    box.write("processes", LOGGED_IN)
    box.write("tmux", f"/dev/pts/0 {BOOTED - 5} {BOOTED - 7}\n")
    box.look()
    assert box.until_stopped(minutes=35) == 30
    assert "no ssh terminal, 1 silent tmux" in box.walls[0]


@pytest.mark.parametrize("activity", ["{now} 0", "0 {now}", "0 {before}", "{before} 0"])
def test_a_tmux_in_which_something_is_typed_or_shown_is_use(box: Box, activity: str) -> None:
    box.write("processes", LOGGED_IN)
    box.look()
    for _ in range(4):
        times = activity.format(now=box.now + 900, before=box.now + 850)
        box.write("tmux", f"/dev/pts/0 {times}\n")
        box.look(after=900)
    assert not box.stopped


def test_a_terminal_beside_the_silent_tmux_is_use(box: Box) -> None:
    box.write("processes", "sshd: ubuntu@pts/1,pts/10\n")
    box.write("tmux", "/dev/pts/1 5 5\n")
    assert is_in_use(box)
    assert "1 ssh terminal, 1 silent tmux" in box.seen()["sees"]


def test_the_warning_itself_does_not_wake_a_silent_tmux(box: Box) -> None:
    """`wall` writes into the windows of tmux too, which takes that for output."""
    box.write("processes", LOGGED_IN)
    box.write("tmux", f"/dev/pts/0 {BOOTED} {BOOTED}\n")
    box.fake("wall", 'echo x >>"$FAKE/walls"; echo "/dev/pts/0 0 $(date +%s)" >"$FAKE/tmux"')
    box.look()
    assert box.until_stopped(minutes=35) == 30


def test_a_real_tmux_is_told_to_be_silent_or_not(
    box: Box, require_tool: Callable[[str], str]
) -> None:
    tmux, uid = require_tool("tmux"), str(900_000_000 + os.getpid())
    folder = Path(f"/tmp/tmux-{uid}")
    folder.mkdir(mode=0o700)
    server = [tmux, "-S", f"{folder}/default", "-f", "/dev/null"]
    environ = {**os.environ, "TERM": "xterm"}
    environ.pop("TMUX", None)
    ours, theirs = pty.openpty()
    try:
        box.write("uid", uid)
        box.fake("tmux", f'exec {tmux} "$@"')
        box.write("processes", f"sshd: ubuntu@{os.ttyname(theirs).removeprefix('/dev/')}\n")
        subprocess.run([*server, "new-session", "-d", "cat"], check=True, env=environ)
        client = subprocess.Popen(
            [*server, "attach"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environ,
            start_new_session=True,
        )
        for _ in range(200):
            listed = subprocess.run([*server, "list-clients"], capture_output=True, check=True)
            if listed.stdout:
                break
            time.sleep(0.05)
        box.booted = box.now = int(time.time()) + HOUR
        box.look()
        assert "no ssh terminal, 1 silent tmux" in box.look(after=60)["sees"]
        box.booted = box.now = int(time.time()) - 1
        shutil.rmtree(box.state)
        box.look()
        time.sleep(1.1)
        os.write(ours, b"x")
        time.sleep(0.5)
        assert "1 ssh terminal" in box.look(after=int(time.time()) - box.now + 1)["sees"]
        client.terminate()
        client.wait(20)
    finally:
        subprocess.run([*server, "kill-server"], check=False, env=environ)
        shutil.rmtree(folder)
        os.close(ours)
        os.close(theirs)

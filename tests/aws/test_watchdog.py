"""The watchdog in a real shell: what it takes for use, when it stops a box, and what can't stop it.

It stands on programs that answer as the test wants; no shutdown is a true one.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from aws.watched import BOOTED, CAP_SECONDS, IDLE_SECONDS, Box

LOGGED_IN = "/usr/sbin/sshd -D\nsshd: ubuntu [priv]\nsshd: ubuntu@pts/0\n-bash\n"
HOUR = 3600


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "box")


def is_in_use(box: Box) -> bool:
    """Whether a look takes the box to be in use, an hour after the last one."""
    box.look()
    return box.look(after=HOUR)["idle"] == "0"


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


@pytest.mark.parametrize("percents", [["97"], ["5"], ["0", "0", "60"], ["[N/A]", "60"]])
def test_a_busy_gpu_is_use(box: Box, percents: list[str]) -> None:
    box.gpus(*percents)
    assert is_in_use(box)


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        ("echo 4", "GPU 4 %"),
        ("echo 0; exit 6", "GPU unknown"),
        ("echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18", "unknown"),
        ("echo 'No devices were found'", "GPU unknown"),
        ("echo '[N/A]'", "GPU unknown"),
        ("echo 99999999999999999999", "GPU unknown"),
        ("echo 101", "GPU unknown"),
        ("echo -5", "GPU unknown"),
        ("echo 08", "GPU unknown"),
        ("echo '$(exit 1) * `id`'", "GPU unknown"),
        ("head -c 100000 /dev/zero", "GPU unknown"),
        ("sleep 60", "GPU unknown"),
        ("trap '' TERM; while :; do sleep 1; done", "GPU unknown"),
        (None, "no GPU"),
    ],
)
def test_a_gpu_that_is_idle_absent_or_out_of_its_mind_is_no_use(
    box: Box, answer: str | None, seen: str
) -> None:
    if answer is not None:
        box.fake("nvidia-smi", answer)
    assert not is_in_use(box)
    assert seen in box.seen()["sees"]
    box.look(after=60)
    assert box.stopped


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


@pytest.mark.parametrize(
    "process",
    [
        "rsync --server -logDtprze.iLsfxCIvu . data/dogs/",
        "/usr/lib/openssh/sftp-server",
        "sshd: ubuntu@internal-sftp",
    ],
)
def test_a_copy_under_way_is_use(box: Box, process: str) -> None:
    box.write("processes", f"sshd: ubuntu@notty\n{process}\n")
    assert is_in_use(box)
    assert box.seen()["sees"].endswith("no busy Jupyter kernel, copying")


def test_a_setup_under_way_is_use_and_one_that_ended_or_was_killed_is_not(box: Box) -> None:
    lock = box.home / ".dl/bootstrap.lock"
    lock.parent.mkdir()
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_in_use(box)
        assert box.seen()["sees"].endswith(", being set up")
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


def job(box: Box, pid: str = "4711", age: int = 100, process: str | None = "Ss 100") -> Path:
    """A job whose number was written `age` seconds ago; what `ps` says of its process."""
    folder = box.home / ".dl/jobs/20261123-1409 of mine"
    folder.mkdir(parents=True)
    (folder / "pid").write_text(f"{pid}\n")
    os.utime(folder / "pid", (box.now - age, box.now - age))
    if process is not None:
        box.write(f"process-{pid.strip()}", process + "\n")
    return folder


def test_a_job_at_work_is_use(box: Box) -> None:
    box.now += 1000
    job(box)
    box.look()
    box.write("process-4711", f"Sl {100 + HOUR}\n")
    assert box.look(after=HOUR)["idle"] == "0"
    assert "1 job," in box.seen()["sees"]


def test_a_job_that_has_ended_is_no_use(box: Box) -> None:
    (job(box) / "rc").write_text("0\n")
    assert not is_in_use(box)


@pytest.mark.parametrize(
    "process", [None, "", "Z 4000", "nonsense", "Ss nonsense and more", "Ss 12"], ids=repr
)
def test_a_job_whose_process_is_gone_is_no_use(box: Box, process: str | None) -> None:
    """The last: its number has been given to a process that began after the job."""
    box.now += 5000
    job(box, age=4000, process=process)
    box.look()
    assert box.look(after=0)["sees"].startswith("no GPU, no job,")


@pytest.mark.parametrize("pid", ["", "-1", "1;reboot", "0", "99999999999999999", "\0\0", "08"])
def test_a_job_whose_number_is_nonsense_is_no_use(box: Box, pid: str) -> None:
    job(box, pid, process=None)
    assert not is_in_use(box)


class Jupyter:
    """Answers as Jupyter's server does, to those who have its token."""

    def __init__(self, home: Path) -> None:
        self.answer, self.token = "[]", "s3cret"
        jupyter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                allowed = self.headers["Authorization"] == f"token {jupyter.token}"
                self.send_response(200 if allowed and self.path == "/lab/api/kernels" else 403)
                self.end_headers()
                self.wfile.write(jupyter.answer.encode())

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        runtime = home / ".local/share/jupyter/runtime"
        runtime.mkdir(parents=True)
        url = f"http://127.0.0.1:{self.server.server_port}/lab/"
        about = {"base_url": "/lab/", "pid": 1, "token": self.token, "url": url, "version": "2"}
        (runtime / "jpserver-1.json").write_text(json.dumps(about, indent=2))

    def kernels(self, *states: str, active: int = 0) -> None:
        """Kernels in these states, last active at that time."""
        moment = datetime.fromtimestamp(active, UTC).isoformat().replace("+00:00", "Z")
        self.answer = json.dumps(
            [
                {"id": str(i), "name": "python3", "last_activity": moment, "execution_state": s}
                for i, s in enumerate(states)
            ]
        )


@contextmanager
def serving(home: Path) -> Iterator[Jupyter]:
    jupyter = Jupyter(home)
    Thread(target=jupyter.server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield jupyter
    finally:
        jupyter.server.shutdown()
        jupyter.server.server_close()


@pytest.fixture
def jupyter(box: Box) -> Iterator[Jupyter]:
    with serving(box.home) as jupyter:
        yield jupyter


def test_a_busy_jupyter_kernel_is_use(box: Box, jupyter: Jupyter) -> None:
    jupyter.kernels("idle", "busy", "busy")
    assert is_in_use(box)
    assert box.seen()["sees"].endswith("2 busy Jupyter kernels")


def test_kernels_with_nothing_to_do_are_no_use(box: Box, jupyter: Jupyter) -> None:
    jupyter.kernels("idle", "starting", active=BOOTED - 100)
    assert not is_in_use(box)


def test_who_runs_a_short_cell_now_and_then_is_at_work(box: Box, jupyter: Jupyter) -> None:
    box.look()
    for _ in range(4):
        jupyter.kernels("idle", active=box.now + 880)
        assert box.look(after=900)["idle"] == "20"
    assert not box.stopped


@pytest.mark.parametrize("answer", ["", "null", "<html>", "[{]}", '"execution_state"', "busy"])
def test_a_jupyter_that_answers_nonsense_is_no_use(box: Box, jupyter: Jupyter, answer: str) -> None:
    jupyter.answer = answer
    assert not is_in_use(box)


def test_a_jupyter_that_has_gone_or_wants_a_password_is_no_use(box: Box, jupyter: Jupyter) -> None:
    jupyter.kernels("busy")
    jupyter.token = "another"
    assert not is_in_use(box)
    runtime = box.home / ".local/share/jupyter/runtime"
    (runtime / "jpserver-2.json").write_text('{\n  "url": "http://127.0.0.1:1/"\n}')
    (runtime / "jpserver-3.json").write_text("{")
    assert box.look()["idle"] == "3600"


def test_the_token_of_jupyter_is_on_no_command_line(box: Box, jupyter: Jupyter) -> None:
    box.fake("curl", 'echo "$*" >>"$FAKE/curls"')
    box.look()
    assert "api/kernels" in (box.folder / "curls").read_text()
    assert jupyter.token not in (box.folder / "curls").read_text()


def everything_busy(box: Box, jupyter: Jupyter) -> None:
    box.gpus("100")
    box.write("processes", LOGGED_IN)
    job(box, process=f"Ss {CAP_SECONDS * 3}")
    jupyter.kernels("busy")


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


def test_when_shutdown_fails_the_machine_is_powered_off(box: Box) -> None:
    box.write("shutdown-code", "1")
    box.look()
    box.look(after=IDLE_SECONDS)
    box.look(after=60)
    assert (box.folder / "systemctls").read_text() == "--force poweroff\n"


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


def test_it_says_how_it_is_called(box: Box) -> None:
    refused = box.run("--help")
    assert (refused.returncode, box.shutdowns) == (2, [])
    assert "usage: watchdog.sh [extend TIME]" in refused.stderr

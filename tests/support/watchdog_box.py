"""A box for its watchdog to look at: a folder of programs that answer as a test wants them to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from support.jupyter_server import Jupyter
from support.missing_tools import missing

from dlcli.aws import setup

SCRIPT = setup.BOX / "watchdog.sh"
BOOTED = 1_790_000_000
IDLE_SECONDS, CAP_SECONDS = 1800, 86_400
HOUR = 3600
# Processes while somebody is logged in by ssh.
LOGGED_IN = "/usr/sbin/sshd -D\nsshd: ubuntu [priv]\nsshd: ubuntu@pts/0\n-bash\n"
# What is read of a watchdog whose box is idle.
SEEN = "checked=1000\nidle=720\nstops_at=2080\nbecause=idle\nsees=GPU 0 %, no job\nnow=1010\n"
# All that the script may count on; what it asks about the box is answered by the fakes below.
TOOLS = "sh bash cat cut curl flock grep mkdir mv rm sed sleep stat tail tr true"
FAKES = {
    "date": 'if [ "$*" = +%s ]; then cat "$FAKE/now"; else exec {date} "$@"; fi',
    "id": 'cat "$FAKE/uid"',
    "getent": 'echo "ubuntu:x:1000:1000::$FAKE/home:/bin/bash"',
    # `-p PID` is the last argument but one where one process is asked for
    "ps": 'for last; do :; done; case $* in *" -p "*) cat "$FAKE/process-$last" 2>/dev/null;;'
    ' *) cat "$FAKE/processes" 2>/dev/null;; esac',
    "tmux": 'cat "$FAKE/tmux" 2>/dev/null',
    # -k 2 10 PROGRAM: the true one, and not as long
    "timeout": 'shift 3; exec {timeout} -k 0.2 1 "$@"',
    "shutdown": 'echo "$*" >>"$FAKE/shutdowns"; exit "$(cat "$FAKE/shutdown-code")"',
    "systemctl": 'echo "$*" >>"$FAKE/systemctls"',
    "wall": 'echo "$*" >>"$FAKE/walls"',
}


class Box:
    """A box that has just booted, with an hour-glass that a test turns.

    Attributes:
        booted, now: seconds since 1970, by the box's clock.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.booted, self.now = folder, BOOTED, BOOTED
        self.home, self.bin, self.state = folder / "home", folder / "bin", folder / "run"
        self.lasting = folder / "lasting"
        for made in (self.home, self.bin, folder / "proc"):
            made.mkdir(parents=True)
        for tool in TOOLS.split():
            (self.bin / tool).symlink_to(_program(tool))
        for name, script in FAKES.items():
            for true in ("date", "timeout"):
                script = script.replace(f"{{{true}}}", _program(true))
            self.fake(name, script)
        self.write("shutdown-code", "0")
        self.write("uid", "1000")
        self.configure(f"idle_seconds={IDLE_SECONDS}\ncap_seconds={CAP_SECONDS}\nuser=ubuntu\n")

    def fake(self, name: str, script: str) -> None:
        """Have a program of the box do something else."""
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(f"#!{_program('sh')}\n{script}\n")
        (self.bin / name).chmod(0o755)

    def write(self, name: str, text: str) -> None:
        """What a fake program answers."""
        (self.folder / name).write_text(text)

    def configure(self, text: str) -> None:
        """The watchdog's settings."""
        self.write("watchdog.conf", text)

    def boot(self, *, powered_off: bool = False) -> None:
        """Go down and come up again, after a stop or after a reboot, a crash, a lost power."""
        shutil.rmtree(self.state, ignore_errors=True)  # /run is empty after a boot
        if powered_off:  # as dl-poweroff.service does
            shutil.rmtree(self.lasting, ignore_errors=True)
        (self.folder / "shutdowns").unlink(missing_ok=True)
        self.booted = self.now

    def gpus(self, *percents: str) -> None:
        """GPUs that are so busy."""
        self.fake("nvidia-smi", f"printf '%s\\n' {' '.join(map(repr, percents))}")

    def look(self, *arguments: str, after: int = 0) -> dict[str, str]:
        """Run the watchdog some seconds later; what it wrote down."""
        self.run(*arguments, after=after).check_returncode()
        return self.seen()

    def run(self, *arguments: str, after: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the watchdog some seconds later."""
        process = self.start(*arguments, after=after)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self, *arguments: str, after: int = 0) -> subprocess.Popen[str]:
        """Begin to run the watchdog some seconds later, in a process group of its own."""
        self.now += after
        self.write("now", f"{self.now}\n")
        (self.folder / "proc/uptime").write_text(f"{self.now - self.booted}.25 12.00\n")
        environ = {
            "PATH": str(self.bin),
            "FAKE": str(self.folder),
            "DL_CONFIG": str(self.folder / "watchdog.conf"),
            "DL_STATE": str(self.state),
            "DL_LASTING": str(self.lasting),
            "DL_PROC": str(self.folder / "proc"),
        }
        return subprocess.Popen(
            [self.bin / "sh", SCRIPT, *arguments],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def kill_while(self, name: str, after: int = 60) -> None:
        """Kill the watchdog, and all that it began, while it waits for a program."""
        begun = self.folder / "begun"
        kept = (self.bin / name).read_text() if (self.bin / name).exists() else None
        self.fake(name, f"echo > {begun}; exec {_program('sleep')} 60")
        process = self.start(after=after)
        end = time.monotonic() + 20
        while not begun.exists() and time.monotonic() < end:
            time.sleep(0.01)
        assert begun.exists()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=20)
        begun.unlink()
        (self.bin / name).unlink()
        if kept is not None:
            (self.bin / name).write_text(kept)
            (self.bin / name).chmod(0o755)

    def until_stopped(self, minutes: int) -> int | None:
        """Look each minute; the minute in which the watchdog stopped the box."""
        for minute in range(1, minutes + 1):
            self.look(after=60)
            if self.stopped:
                return minute
        return None

    def seen(self) -> dict[str, str]:
        """What the watchdog wrote down last."""
        lines = (self.state / "watchdog").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def shutdowns(self) -> list[str]:
        """What `shutdown` was asked for."""
        return self._lines("shutdowns")

    @property
    def walls(self) -> list[str]:
        """What everybody who is logged in was told."""
        return self._lines("walls")

    @property
    def stopped(self) -> bool:
        """Whether the box was stopped."""
        return any(words.startswith("-h now") for words in self.shutdowns)

    @property
    def armed_seconds(self) -> int:
        """The time since boot at which the armed shutdown comes."""
        minutes = int(self.shutdowns[-1].removeprefix("--no-wall -h +"))
        return self.now - self.booted + 60 * minutes

    def _lines(self, name: str) -> list[str]:
        file = self.folder / name
        return file.read_text().splitlines() if file.exists() else []


def is_in_use(box: Box) -> bool:
    """Whether a look takes the box to be in use, an hour after the last one."""
    box.look()
    return box.look(after=HOUR)["idle"] == "0"


def job(box: Box, pid: str = "4711", age: int = 100, process: str | None = "Ss 100") -> Path:
    """A job whose number was written `age` seconds ago; what `ps` says of its process."""
    folder = box.home / ".dl/jobs/20261123-1409 of mine"
    folder.mkdir(parents=True)
    (folder / "pid").write_text(f"{pid}\n")
    os.utime(folder / "pid", (box.now - age, box.now - age))
    if process is not None:
        box.write(f"process-{pid.strip()}", process + "\n")
    return folder


def everything_busy(box: Box, jupyter: Jupyter) -> None:
    """Have the box do all at once that is use."""
    box.gpus("100")
    box.write("processes", LOGGED_IN)
    job(box, process=f"Ss {CAP_SECONDS * 3}")
    jupyter.kernels("busy")


def _program(name: str) -> str:
    return shutil.which(name, path="/usr/bin:/bin") or missing(f"{name} is not installed")

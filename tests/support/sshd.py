"""A real OpenSSH server on 127.0.0.1 with throwaway keys and a home of its own; a wire to cut."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import SystemRandom
from tempfile import TemporaryDirectory

from support.missing_tools import missing

from dlcli.aws.host_keys import HostKey, known_hosts_file, remember
from dlcli.aws.keys import own_key
from dlcli.aws.system_ssh import Host

ALIAS = "i-0123456789abcdef0"
ADDRESS = "127.0.0.1"
WAIT_SECONDS = 20


def program(name: str) -> str:
    """A program's path; the test skips where it is missing, and fails where all is required."""
    path = os.environ["PATH"] + ":/usr/sbin"
    return shutil.which(name, path=path) or missing(f"{name} is not installed")


def free_port() -> int:
    """A port on which nobody listens, and which the system gives to no outgoing connection.

    From its own range (32768 and more on Linux) it may meanwhile give it to one, even to one to
    this very port, which is then connected to itself.
    """
    while True:
        port = SystemRandom().randrange(20_000, 32_000)
        with suppress(OSError), socket.socket() as listener:
            listener.bind((ADDRESS, port))
            return port


@cache
def all_but(path: str, names: tuple[str, ...]) -> TemporaryDirectory[str]:
    """A folder of links to all programs but a few: there are 1,500, so once for a process."""
    folder = TemporaryDirectory(prefix="all but ")
    for place in path.split(":"):
        for file in Path(place).glob("*"):
            link = Path(folder.name, file.name)
            if file.name not in names and not link.is_symlink():
                link.symlink_to(file)
    return folder


class Sshd:
    """A server; its users' home is `home`, and their programs may be limited to a few.

    Args:
        folder: for its files; made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.port = folder, folder / "home", free_port()
        self.home.mkdir(parents=True)
        self.path = os.environ["PATH"]
        self._process: subprocess.Popen[bytes] | None = None
        self.new_host_key()

    @property
    def _key_file(self) -> Path:
        return self.folder / "host_key"

    @property
    def host_key(self) -> HostKey:
        kind, data, *_ = self._key_file.with_suffix(".pub").read_text().split()
        return HostKey(kind, data)

    def new_host_key(self) -> None:
        for file in (self._key_file, self._key_file.with_suffix(".pub")):
            file.unlink(missing_ok=True)
        words = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(self._key_file)]
        subprocess.run(words, check=True)

    def without(self, *names: str) -> None:
        """Leave some programs out of what its users find; what is put into `bin` comes first."""
        folder = self.folder / "bin"
        folder.mkdir()
        self.path = f"{folder}:{all_but(os.environ['PATH'], names).name}"

    def let_in(self, public: str) -> None:
        with (self.folder / "authorized_keys").open("a") as file:
            file.write(public + "\n")

    def start(self) -> None:
        daemon = program("sshd")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # for the separation of privileges
        config = self.folder / "sshd_config"
        (self.folder / "authorized_keys").touch()
        config.write_text(
            f"""
Port {self.port}
ListenAddress {ADDRESS}
HostKey "{self._key_file}"
AuthorizedKeysFile "{self.folder / "authorized_keys"}"
PidFile "{self.folder / "pid"}"
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
Subsystem sftp internal-sftp
SetEnv HOME="{self.home}" PATH="{self.path}" LC_ALL=C.UTF-8 TMUX_TMPDIR="{self.folder}"
"""
        )
        log = self.folder / "log"
        self._process = subprocess.Popen([daemon, "-D", "-f", config, "-E", log])
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError), socket.create_connection((ADDRESS, self.port)):
                return
            time.sleep(0.02)
        raise AssertionError(log.read_text())

    def stop(self) -> None:
        """End the server and all of its connections."""
        if self._process is not None:
            self.drop()
            self._process.terminate()
            self._process.wait()
            self._process = None

    def drop(self) -> None:
        """Kill the connections that there are; the server goes on."""
        assert self._process is not None
        daemon = self._process.pid  # it may be stopped meanwhile
        found = _children(daemon)
        for pid in [each for child in found for each in (*_children(child), child)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while set(found) & set(_children(daemon)):
            time.sleep(0.01)

    def host(self, port: int | None = None) -> Host:
        """The server as `dl` knows it: its key written down, ours let in."""
        key = own_key()
        self.let_in(key.public)
        remember(ALIAS, [self.host_key])
        user = subprocess.check_output(["id", "-un"], text=True).strip()
        return Host(ALIAS, ADDRESS, user, port or self.port, key.path, known_hosts_file())


def _children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


@contextmanager
def serving(folder: Path) -> Iterator[Sshd]:
    """A server while the block runs."""
    server = Sshd(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Wire:
    """A connection's way through this process, which cuts each of the first few after some bytes.

    Args:
        to: the port at its other end.
        cuts: after how many bytes, in both directions together, the first connection is cut, the
            second, and so on; those after them stay whole.
        stalls: whether nothing comes through any more where one would be cut.
    """

    def __init__(self, to: int, cuts: list[int], stalls: bool = False) -> None:
        self.to, self.cuts, self.stalls, self.connections = to, list(cuts), stalls, 0
        self.carried: list[int] = []
        self._listener = socket.create_server((ADDRESS, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection((ADDRESS, self.to))
                number, self.connections = self.connections, self.connections + 1
                self.carried.append(0)
                for pair in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._carry, args=(number, *pair), daemon=True).start()

    def _carry(self, number: int, source: socket.socket, target: socket.socket) -> None:
        most = self.cuts[number] if number < len(self.cuts) else None
        with suppress(OSError):
            while data := source.recv(16384):
                self.carried[number] += len(data)
                if most is not None and self.carried[number] > most:
                    if self.stalls:
                        time.sleep(WAIT_SECONDS)
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


def through(host: Host, wire: Wire) -> Host:
    """The same machine, reached through a wire."""
    return replace(host, port=wire.port)

"""Tunnels through a real sshd to a real HTTP server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest
from support.sshd import ADDRESS, ALIAS, Sshd, free_port, program

from dlcli.aws import forward as forward_module
from dlcli.aws import ssh
from dlcli.aws.forward import Tunnel, forward, read_tunnels
from dlcli.aws.host_keys import remember
from dlcli.aws.ssh import Unreachable
from dlcli.aws.system_ssh import Host
from dlcli.errors import DlError, ExitCode

pytestmark = pytest.mark.slow


WAIT_SECONDS = 20


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def service(tmp_path: Path) -> Iterator[int]:
    """The port of what answers on the machine's own loopback: "hello" for every page."""
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "index.html").write_text("hello")
    with ThreadingHTTPServer((ADDRESS, 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def forwarding_in_a_process(host: Host, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`forward` as a program that one can end with Ctrl-C."""
    program("ssh")
    script = f"""
from pathlib import Path
from dlcli.aws.forward import forward, read_tunnels
from dlcli.aws.system_ssh import Host
Host_ = Host({host.alias!r}, {host.address!r}, {host.user!r}, {host.port},
             Path({str(host.key)!r}), Path({str(host.known_hosts)!r}))
forward(Host_, lambda: Host_, read_tunnels({list(words)!r}),
        lambda host, tunnels: print(*[each.local for each in tunnels], flush=True))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def opened(process: subprocess.Popen[str]) -> list[int]:
    """The local ports, once the tunnels are open."""
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return [int(port) for port in line.split()]


def page(port: int) -> str:
    with urlopen(f"http://{ADDRESS}:{port}/", timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def page_in_time(port: int) -> str:
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return page(port)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def is_listening(port: int) -> bool:
    try:
        socket.create_connection((ADDRESS, port)).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], [Tunnel("jupyter", 8888, 8888), Tunnel("tensorboard", 6006, 6006)]),
        (["tensorboard"], [Tunnel("tensorboard", 6006, 6006)]),
        (["9999:8888"], [Tunnel("jupyter", 9999, 8888)]),
        (["5000"], [Tunnel("", 5000, 5000)]),
    ],
)
def test_tunnels_are_read_as_typed(words: list[str], expected: list[Tunnel]) -> None:
    assert read_tunnels(words) == expected


@pytest.mark.parametrize(
    "word", ["", "jupiter", "0:1", "1:65536", "1:2:3", "a:b", "-1", "0.0.0.0:1:2"]
)
def test_what_is_no_tunnel_is_refused(word: str) -> None:
    with pytest.raises(DlError, match="Cannot forward") as error:
        read_tunnels([word])
    assert error.value.exit_code == ExitCode.USAGE


def test_a_page_there_is_seen_here_on_loopback_alone(sshd: Sshd, service: int) -> None:
    with forwarding_in_a_process(sshd.host(), f"{free_port()}:{service}") as process:
        (port,) = opened(process)
        assert page(port) == "hello"
        listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
        of_port = [line.split()[1] for line in listening.splitlines() if f":{port:04X} " in line]
        assert {place.split(":")[0] for place in of_port if place.endswith(f":{port:04X}")} == {
            "0100007F"
        }


def test_a_taken_port_is_answered_with_the_next_free_one(sshd: Sshd, service: int) -> None:
    with socket.create_server((ADDRESS, 0)) as taken:
        wanted = taken.getsockname()[1]
        with forwarding_in_a_process(sshd.host(), f"{wanted}:{service}") as process:
            (port,) = opened(process)
            assert port > wanted
            assert page(port) == "hello"
            process.send_signal(signal.SIGINT)
            _, err = process.communicate()
    assert f"Port {wanted} of this computer is in use; using port {port}." in err


def test_two_tunnels_never_share_a_port(sshd: Sshd, service: int) -> None:
    port = free_port()
    with forwarding_in_a_process(sshd.host(), *[f"{port}:{service}"] * 2) as process:
        ports = opened(process)
        assert len(set(ports)) == 2
        assert [page(each) for each in ports] == ["hello", "hello"]


def test_a_dropped_connection_comes_back_at_the_same_port(sshd: Sshd, service: int) -> None:
    with forwarding_in_a_process(sshd.host(), f"{free_port()}:{service}") as process:
        (port,) = opened(process)
        assert page(port) == "hello"
        sshd.stop()
        time.sleep(1.5)  # tries while nobody answers are not the end
        sshd.start()
        assert page_in_time(port) == "hello"
        sshd.drop()
        assert page_in_time(port) == "hello"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    # the second time the page may have been there before the word that the tunnel is open
    assert "was lost. Reconnecting." in err
    assert "Reconnected to" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_it_ends_no_tunnel_stays(sshd: Sshd, service: int, number: int) -> None:
    with forwarding_in_a_process(sshd.host(), f"{free_port()}:{service}") as process:
        (port,) = opened(process)
        os.kill(process.pid, number)
        process.wait()
        end = time.monotonic() + WAIT_SECONDS
        while is_listening(port):
            assert time.monotonic() < end
            time.sleep(0.05)


def ready(host: Host, tunnels: Sequence[Tunnel]) -> None:
    raise AssertionError(tunnels)


def test_who_is_refused_is_told_why_at_once(sshd: Sshd) -> None:
    host = sshd.host()
    remember(ALIAS, [Sshd(sshd.folder / "other").host_key])
    with pytest.raises(DlError, match=r"The host key of .* has changed"):
        forward(host, lambda: host, [Tunnel("", free_port(), 1)], ready)


def test_a_machine_that_stays_away_is_given_up(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward_module, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(ssh, "PAUSE_SECONDS", 0.05)
    calls = []

    def again() -> Host:
        calls.append(1)
        raise Unreachable("gone")

    tunnels = [Tunnel("", free_port(), 1)]
    with pytest.raises(Unreachable, match="gone"):
        forward(sshd.host(), again, tunnels, lambda host, tunnels: sshd.stop())
    assert len(calls) > 1

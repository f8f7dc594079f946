"""Ports of a box on this computer: tunnels, what answers behind them, and the page to open.

The tunnels are those of the system's ssh; they come back when the connection drops. Jupyter and
TensorBoard listen on the box's own loopback alone, so this is the only way to them; here too they
are on 127.0.0.1 alone.
"""

from __future__ import annotations

import errno
import json
import re
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from dlcli.aws.ssh import connect, reached_again, run, wait_for_ssh
from dlcli.aws.system_ssh import Host, not_installed, ssh_argv
from dlcli.errors import DlError, ExitCode
from dlcli.progress import say

if TYPE_CHECKING:
    from paramiko import SSHClient


LOOPBACK = "127.0.0.1"
SERVICES = {"jupyter": 8888, "tensorboard": 6006}
# The remote side says so once the ports are open, then waits for its end: that of ssh's own input,
# so that ssh ends with this process, however that ends.
READY = "ready"
SCRIPT = f"echo {READY}; exec cat >/dev/null"
# How long a machine that was reached may be away: a reboot, a laptop's way home.
PATIENCE_SECONDS = 600.0
FIRST_SECONDS = 10.0
PAUSE_SECONDS = 1.0
MOST_PORTS = 50
# https://www.rfc-editor.org/rfc/rfc4254#section-5.1
CONNECT_FAILED = 2

ASK_SECONDS = 10.0
# What each Jupyter server over there says of itself, the newest first. Its token comes through the
# tunnel alone: no command line holds it, which everyone over there may read.
SERVERS = (
    "cd ~/.local/share/jupyter/runtime && ls -t jpserver-*.json | "
    """while read -r file; do cat "$file"; printf '\\0'; done"""
)


@dataclass(frozen=True)
class Tunnel:
    """A port here that leads to one of the machine's own.

    Args:
        service: what answers there, empty where nobody said.
        local: the port on 127.0.0.1 here.
        remote: the port on 127.0.0.1 there.
    """

    service: str
    local: int
    remote: int


def read_tunnels(words: Sequence[str]) -> list[Tunnel]:
    """Tunnels as they are typed: `jupyter`, `tensorboard`, `L:R` or a port; none means both names.

    Raises:
        DlError: it is none of these.
    """
    return [_read(word) for word in words or SERVICES]


def forward(
    host: Host,
    again: Callable[[], Host],
    tunnels: Sequence[Tunnel],
    ready: Callable[[Host, Sequence[Tunnel]], None],
) -> None:
    """Keep tunnels open until Ctrl-C.

    Args:
        again: finds the machine each time that the connection dropped; its address may have
            changed.
        tunnels: as wanted; a local port that is taken is replaced by the next free one, said.
        ready: called with the machine and the tunnels as they are, once they are open.

    Raises:
        DlError: the machine can't be reached, is away for too long, or refuses us.
        KeyboardInterrupt: Ctrl-C; the tunnels are closed.
    """
    wanted = _free(tunnels)
    opened = False
    failing_since: float | None = None
    while True:
        with _started(host, wanted) as process:
            try:
                if _opens(process):
                    failing_since = None
                    if opened:
                        say(f"Connected to {host.called} again.")
                    else:
                        ready(host, wanted)
                        opened = True
                    process.wait()
                    say(f"The connection to {host.called} dropped; connecting again.")
                elif wanted == (wanted := _free(wanted)):  # no port was taken meanwhile
                    if not opened:
                        wait_for_ssh(host, FIRST_SECONDS)  # says what is wrong
                    failing_since = failing_since or time.monotonic()
                    _require_patience(host, failing_since, opened)
            finally:
                process.kill()
        time.sleep(PAUSE_SECONDS)
        host = reached_again(again, PATIENCE_SECONDS)


def _read(word: str) -> Tunnel:
    if word in SERVICES:
        return Tunnel(word, SERVICES[word], SERVICES[word])
    match = re.fullmatch(r"(?:(\d{1,5}):)?(\d{1,5})", word, re.ASCII)
    if match:
        local, remote = int(match[1] or match[2]), int(match[2])
        if 0 < local < 65536 and 0 < remote < 65536:
            names = {port: name for name, port in SERVICES.items()}
            return Tunnel(names.get(remote, ""), local, remote)
    raise DlError(
        f"Can't forward {word!r}",
        why="expected `jupyter`, `tensorboard`, or the ports here and there, as 9999:8888",
        hint="A port is a number from 1 to 65535.",
        exit_code=ExitCode.USAGE,
    )


def _free(tunnels: Sequence[Tunnel]) -> list[Tunnel]:
    """Tunnels at their own local ports, or at the next free ones, said."""
    found: list[Tunnel] = []
    for tunnel in tunnels:
        taken = {each.local for each in found}
        ports = range(tunnel.local, min(tunnel.local + MOST_PORTS, 65536))
        port = next((each for each in ports if each not in taken and _is_free(each)), None)
        if port is None:
            raise DlError(
                f"Port {tunnel.local} of this computer is taken",
                why=f"so are the next {MOST_PORTS}",
                hint=f"Name another, `10000:{tunnel.remote}`.",
            )
        if port != tunnel.local:
            say(f"Port {tunnel.local} of this computer is taken; it is {port} instead.")
        found.append(replace(tunnel, local=port))
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as ssh does
        try:
            probe.bind((LOOPBACK, port))
            probe.listen()  # with that option set, a port that is listened to can be bound
        except PermissionError as error:
            raise DlError(
                f"Port {port} of this computer is root's alone",
                hint=f"Name one above 1023, `{10000 + port}:PORT`.",
            ) from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def _started(host: Host, tunnels: Sequence[Tunnel]) -> subprocess.Popen[str]:
    ports = [f"{LOOPBACK}:{each.local}:{LOOPBACK}:{each.remote}" for each in tunnels]
    words = [word for port in ports for word in ("-L", port)]
    # quiet: each page that asks a service which isn't running yet would bring a line
    argv = ssh_argv(host, "-T", "-q", "-o", "ExitOnForwardFailure=yes", *words)
    try:
        return subprocess.Popen(
            [*argv, SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for this process, which ends ssh
        )
    except FileNotFoundError as error:
        raise not_installed("ssh") from error


def _opens(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None  # asked for
    return process.stdout.readline().strip() == READY


def _require_patience(host: Host, since: float, opened: bool) -> None:
    """Give up on tunnels that have not opened for too long, though the machine answers."""
    if time.monotonic() - since > (PATIENCE_SECONDS if opened else FIRST_SECONDS):
        raise DlError(
            f"{host.called} opens no tunnels",
            why="it lets us in, and ssh ends before they are open",
            hint="Its sshd may forbid them, `AllowTcpForwarding`; log in and look: "
            f"`dl aws ssh{host.options}`.",
        )


@dataclass(frozen=True)
class Page:
    """What leads to a service.

    Args:
        url: here; it holds Jupyter's token, so it is for its owner's eyes.
        answers: whether something listens over there.
    """

    tunnel: Tunnel
    url: str
    answers: bool = True

    def __str__(self) -> str:
        return f"{self.tunnel.service} {self.url}".lstrip()

    def missing(self, host: Host) -> str:
        """The words for a service that isn't there."""
        words = f"Nothing listens at port {self.tunnel.remote} of {host.called} yet"
        name = next((name for name, port in SERVICES.items() if port == self.tunnel.remote), "")
        look = f"`dl aws ssh{host.options} systemctl --user status dl-{name}` says why."
        return f"{words}; the tunnel waits for it. {look if name else ''}".rstrip()


def pages(host: Host, tunnels: Sequence[Tunnel]) -> list[Page]:
    """Where each tunnel leads; as far as the machine tells, whose tunnels are there anyway."""
    try:
        with connect(host, ASK_SECONDS) as client:
            servers = _servers(client)
            return [
                Page(each, _url(each, servers.get(each.remote, {})), _answers(client, each.remote))
                for each in tunnels
            ]
    except DlError:
        return [Page(each, _url(each, {})) for each in tunnels]


def _servers(client: SSHClient) -> dict[int, dict[str, object]]:
    """Port -> what the newest Jupyter server there says of itself."""
    found: dict[int, dict[str, object]] = {}
    for text in run(client, ["sh", "-c", SERVERS], seconds=ASK_SECONDS)[1].split("\0"):
        try:
            said = json.loads(text)
            found.setdefault(int(said["port"]), said)
        except (ValueError, KeyError, TypeError):  # half written, or not a server's
            continue
    return found


def _url(tunnel: Tunnel, server: dict[str, object]) -> str:
    scheme = "https" if server.get("secure") is True else "http"
    url = f"{scheme}://{LOOPBACK}:{tunnel.local}"
    token = server.get("token")
    if not isinstance(token, str) or not token:
        return url
    return f"{url}{server.get('base_url', '/')}lab?token={quote(token, safe='')}"


def _answers(client: SSHClient, port: int) -> bool:
    """Whether something listens at a port there, asked as the tunnel itself would."""
    from paramiko import ChannelException, SSHException

    transport = client.get_transport()
    assert transport is not None  # it is connected
    try:
        transport.open_channel(
            "direct-tcpip", (LOOPBACK, port), (LOOPBACK, 0), timeout=ASK_SECONDS
        ).close()
    except ChannelException as error:
        return int(error.code) != CONNECT_FAILED
    except (SSHException, EOFError, OSError):  # it doesn't say
        return True
    return True

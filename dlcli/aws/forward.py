"""ssh tunnels from this computer to ports of a box, kept open until Ctrl-C.

The system's ssh makes them; they are made again after a lost connection. Jupyter and TensorBoard
listen only on 127.0.0.1 of the box, so that tunnels are the only way to them. The ports here are on
127.0.0.1 too.
"""

from __future__ import annotations

import errno
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
from dlcli.files.formats import parse_json
from dlcli.progress import say

if TYPE_CHECKING:
    from paramiko import SSHClient


LOOPBACK = "127.0.0.1"
SERVICES = {"jupyter": 8888, "tensorboard": 6006}
# The box prints this once the ports are open. Then its `cat` waits for the end of ssh's input, so
# that ssh ends with this process, however that ends.
READY = "ready"
SCRIPT = f"echo {READY}; exec cat >/dev/null"
# How long a lost machine is waited for: a reboot takes minutes, as does a laptop on its way home.
PATIENCE_SECONDS = 600.0
FIRST_SECONDS = 10.0
PAUSE_SECONDS = 1.0
MOST_PORTS = 50
# https://www.rfc-editor.org/rfc/rfc4254#section-5.1
CONNECT_FAILED = 2

ASK_SECONDS = 10.0
# Prints what each Jupyter server on the box says of itself, newest first. No command line contains
# its token, because every user of the box can read command lines.
SERVERS = (
    "cd ~/.local/share/jupyter/runtime && ls -t jpserver-*.json | "
    """while read -r file; do cat "$file"; printf '\\0'; done"""
)


@dataclass(frozen=True)
class Tunnel:
    """A port of this computer that leads to a port of the box.

    Args:
        service: what listens there, such as "jupyter"; empty if unknown.
        local: the port on 127.0.0.1 here.
        remote: the port on 127.0.0.1 of the box.
    """

    service: str
    local: int
    remote: int


def read_tunnels(words: Sequence[str]) -> list[Tunnel]:
    """Parse tunnels: `jupyter`, `tensorboard`, `L:R` or a port; none means both names.

    Raises:
        DlError: a word is none of these.
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
        again: finds the machine after a lost connection; its address may have changed.
        tunnels: the wanted ones; a taken local port is replaced by the next free one, with a
            message.
        ready: called with the machine and the actual tunnels once they are open.

    Raises:
        DlError: the machine cannot be reached, is away for too long, or refuses us.
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
                        say(f"Reconnected to {host.called}.")
                    else:
                        ready(host, wanted)
                        opened = True
                    process.wait()
                    say(f"The connection to {host.called} was lost. Reconnecting.")
                elif wanted == (wanted := _free(wanted)):  # the ports are still free
                    if not opened:
                        wait_for_ssh(host, FIRST_SECONDS)  # raises an error that explains
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
        f"Cannot forward {word!r}",
        why="expected `jupyter`, `tensorboard`, a port, or two ports HERE:BOX, such as 9999:8888",
        hint="Use port numbers from 1 to 65535.",
        exit_code=ExitCode.USAGE,
    )


def _free(tunnels: Sequence[Tunnel]) -> list[Tunnel]:
    """Move tunnels from taken local ports to the next free ones, with a message."""
    found: list[Tunnel] = []
    for tunnel in tunnels:
        taken = {each.local for each in found}
        ports = range(tunnel.local, min(tunnel.local + MOST_PORTS, 65536))
        port = next((each for each in ports if each not in taken and _is_free(each)), None)
        if port is None:
            raise DlError(
                f"Port {tunnel.local} of this computer is in use",
                why=f"the next {MOST_PORTS} are in use too",
                hint=f"Use another, such as `10000:{tunnel.remote}`.",
            )
        if port != tunnel.local:
            say(f"Port {tunnel.local} of this computer is in use; using port {port}.")
        found.append(replace(tunnel, local=port))
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as ssh does
        try:
            probe.bind((LOOPBACK, port))
            probe.listen()  # with that option a port in use can be bound, but not listened to
        except PermissionError as error:
            raise DlError(
                f"Only root may use port {port} of this computer",
                hint=f"Use one above 1023, such as `{10000 + port}:PORT`.",
            ) from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def _started(host: Host, tunnels: Sequence[Tunnel]) -> subprocess.Popen[str]:
    ports = [f"{LOOPBACK}:{each.local}:{LOOPBACK}:{each.remote}" for each in tunnels]
    words = [word for port in ports for word in ("-L", port)]
    # quiet: else ssh prints a line for each request to a service that is not running yet
    argv = ssh_argv(host, "-T", "-q", "-o", "ExitOnForwardFailure=yes", *words)
    try:
        return subprocess.Popen(
            [*argv, SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # only this process gets Ctrl-C; it then ends ssh
        )
    except FileNotFoundError as error:
        raise not_installed("ssh") from error


def _opens(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None  # asked for
    return process.stdout.readline().strip() == READY


def _require_patience(host: Host, since: float, opened: bool) -> None:
    """Give up if the machine answers, but its tunnels have failed to open for too long."""
    if time.monotonic() - since > (PATIENCE_SECONDS if opened else FIRST_SECONDS):
        raise DlError(
            f"{host.called} does not open the ports",
            why="it accepts connections, but ssh ends before the ports are open",
            hint="Its sshd may forbid tunnels. Log in with "
            f"`dl aws ssh{host.options}` and check `AllowTcpForwarding` in /etc/ssh/sshd_config.",
        )


@dataclass(frozen=True)
class Page:
    """The address of a service on this computer.

    Args:
        url: may contain Jupyter's token, so only its owner may see it.
        answers: whether something listens on the box.
    """

    tunnel: Tunnel
    url: str
    answers: bool = True

    def __str__(self) -> str:
        return f"{self.tunnel.service} {self.url}".lstrip()

    def missing(self, host: Host) -> str:
        """The message for a service that does not listen."""
        words = f"Nothing listens on port {self.tunnel.remote} of {host.called} yet"
        name = next((name for name, port in SERVICES.items() if port == self.tunnel.remote), "")
        look = f"To see why: `dl aws ssh{host.options} systemctl --user status dl-{name}`."
        return f"{words}; the tunnel stays open. {look if name else ''}".rstrip()


def pages(host: Host, tunnels: Sequence[Tunnel]) -> list[Page]:
    """The page of each tunnel. If the machine cannot be asked, pages lack tokens and checks."""
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
    """Port -> the description of the newest Jupyter server on it."""
    found: dict[int, dict[str, object]] = {}
    for text in run(client, ["sh", "-c", SERVERS], seconds=ASK_SECONDS)[1].split("\0"):
        try:
            said = parse_json(text)
            found.setdefault(int(said["port"]), said)
        except (ValueError, KeyError, TypeError, OverflowError):  # half written, or not of a server
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
    """Whether something listens on a port of the box, tested the way the tunnel connects."""
    from paramiko import ChannelException, SSHException

    transport = client.get_transport()
    assert transport is not None  # it is connected
    try:
        transport.open_channel(
            "direct-tcpip", (LOOPBACK, port), (LOOPBACK, 0), timeout=ASK_SECONDS
        ).close()
    except ChannelException as error:
        return int(error.code) != CONNECT_FAILED
    except (SSHException, EOFError, OSError):  # unknown
        return True
    return True

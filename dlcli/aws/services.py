"""What answers at ports of a machine's own, and the page that one opens for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from dlcli.aws.connecting import connect, run
from dlcli.aws.forwarding import LOOPBACK, SERVICES, Tunnel
from dlcli.aws.system_ssh import Host
from dlcli.errors import DlError

if TYPE_CHECKING:
    from paramiko import SSHClient

SECONDS = 10.0
# What each Jupyter server over there says of itself, the newest first. Its token comes through the
# tunnel alone: no command line holds it, which everyone over there may read.
SERVERS = (
    "cd ~/.local/share/jupyter/runtime && ls -t jpserver-*.json | "
    """while read -r file; do cat "$file"; printf '\\0'; done"""
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
        with connect(host, SECONDS) as client:
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
    for text in run(client, ["sh", "-c", SERVERS], seconds=SECONDS)[1].split("\0"):
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
            "direct-tcpip", (LOOPBACK, port), (LOOPBACK, 0), timeout=SECONDS
        ).close()
    except ChannelException as error:
        return int(error.code) != CONNECT_FAILED
    except (SSHException, EOFError, OSError):  # it doesn't say
        return True
    return True


# https://www.rfc-editor.org/rfc/rfc4254#section-5.1
CONNECT_FAILED = 2

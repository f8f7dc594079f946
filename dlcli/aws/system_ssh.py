"""A machine that is reached by ssh, and the system's own `ssh`, told all that it has to know."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcli.aws.naming import Named
from dlcli.errors import DlError

CONNECT_SECONDS = 15
# A connection counts as dropped after three of these without an answer.
ALIVE_SECONDS, ALIVE_TIMES = 10, 3


@dataclass(frozen=True)
class Host:
    """A machine with a running sshd.

    Args:
        alias: what its host keys are known by: the instance's id.
        address: IP address or name.
        key: the file of the private key that opens it.
        known_hosts: the file that holds its host keys.
        box: how people call it, and what they type to mean it; None where it is no box.
    """

    alias: str
    address: str
    user: str
    port: int
    key: Path
    known_hosts: Path
    box: Named | None = None

    @property
    def called(self) -> str:
        """Its name, where it has one."""
        return self.box.name if self.box else self.alias

    @property
    def account(self) -> str:
        """What follows a command that means its account and region."""
        return self.box.account if self.box else ""

    @property
    def options(self) -> str:
        """What follows a command that means it."""
        return self.box.options if self.box else ""


def option_lines(host: Host) -> dict[str, str]:
    """What ssh has to know about a machine, as lines of its configuration hold it."""
    return {
        "HostName": host.address,
        "User": host.user,
        "Port": str(host.port),
        "HostKeyAlias": host.alias,
        "UserKnownHostsFile": _quoted(host.known_hosts),
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "IdentityFile": _quoted(host.key),
        "IdentitiesOnly": "yes",
        "PreferredAuthentications": "publickey",
        "ForwardAgent": "no",  # whoever is root there could use the keys in the agent
        "ConnectTimeout": str(CONNECT_SECONDS),
        "ServerAliveInterval": str(ALIVE_SECONDS),
        "ServerAliveCountMax": str(ALIVE_TIMES),
    }


def ssh_options(host: Host) -> list[str]:
    """What the system's ssh has to be told, of which the user's own ssh config changes nothing.

    Of several `-o` for one option ssh takes the first: what a caller adds comes after these.
    """
    lines = option_lines(host).items()
    return ["-F", "none", *(word for name, value in lines for word in ("-o", f"{name}={value}"))]


def ssh_argv(host: Host, *options: str) -> list[str]:
    """The system's ssh to a machine; what it shall do there may follow."""
    return ["ssh", *ssh_options(host), *options, host.alias]


def interactive(argv: Sequence[str]) -> int:
    """Let a program have the terminal until it ends; its exit code.

    Raises:
        DlError: it is not installed.
    """
    try:
        process = subprocess.Popen(argv)
    except FileNotFoundError as error:
        raise not_installed(argv[0]) from error
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # from now on Ctrl-C is the program's
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def not_installed(program: str) -> DlError:
    """A program of the system is missing on this computer."""
    package = "openssh-client" if program == "ssh" else program
    return DlError(
        f"`{program}` is not installed",
        hint=f"Install it with the system's packages: `sudo apt install {package}`.",
    )


def _quoted(path: Path) -> str:
    """A path as ssh's configuration takes it: spaces and all, `%` being its own sign."""
    escaped = os.fspath(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'

"""The system's own `ssh`, told all that it has to know of a box, and `ssh dl-NAME`.

For rsync, scp and editors, boxes are entries of an ssh configuration of our own. The user's
`~/.ssh/config` gets one line, which includes it; the rest is never touched.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcli.aws.boxes import Box, by_age
from dlcli.aws.cloud import Named
from dlcli.errors import DlError
from dlcli.files.atomic import atomic
from dlcli.files.formats import read_text
from dlcli.files.locks import alone_in
from dlcli.files.paths import config_home

CONNECT_SECONDS = 15
# A connection counts as dropped after three of these without an answer.
ALIVE_SECONDS, ALIVE_TIMES = 10, 3

HEADER = "# Written by `dl aws ssh-config`, which writes it anew each time.\n"


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
        "UserKnownHostsFile": _for_ssh_config(host.known_hosts),
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "IdentityFile": _for_ssh_config(host.key),
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


def _for_ssh_config(path: Path) -> str:
    """A path as ssh's configuration takes it: spaces and all, `%` being its own sign."""
    escaped = os.fspath(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def our_file() -> Path:
    """The file of ours that is included: `~/.config/dl/ssh/config`."""
    return config_home() / "ssh" / "config"


def users_file() -> Path:
    """The user's own ssh configuration."""
    return Path.home() / ".ssh" / "config"


def entry_name(name: str) -> str:
    """What one types after `ssh` to reach a box: `dl-` keeps it apart from hosts of one's own."""
    # `*`, `?` and `!` would stand for other hosts
    return "dl-" + re.sub(r"[^\w.-]", "-", name, flags=re.ASCII)


def names_for(boxes: Sequence[Box], usual_region: str) -> dict[str, Box]:
    """What each box is called here, so that no name comes to mean another box when one is added.

    Args:
        boxes: of any region.
        usual_region: where a box goes by its name alone; elsewhere it is its name and region.
    """
    found: dict[str, Box] = {}
    for box in sorted(boxes, key=by_age):
        name = box.name if box.region == usual_region else f"{box.name}-{box.region}"
        found[f"{name}-{box.id}" if name in found else name] = box
    return dict(sorted(found.items()))


def write_entries(hosts: Mapping[str, Host]) -> list[str]:
    """Write our file anew, and include it in the user's where it isn't yet.

    Args:
        hosts: a box's name -> how it is reached.

    Returns:
        what one types after `ssh`, in the order of the boxes.
    """
    blocks = [HEADER]
    for name, host in hosts.items():
        lines = [f"  {key} {value}\n" for key, value in option_lines(host).items()]
        blocks.append("".join([f"\nHost {entry_name(name)}\n", *lines]))
    _write_private(our_file(), "".join(blocks))
    include()
    return [entry_name(name) for name in hosts]


def include() -> bool:
    """Put the one line at the top of the user's file; whether it had to be.

    At the top, for a line after a `Host` would belong to that host alone.
    """
    file = users_file().resolve()  # a link, from somebody's dotfiles, stays one
    _make_private(file.parent)
    with alone_in(file.parent):
        text = read_text(file) if file.exists() else ""
        line = f'Include "{our_file()}"\n'
        if text.startswith(line) or f"\n{line}" in text.partition("\nHost ")[0]:
            return False
        _write_private(file, line + text)
    return True


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _write_private(file: Path, text: str) -> None:
    """Write a file whole or not at all; a new one is its owner's alone."""
    _make_private(file.parent)
    with atomic(file) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            os.fchmod(descriptor, 0o600)
            opened.write(text.encode("utf-8", "surrogateescape"))

"""The system's `ssh`: its arguments for a box, and the configuration behind `ssh dl-NAME`.

Boxes are entries of dl's own ssh configuration, for ssh, rsync, scp and editors. One line in the
user's `~/.ssh/config` includes it; nothing else there changes.
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
from dlcli.files.paths import config_home, home, shown

CONNECT_SECONDS = 15
# A connection counts as lost after three of these intervals without an answer.
ALIVE_SECONDS, ALIVE_TIMES = 10, 3

HEADER = "# Written by `dl aws ssh-config`. The next run replaces this file.\n"


@dataclass(frozen=True)
class Host:
    """A machine with a running sshd.

    Args:
        alias: the name of its host keys: the instance's id.
        address: IP address or name.
        key: the file of our private key.
        known_hosts: the file of its host keys.
        box: its name and the options for it; None if it is not a box.
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
        """Its name, else its alias."""
        return self.box.name if self.box else self.alias

    @property
    def account(self) -> str:
        """Options that make a command use its account and region."""
        return self.box.account if self.box else ""

    @property
    def options(self) -> str:
        """Options that make a command act on it."""
        return self.box.options if self.box else ""


def option_lines(host: Host) -> dict[str, str]:
    """A machine's options in an ssh configuration: name -> value."""
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
        "ForwardAgent": "no",  # root on the box could use the keys in the agent
        "ConnectTimeout": str(CONNECT_SECONDS),
        "ServerAliveInterval": str(ALIVE_SECONDS),
        "ServerAliveCountMax": str(ALIVE_TIMES),
    }


def ssh_options(host: Host) -> list[str]:
    """The options of the system's ssh for a machine. The user's own ssh configuration is not read.

    ssh uses the first of several values of an option, so a caller's later ones do not override.
    """
    lines = option_lines(host).items()
    return ["-F", "none", *(word for name, value in lines for word in ("-o", f"{name}={value}"))]


def ssh_argv(host: Host, *options: str) -> list[str]:
    """The command line of ssh to a machine; a remote command may be appended."""
    return ["ssh", *ssh_options(host), *options, host.alias]


def interactive(argv: Sequence[str]) -> int:
    """Run a program in the terminal until it ends; returns its exit code.

    Raises:
        DlError: it is not installed.
    """
    try:
        process = subprocess.Popen(argv)
    except FileNotFoundError as error:
        raise not_installed(argv[0]) from error
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program handles Ctrl-C
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def not_installed(program: str) -> DlError:
    """The error for a program that is missing on this computer."""
    package = "openssh-client" if program == "ssh" else program
    return DlError(
        f"`{program}` is not installed",
        hint=f"Install it: `sudo apt install {package}`.",
    )


def _for_ssh_config(path: Path) -> str:
    """A path for an ssh configuration: quoted, with `%` doubled.

    Raises:
        DlError: ssh would read another path, or more than a path.
    """
    return _in_quotes(path).replace("%", "%%")


def _to_include(path: Path) -> str:
    """A path for `Include`, which takes a pattern: `*` and the like stand for themselves.

    Raises:
        DlError: ssh would read another path, or more than a path.
    """
    return _in_quotes(Path(re.sub(r"([\\*?\[])", r"\\\1", os.fspath(path))))


def _in_quotes(path: Path) -> str:
    text = os.fspath(path)
    # ssh ends a line at these, and knows no way to write `${` as it is
    if re.search(r"[\0-\x08\n-\x1f]|\$\{", text):
        raise DlError(
            f"{shown(path)} can't stand in ssh's configuration",
            why="its name has a line break, another control character or `${`",
            hint="Rename the folder. If it is a key's, name another: "
            "`dl config set aws.ssh_key FILE`.",
        )
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def our_file() -> Path:
    """dl's own ssh configuration, `~/.config/dl/ssh/config`."""
    return config_home() / "ssh" / "config"


def users_file() -> Path:
    """The user's own ssh configuration."""
    return home() / ".ssh" / "config"


def entry_name(name: str) -> str:
    """A box's name for `ssh`; `dl-` keeps it apart from the user's own hosts."""
    # in an ssh configuration `*`, `?` and `!` are patterns
    return "dl-" + re.sub(r"[^\w.-]", "-", name, flags=re.ASCII)


def names_for(boxes: Sequence[Box], usual_region: str) -> dict[str, Box]:
    """Entry name -> box; a new box never changes the meaning of an existing name.

    Args:
        boxes: of any region.
        usual_region: boxes of other regions have the region in their name.
    """
    found: dict[str, Box] = {}
    for box in sorted(boxes, key=by_age):
        name = box.name if box.region == usual_region else f"{box.name}-{box.region}"
        found[f"{name}-{box.id}" if name in found else name] = box
    return dict(sorted(found.items()))


def write_entries(hosts: Mapping[str, Host]) -> list[str]:
    """Write dl's ssh configuration, and include it in the user's.

    Args:
        hosts: a box's name -> its machine.

    Returns:
        the names for `ssh`, in the order of the boxes.
    """
    blocks = [HEADER]
    for name, host in hosts.items():
        lines = [f"  {key} {value}\n" for key, value in option_lines(host).items()]
        blocks.append("".join([f"\nHost {entry_name(name)}\n", *lines]))
    _write_private(our_file(), "".join(blocks))
    include()
    return [entry_name(name) for name in hosts]


def include() -> bool:
    """Put the `Include` line in the user's file, unless it is there; returns whether it was added.

    It goes to the top, because a line after a `Host` applies only to that host.
    """
    file = users_file().resolve()  # a link, perhaps to the user's dotfiles, stays a link
    _make_private(file.parent)
    with alone_in(file.parent):
        text = read_text(file) if file.exists() else ""
        line = f"Include {_to_include(our_file())}\n"
        if text.startswith(line) or f"\n{line}" in text.partition("\nHost ")[0]:
            return False
        _write_private(file, line + text)
    return True


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _write_private(file: Path, text: str) -> None:
    """Write a file in one step; only its owner may read a new one."""
    _make_private(file.parent)
    with atomic(file) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            os.fchmod(descriptor, 0o600)
            opened.write(text.encode("utf-8", "surrogateescape"))

"""Host keys of boxes: read from the EC2 console, kept in dl's own known_hosts file.

A connection is accepted only if the server has one of the keys stored under the instance's id. EC2
gives addresses out again, but not ids. `~/.ssh/known_hosts` is neither read nor written.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.errors import DlError
from dlcli.files.atomic import atomic_write
from dlcli.files.formats import read_text
from dlcli.files.locks import alone_in
from dlcli.files.paths import quoted, state_home
from dlcli.progress import say

if TYPE_CHECKING:
    from dlcli.aws.system_ssh import Host

# cloud-init prints this block on the console once it has made the keys; a reboot may repeat it.
_BLOCK = re.compile(
    r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL
)
_KEY = re.compile(r"\b(ssh-ed25519|ecdsa-sha2-nistp\d+|ssh-rsa)[ \t]+(AAAA[A-Za-z0-9+/]+={0,2})")
# In OpenSSH's order of preference.
_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
ANSWER_SECONDS = 15


@dataclass(frozen=True)
class HostKey:
    """The public half of a server's key.

    Args:
        kind: such as "ssh-ed25519".
        data: its RFC 4253 encoding in base64.
    """

    kind: str
    data: str

    @property
    def fingerprint(self) -> str:
        """The fingerprint as OpenSSH shows it: "SHA256:...\""""
        return fingerprint_of(base64.b64decode(self.data))


def fingerprint_of(blob: bytes) -> str:
    """The fingerprint of a public key in RFC 4253's encoding, as `ssh-keygen -l` writes it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return "SHA256:" + digest.rstrip("=")


def read_console(text: str) -> tuple[HostKey, ...]:
    """The host keys in a box's console output: those of the newest complete block.

    Returns:
        the preferred kind first; () if no block is complete yet. Keys that other console messages
        cut in two are left out.
    """
    blocks = _BLOCK.findall(text)
    if not blocks:
        return ()
    found = {HostKey(*match) for match in _KEY.findall(blocks[-1]) if _is_whole(*match)}
    return tuple(sorted(found, key=_preference))


def known_hosts_file() -> Path:
    """The file of all boxes' host keys, `~/.local/state/dl/aws/known_hosts`, as OpenSSH has it."""
    return state_home() / "aws" / "known_hosts"


def known(alias: str) -> tuple[HostKey, ...]:
    """The stored host keys of a box; () if there are none.

    Args:
        alias: the instance's id.
    """
    return tuple(HostKey(*rest.split()[:2]) for name, rest in _lines() if name == alias)


def remember(alias: str, keys: Sequence[HostKey]) -> None:
    """Store a box's host keys in place of its earlier ones."""
    _rewrite(alias, [f"{key.kind} {key.data}" for key in sorted(keys, key=_preference)])


def forget(alias: str) -> None:
    """Remove a box's host keys."""
    if known(alias):
        _rewrite(alias, [])


def trust_first(host: Host) -> HostKey:
    """Store the key that the server shows as the box's key, with a warning.

    Raises:
        DlError: nothing answers, or the box's keys are known already.
    """
    if known(host.alias):
        raise DlError(
            f"The host key of {host.called} is already known",
            why="a known key is not replaced by an unverified one",
            hint=how_to_forget(host),
        )
    key = shown_key(host)
    say(
        f"Warning: the host key of {host.called} at {host.address} is trusted from now on, but "
        f"not verified: {key.kind} {key.fingerprint}. Compare it with the output of "
        "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the box."
    )
    remember(host.alias, [key])
    return key


def how_to_forget(host: Host) -> str:
    """The hint for a host key that differs from the known one."""
    return (
        "If you changed the key on the box yourself, remove the old one: "
        f"`ssh-keygen -R {host.alias} -f {quoted(known_hosts_file())}`, then "
        f"`dl aws ssh{host.options} --trust-host-key`. If not, another machine may be answering: "
        "do not connect."
    )


def hush() -> None:
    """Keep paramiko from printing a traceback for each failed connection."""
    logger = logging.getLogger("paramiko")
    if not logger.handlers:  # without a handler Python prints to stderr
        logger.addHandler(logging.NullHandler())


def shown_key(host: Host) -> HostKey:
    """The host key that the server at a box's address shows. It is not stored.

    Raises:
        DlError: nothing answers.
    """
    from paramiko import SSHException, Transport

    hush()
    try:
        with socket.create_connection((host.address, host.port), ANSWER_SECONDS) as connection:
            transport = Transport(connection)
            try:
                transport.get_security_options().key_types = _KINDS
                transport.start_client(timeout=ANSWER_SECONDS)
                key = transport.get_remote_server_key()
            finally:
                transport.close()
    except (OSError, SSHException, EOFError) as error:
        raise DlError(
            f"{host.called} at {host.address} shows no host key",
            why=str(error) or "it closed the connection",
            hint=f"Check that it is running (`dl aws ls{host.account}`), and that port 22 is open "
            "to you.",
        ) from error
    return HostKey(key.get_name(), key.get_base64())


def _is_whole(kind: str, data: str) -> bool:
    """Whether a key is complete: RFC 4253 puts its length before each of its parts."""
    try:
        blob = base64.b64decode(data, validate=True)
    except binascii.Error:
        return False
    parts = []
    while blob:
        length = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + length or not length:
            return False
        parts.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return len(parts) > 1 and parts[0] == kind.encode()


def _preference(key: HostKey) -> tuple[int, str]:
    return (_KINDS.index(key.kind) if key.kind in _KINDS else len(_KINDS), key.data)


def _lines() -> list[tuple[str, str]]:
    """The file's lines: alias, kind and key."""
    try:
        text = read_text(known_hosts_file())
    except FileNotFoundError:
        return []
    split = [line.split(" ", 1) for line in text.splitlines()]
    return [(parts[0], parts[1]) for parts in split if len(parts) == 2 and " " in parts[1]]


def _rewrite(alias: str, keys: Sequence[str]) -> None:
    file = known_hosts_file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone_in(file.parent):
        kept = [f"{name} {rest}\n" for name, rest in _lines() if name != alias]
        atomic_write(file, "".join([*kept, *(f"{alias} {key}\n" for key in keys)]))

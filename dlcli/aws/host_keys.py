"""How a box proves who it is: its host keys, as its console told them, in a file of our own.

Whoever answers at a box's address has to hold one of the keys that are written down here under the
instance's id; addresses are given out again, ids are not. Nothing is read from or written to
`~/.ssh/known_hosts`.
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

# What cloud-init prints on the console once it has made the keys; a reboot may print them again.
_BLOCK = re.compile(
    r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL
)
_KEY = re.compile(r"\b(ssh-ed25519|ecdsa-sha2-nistp\d+|ssh-rsa)[ \t]+(AAAA[A-Za-z0-9+/]+={0,2})")
# As OpenSSH prefers them.
_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
ANSWER_SECONDS = 15


@dataclass(frozen=True)
class HostKey:
    """The public half of a server's key.

    Args:
        kind: as "ssh-ed25519".
        data: RFC 4253's encoding of it, in base64.
    """

    kind: str
    data: str

    @property
    def fingerprint(self) -> str:
        """As OpenSSH shows it: "SHA256:...\""""
        return fingerprint_of(base64.b64decode(self.data))


def fingerprint_of(blob: bytes) -> str:
    """The fingerprint of a public key in RFC 4253's encoding, as `ssh-keygen -l` writes it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return "SHA256:" + digest.rstrip("=")


def read_console(text: str) -> tuple[HostKey, ...]:
    """The host keys in what a box wrote to its console, the newest whole block of them.

    Returns:
        the preferred kind first; () where no block is complete yet. A key that other messages on
        the console have cut in two is left out.
    """
    blocks = _BLOCK.findall(text)
    if not blocks:
        return ()
    found = {HostKey(*match) for match in _KEY.findall(blocks[-1]) if _is_whole(*match)}
    return tuple(sorted(found, key=_preference))


def known_hosts_file() -> Path:
    """The host keys of all boxes: `~/.local/state/dl/aws/known_hosts`, in OpenSSH's format."""
    return state_home() / "aws" / "known_hosts"


def known(alias: str) -> tuple[HostKey, ...]:
    """The keys that are written down for a box; () where there are none.

    Args:
        alias: the instance's id.
    """
    return tuple(HostKey(*rest.split()[:2]) for name, rest in _lines() if name == alias)


def remember(alias: str, keys: Sequence[HostKey]) -> None:
    """Write a box's keys down, in place of those that it had."""
    _rewrite(alias, [f"{key.kind} {key.data}" for key in sorted(keys, key=_preference)])


def forget(alias: str) -> None:
    """Take a box that is gone out of the file."""
    if known(alias):
        _rewrite(alias, [])


def trust_first(host: Host) -> HostKey:
    """Take the key of whoever answers for the box's own, said loudly; where none is known yet.

    Raises:
        DlError: nobody answers, or the box's keys are known already.
    """
    if known(host.alias):
        raise DlError(
            f"The host key of {host.called} is known already",
            why="another one in its place is not trusted on sight",
            hint=how_to_forget(host),
        )
    key = shown_key(host)
    say(
        f"Warning: nobody vouches for the host key of {host.called} at {host.address}: {key.kind} "
        f"{key.fingerprint}. It is trusted from now on, because you asked for it. Compare it, on "
        "the box, with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`."
    )
    remember(host.alias, [key])
    return key


def how_to_forget(host: Host) -> str:
    """What to do about a key that isn't the known one."""
    return (
        "If you changed it yourself, on the box, forget the old one: "
        f"`ssh-keygen -R {host.alias} -f {quoted(known_hosts_file())}`, then "
        f"`dl aws ssh{host.options} --trust-host-key`. If not, somebody else may be answering: "
        "connect to nothing there."
    )


def hush() -> None:
    """Keep paramiko from printing the traceback of each connection that fails."""
    logger = logging.getLogger("paramiko")
    if not logger.handlers:  # without one Python prints to stderr
        logger.addHandler(logging.NullHandler())


def shown_key(host: Host) -> HostKey:
    """The key that whoever answers for a box holds; nothing is sent, and nobody is trusted.

    Raises:
        DlError: nobody answers.
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
            why=str(error) or "it ended the connection",
            hint=f"Is it running, and is port 22 open to you? `dl aws ls{host.account}` says the "
            "first.",
        ) from error
    return HostKey(key.get_name(), key.get_base64())


def _is_whole(kind: str, data: str) -> bool:
    """Whether a key is all there: RFC 4253 has each of its parts led by its length."""
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

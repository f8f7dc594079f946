"""The key that opens boxes: made on this computer, known to EC2 by its public half.

The private half never leaves this computer. EC2 keeps public halves by region, as key pairs.
"""

from __future__ import annotations

import base64
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.aws.boxes import tags_for
from dlcli.aws.errors import explained, is_there_already, reason_code
from dlcli.aws.host_keys import fingerprint_of
from dlcli.errors import DlError
from dlcli.files.atomic import atomic, atomic_write
from dlcli.files.formats import read_text
from dlcli.files.locks import alone_in
from dlcli.files.paths import config_home, quoted, shown

if TYPE_CHECKING:
    from dlcli.aws.cloud import Cloud


NAME = "id_ed25519"

# What tells a key of ours from one that somebody tagged.
PREFIX = "dl-"


@dataclass(frozen=True)
class Key:
    """A key pair.

    Args:
        path: the file of its private half.
        public: its public half in OpenSSH's one line, without a comment.
        fingerprint: as `ssh-keygen -l` writes it, "SHA256:...\"
    """

    path: Path
    public: str
    fingerprint: str


def own_key(named: Path | None = None) -> Key:
    """The key of this computer: the file that `aws.ssh_key` names, else one of our own.

    Ours is made at the first call, ed25519, `~/.config/dl/ssh/id_ed25519`, readable by its owner
    alone; a key that is there is never written over.

    Raises:
        DlError: the named file isn't there, isn't a private key, or may be read by others.
    """
    path = named if named is not None else _own_path()
    if named is None:
        _make_once(path)
    elif not path.is_file():
        raise DlError(
            f"No such key: {shown(path)}",
            why="`aws.ssh_key` names it",
            hint="Name another, or let `dl` make one: `dl config set aws.ssh_key none`.",
        )
    if path.stat().st_mode & 0o077:
        raise DlError(
            f"Others may read {shown(path)}",
            why="ssh refuses a private key that is not its owner's alone",
            hint=f"`chmod 600 {quoted(path)}`",
        )
    public = _public_half(path)
    return Key(path, public, fingerprint_of(base64.b64decode(public.split()[1])))


def present_key(named: Path | None = None) -> Key | None:
    """The same, where it is there; nothing is made."""
    return own_key(named) if named is not None or _own_path().exists() else None


def _own_path() -> Path:
    return config_home() / "ssh" / NAME


def _make_once(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone_in(path.parent):  # of two processes at once the second finds the first one's key
        if not path.exists():
            _make(path)


def _make(path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    with atomic(path) as temporary:
        with suppress(FileNotFoundError):
            temporary.unlink()  # its rights would stay if it were written over
        # the rights at its making: no instant in which others could open it
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(private)
    atomic_write(path.with_name(path.name + ".pub"), public.decode() + "\n")


def _public_half(path: Path) -> str:
    """The public half of a private key: computed, or where that is locked, of the file beside it.

    Raises:
        DlError: it is no private key, or a locked one without a public half beside it.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_ssh_private_key(path.read_bytes(), password=None)
        return (
            key.public_key()
            .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
            .decode()
        )
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        # a key with a passphrase, or of an older format: ssh-keygen has written the public half
        beside = path.with_name(path.name + ".pub")
        words = read_text(beside).split() if beside.is_file() else []
        if len(words) >= 2 and words[0].startswith(("ssh-", "ecdsa-", "sk-")):
            return " ".join(words[:2])
        raise DlError(
            f"{shown(path)} can't be used as a key",
            why=str(error).rstrip(".") or "it is of a kind that is not known here",
            hint=f"If it has a passphrase, `ssh-keygen -y -f {quoted(path)} > {quoted(beside)}`; "
            "or let `dl` make one: `dl config set aws.ssh_key none`.",
        ) from error


def key_name(key: Key) -> str:
    """What EC2 calls a key: its fingerprint tells it from any other."""
    digest = key.fingerprint.removeprefix("SHA256:")
    return PREFIX + digest.replace("/", "_").replace("+", "-")


def import_key(cloud: Cloud, key: Key, owner: str) -> None:
    """Give EC2 the public half of a key; nothing happens where it has it."""
    tags = [tag for tag in tags_for("", owner, "") if tag["Value"]]
    try:
        with explained():
            cloud.ec2.import_key_pair(
                KeyName=key_name(key),
                PublicKeyMaterial=key.public.encode(),
                TagSpecifications=[{"ResourceType": "key-pair", "Tags": tags}],
            )
    except DlError as error:
        if not is_there_already(reason_code(error)):
            raise


def has_key(cloud: Cloud, key: Key) -> bool:
    """Whether EC2 has the public half of a key."""
    with explained():
        found = cloud.ec2.describe_key_pairs(
            Filters=[{"Name": "key-name", "Values": [key_name(key)]}]
        )
    return bool(found["KeyPairs"])

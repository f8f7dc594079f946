"""The ssh key of this computer, and its public half in EC2.

The private half never leaves this computer. EC2 keeps public halves per region, as key pairs.
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

# The names of dl's keys begin with this.
PREFIX = "dl-"


@dataclass(frozen=True)
class Key:
    """A key pair.

    Args:
        path: the file of its private half.
        public: its public half as OpenSSH's line, without a comment.
        fingerprint: as `ssh-keygen -l` writes it, "SHA256:...\"
    """

    path: Path
    public: str
    fingerprint: str


def own_key(named: Path | None = None) -> Key:
    """The key of this computer: the file that `aws.ssh_key` names, else dl's own.

    dl's own is made at the first call: ed25519, `~/.config/dl/ssh/id_ed25519`, readable only by its
    owner. An existing key is never overwritten.

    Raises:
        DlError: the named file is missing, not a private key, or readable by others.
    """
    path = named if named is not None else _own_path()
    if named is None:
        _make_once(path)
    elif not path.is_file():
        raise DlError(
            f"The key {shown(path)} does not exist",
            why="the setting `aws.ssh_key` names it",
            hint="Set another, or let `dl` make one: `dl config set aws.ssh_key none`.",
        )
    if path.stat().st_mode & 0o077:
        raise DlError(
            f"Other users can read {shown(path)}",
            why="ssh refuses a private key that others can read",
            hint=f"Run `chmod 600 {quoted(path)}`.",
        )
    public = _public_half(path)
    return Key(path, public, fingerprint_of(base64.b64decode(public.split()[1])))


def present_key(named: Path | None = None) -> Key | None:
    """The key of this computer; None if it has none yet. Nothing is made."""
    return own_key(named) if named is not None or _own_path().exists() else None


def _own_path() -> Path:
    return config_home() / "ssh" / NAME


def _make_once(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone_in(path.parent):  # a second process finds the first one's key
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
            temporary.unlink()  # an overwritten file would keep its permissions
        # permissions from the start, so that others can never open it
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(private)
    atomic_write(path.with_name(path.name + ".pub"), public.decode() + "\n")


def _public_half(path: Path) -> str:
    """The public half of a private key: computed, or read from the file beside a locked one.

    Raises:
        DlError: it is not a private key, or it is locked and has no public half beside it.
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
        # a passphrase or an older format: ssh-keygen wrote the public half beside it
        beside = path.with_name(path.name + ".pub")
        words = read_text(beside).split() if beside.is_file() else []
        if len(words) >= 2 and words[0].startswith(("ssh-", "ecdsa-", "sk-")):
            return " ".join(words[:2])
        raise DlError(
            f"{shown(path)} cannot be used as a key",
            why=str(error).rstrip(".") or "its kind is unknown",
            hint="If it has a passphrase, run "
            f"`ssh-keygen -y -f {quoted(path)} > {quoted(beside)}`. "
            "Or let `dl` make a key: `dl config set aws.ssh_key none`.",
        ) from error


def key_name(key: Key) -> str:
    """A key's name in EC2, made from its fingerprint."""
    digest = key.fingerprint.removeprefix("SHA256:")
    return PREFIX + digest.replace("/", "_").replace("+", "-")


def import_key(cloud: Cloud, key: Key, owner: str) -> None:
    """Upload the public half of a key to EC2, unless EC2 has it."""
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

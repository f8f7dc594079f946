"""The public halves of ssh keys, as EC2 keeps them for the boxes of a region."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlcli.aws.boxes import tags_for
from dlcli.aws.errors import explained, is_there_already, reason_code
from dlcli.errors import DlError

if TYPE_CHECKING:
    from dlcli.aws.cloud import Cloud
    from dlcli.aws.keys import Key


# What tells a key of ours from one that somebody tagged.
PREFIX = "dl-"


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

"""From a box to a machine that lets us in: the door, its host keys, our key.

What stands between is mended where it can be: our address has changed, the host key is only on the
console, or the box was made from another computer and doesn't know this one's key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlcli.aws.connecting import NoEntry, Unreachable, add_key, connect, wait_for_ssh
from dlcli.aws.errors import explained
from dlcli.aws.host_keys import (
    forget,
    known,
    read_console,
    remember,
    shown_key,
    trust_first,
)
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.progress import say

if TYPE_CHECKING:
    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud
    from dlcli.aws.keys import Key
    from dlcli.aws.system_ssh import Host
    from dlcli.settings.aws import Aws

# A box that runs answers at once; one that was just started needs a while.
BOOT_SECONDS = 120.0


def reach(cloud: Cloud, box: Box, settings: Aws, *, trust: bool = False) -> Host:
    """A box as ssh reaches it, after it let us in once.

    Args:
        trust: whether to take the host key of whoever answers, where none was known before, even
            if the console shows another.

    Raises:
        Unreachable: it doesn't answer.
        DlError: it is stopped, its host key is unknown or has changed, or our key is not let in.
    """
    from dlcli.aws.keys import own_key

    key, before = own_key(settings.ssh_key), known(box.id)
    host = prepared(cloud, box, settings, key)
    if trust and not before and shown_key(host) not in known(box.id):
        # the console may show the first boot's keys, and somebody may have changed them since
        forget(box.id)
        trust_first(host)
    try:
        connect(host).close()
    except NoEntry as error:
        _introduce(cloud, box, host, key, error)
    except Unreachable as error:
        say(f"{box.name} doesn't answer yet: {error.why}")
        wait_for_ssh(host, BOOT_SECONDS)
    return host


def reach_again(cloud: Cloud, name: str, settings: Aws) -> Host:
    """A box that was reached before, wherever it is now.

    Raises:
        Unreachable: it doesn't answer, or this computer has no network for the moment.
        DlError: as `reach`.
    """
    from botocore.exceptions import ConnectionError, HTTPClientError

    from dlcli.aws.lookup import find_box

    try:
        return reach(cloud, find_box(cloud, name), settings)
    except DlError as error:
        if isinstance(error.__cause__, OSError | ConnectionError | HTTPClientError):
            raise Unreachable(error.what, why=error.why, hint=error.hint) from error
        raise


def prepared(cloud: Cloud, box: Box, settings: Aws, key: Key) -> Host:
    """A box with its door open to this computer, and its host keys known if its console tells them.

    Raises:
        DlError: it is stopped, or AWS refuses.
    """
    from dlcli.aws import arriving, network

    host = arriving.host_of(cloud, box, key)
    network.open_door(cloud, box, settings.ingress)
    if not known(box.id):
        with explained():
            answer = cloud.ec2.get_console_output(InstanceId=box.id)
        if keys := read_console(answer.get("Output", "")):
            remember(box.id, keys)
    return host


def _introduce(cloud: Cloud, box: Box, host: Host, key: Key, refused: NoEntry) -> None:
    """Let this computer's key in, beside the one of the computer that made the box.

    AWS opens the box to a key for a minute, to whoever may do that in the account.

    Raises:
        DlError: it doesn't; says what to copy.
    """
    try:
        push_key(cloud, box, host.user, key.public)
        with connect(host) as client:
            add_key(client, key.public)
    except DlError as error:
        raise NoEntry(
            refused.what,
            why=f"{refused.why}, and EC2 Instance Connect doesn't help: {error.what}",
            hint=f"Copy {shown(host.key)} from the computer that made the box to this one; or add "
            f"this line to ~/.ssh/authorized_keys there: {key.public}",
        ) from error
    say(f"{box.name} was made from another computer; from now on it knows this one's key too.")


def push_key(cloud: Cloud, box: Box, user: str, public: str) -> None:
    """Have EC2 Instance Connect let a key in for a minute.

    Raises:
        DlError: it isn't allowed, or the box's image doesn't have it.
    """
    with explained():
        cloud.client("ec2-instance-connect").send_ssh_public_key(
            InstanceId=box.id,
            InstanceOSUser=user,
            SSHPublicKey=public,
            AvailabilityZone=box.zone,
        )

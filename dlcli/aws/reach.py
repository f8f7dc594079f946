"""Reach a running box by ssh: open port 22, learn its host keys, connect, finish its setup.

What can be repaired on the way is repaired: this computer's address has changed, the host key is
only on the console, or the box was made from another computer and lacks this one's key.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from dlcli.aws.boxes import find_box
from dlcli.aws.cloud import told_if_stopped
from dlcli.aws.errors import explained
from dlcli.aws.host_keys import (
    forget,
    known,
    known_hosts_file,
    read_console,
    remember,
    shown_key,
    trust_first,
)
from dlcli.aws.keys import own_key
from dlcli.aws.order import forget_order, is_unfinished
from dlcli.aws.setup import STATUS, USER, Watched, install_watchdog, provision, read_watchdog
from dlcli.aws.ssh import NoEntry, Unreachable, add_key, connect, run, wait_for_ssh
from dlcli.aws.system_ssh import Host
from dlcli.aws.vpc import SSH_PORT, open_door
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.progress import Patience, say

if TYPE_CHECKING:
    from paramiko import SSHClient

    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud
    from dlcli.aws.keys import Key
    from dlcli.settings.aws import Aws


# EC2 shows a console some minutes after the boot, later on older machines.
CONSOLE_SECONDS = 300.0
POLL_SECONDS = 5.0
SSH_SECONDS = 300.0
USUALLY = "usually a minute or two"

# A running box answers at once; one that was just started needs this long.
BOOT_SECONDS = 120.0

# `dl aws ls` waits no longer; a box whose port 22 is closed to this address never answers.
ASK_SECONDS = 4.0


def host_of(cloud: Cloud, box: Box, key: Key) -> Host:
    """A box as a machine for ssh, known by its id, for its address may change.

    Raises:
        DlError: it has no address, because it is not running.
    """
    named = cloud.named(box.name)
    if box.address is None:
        raise DlError(
            f"{box.name} has no address",
            why=f"it is {box.state}",
            hint=f"Start it: `dl aws start{named.options}`.",
        )
    return Host(
        alias=box.id,
        address=box.address,
        user=USER,
        port=SSH_PORT,
        key=key.path,
        known_hosts=known_hosts_file(),
        box=named,
    )


def learn_host_keys(cloud: Cloud, box: Box, host: Host, *, trust: bool = False) -> None:
    """Learn a new box's host keys from its EC2 console, which an attacker cannot change.

    Args:
        trust: whether to trust the key that the server shows, if the console shows none.

    Raises:
        DlError: the console shows none.
    """
    if known(box.id):
        return
    if trust:
        wait_for_port(host)
    patience = Patience(f"the host keys of {box.name}", 0 if trust else CONSOLE_SECONDS)
    while True:
        if _learned(cloud, box, latest=_nitro(box)):
            return
        if patience.left <= 0:
            break
        patience.pause(POLL_SECONDS)
    if not trust:
        options = host.options
        raise DlError(
            f"The console of {box.name} ({box.id}) does not show its host key",
            why="without this key, `dl` can't tell the box from another machine",
            hint=f"Run `dl aws up{options}` again in some minutes, or accept the key unverified: "
            f"`dl aws up{options} --trust-host-key`. "
            f"The box costs money until `dl aws stop{options}`.",
        )
    trust_first(host)


def arrive(
    cloud: Cloud,
    box: Box,
    key: Key,
    settings: Aws,
    *,
    started: bool = False,
    trust: bool = False,
) -> None:
    """Wait until a running box is ready for work; set up a new one, repair a silent watchdog.

    Args:
        started: whether it was stopped before; its watchdog then gets the present limits.
        trust: whether to trust the host key that the server shows, if none is known.

    Raises:
        DlError: it does not let us in, or its setup failed; the next call continues.
    """
    with told_if_stopped(cloud, box.name):
        _arrive(cloud, box, key, settings, started, trust)


def _arrive(cloud: Cloud, box: Box, key: Key, settings: Aws, started: bool, trust: bool) -> None:
    if not is_unfinished(box):
        if started:
            say(f"Waiting for {box.name} to accept a connection ({USUALLY})")
        host = reach(cloud, box, settings, trust=trust)
        with closing(connect(host)) as client:
            if not started and _is_watched(client):
                return
            if not started:
                say(f"The watchdog of {box.name} does not run. Installing it again")
            named, there = cloud.named(box.name), partial(run, client)
            install_watchdog(named, settings, there, anew=started)
        return
    host = host_of(cloud, box, key)
    say(f"Waiting for the host keys of {box.name}, then for ssh ({USUALLY})")
    learn_host_keys(cloud, box, host, trust=trust)
    wait_for_ssh(host, SSH_SECONDS)
    with closing(connect(host)) as client:
        provision(cloud.named(box.name), settings, partial(run, client))
    forget_order(box.region, box.name)


def _is_watched(client: SSHClient) -> bool:
    """Whether a box's watchdog has written its status lately."""
    return read_watchdog(run(client, STATUS)[1]) is not None


def wait_for_port(host: Host) -> None:
    """Wait until something listens on the machine's ssh port."""
    import socket

    patience = Patience(f"{host.called} to answer", SSH_SECONDS)
    while True:
        try:
            socket.create_connection((host.address, host.port), timeout=10).close()
            return
        except OSError as error:
            if patience.left < 0:
                raise DlError(
                    f"{host.called} does not answer at {host.address}:{host.port}",
                    why=str(error),
                    hint="Run the same command again in a minute. The box costs money until "
                    f"`dl aws stop{host.options}`.",
                ) from error
        patience.pause(POLL_SECONDS)


def _learned(cloud: Cloud, box: Box, *, latest: bool) -> bool:
    """Remember the host keys that a box's console shows; returns whether it shows any.

    Args:
        latest: whether to read the console as it is now, not EC2's copy of it.
    """
    with explained():
        console = cloud.ec2.get_console_output(InstanceId=box.id, Latest=latest)
    keys = read_console(console.get("Output", ""))
    if keys:
        remember(box.id, keys)
    return bool(keys)


def _nitro(box: Box) -> bool:
    """Whether EC2 shows the console as it is now; for older machines it has only a copy."""
    return not box.type.startswith(("t2.", "m4.", "c4.", "r4.", "p2.", "p3.", "g3"))


def reach(cloud: Cloud, box: Box, settings: Aws, *, trust: bool = False) -> Host:
    """A box as a machine for ssh, after one successful connection.

    Args:
        trust: whether to trust the host key that the server shows, if none was known before, even
            if the console shows another.

    Raises:
        Unreachable: it does not answer.
        DlError: it is stopped, its host key is unknown or has changed, or it rejects our key.
    """
    key, before = own_key(settings.ssh_key), known(box.id)
    host = prepared(cloud, box, settings, key)
    if trust and not before and shown_key(host) not in known(box.id):
        # the console may show the keys of the first boot, which may have changed since
        forget(box.id)
        trust_first(host)
    try:
        connect(host).close()
    except NoEntry as error:
        _introduce(cloud, box, host, key, error)
    except Unreachable as error:
        say(f"{box.name} does not answer yet: {error.why}")
        wait_for_ssh(host, BOOT_SECONDS)
    return host


def reach_again(cloud: Cloud, name: str, settings: Aws) -> Host:
    """Reach a box by its name again; its address may have changed.

    Raises:
        Unreachable: it does not answer, or this computer has no network at the moment.
        DlError: as `reach`.
    """
    from botocore.exceptions import ConnectionError, HTTPClientError

    try:
        return reach(cloud, find_box(cloud, name), settings)
    except DlError as error:
        if isinstance(error.__cause__, OSError | ConnectionError | HTTPClientError):
            raise Unreachable(error.what, why=error.why, hint=error.hint) from error
        raise


def prepared(cloud: Cloud, box: Box, settings: Aws, key: Key) -> Host:
    """Open a box's port 22 to this computer, and learn its host keys if the console shows them.

    Raises:
        DlError: it is stopped, or AWS refuses.
    """
    host = host_of(cloud, box, key)
    open_door(cloud, box, settings.ingress)
    if not known(box.id):
        _learned(cloud, box, latest=False)
    return host


def _introduce(cloud: Cloud, box: Box, host: Host, key: Key, refused: NoEntry) -> None:
    """Add this computer's key to a box that another computer made.

    EC2 Instance Connect admits a key for a minute, if the account allows that.

    Raises:
        DlError: it does not; says what to copy.
    """
    try:
        push_key(cloud, box, host.user, key.public)
        with connect(host) as client:
            add_key(client, key.public)
    except DlError as error:
        raise NoEntry(
            refused.what,
            why=f"{refused.why}, and EC2 Instance Connect failed: {error.what}",
            hint=f"Copy {shown(host.key)} from the computer that made the box to this one. Or add "
            f"this line to ~/.ssh/authorized_keys on the box: {key.public}",
        ) from error
    say(f"{box.name} was made from another computer. Its keys now include this computer's.")


def push_key(cloud: Cloud, box: Box, user: str, public: str) -> None:
    """Let EC2 Instance Connect admit a key for a minute.

    Raises:
        DlError: it is not allowed, or the box's image lacks it.
    """
    with explained():
        cloud.client("ec2-instance-connect").send_ssh_public_key(
            InstanceId=box.id,
            InstanceOSUser=user,
            SSHPublicKey=public,
            AvailabilityZone=box.zone,
        )


def watched(cloud: Cloud, boxes: Sequence[Box], settings: Aws) -> dict[str, Watched]:
    """Box id -> its watchdog's status, for the boxes that answer; all are asked at once."""
    asked = [box for box in boxes if box.state == "running" and box.address and known(box.id)]
    if not asked:
        return {}
    key = own_key(settings.ssh_key)

    def ask(box: Box) -> Watched | None:
        try:
            client = connect(host_of(cloud, box, key), ASK_SECONDS)
        except DlError:
            return None
        try:
            return read_watchdog(run(client, STATUS, seconds=ASK_SECONDS)[1])
        except DlError:
            return None
        finally:
            client.close()

    with ThreadPoolExecutor(max_workers=min(len(asked), 16)) as pool:
        answers = list(pool.map(ask, asked))
    return {box.id: said for box, said in zip(asked, answers, strict=True) if said is not None}

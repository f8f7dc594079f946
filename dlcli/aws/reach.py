"""From a machine that runs to a box that one can work on: door, host keys, ssh, setup.

What stands between is mended where it can be: our address has changed, the host key is only on the
console, or the box was made from another computer and doesn't know this one's key. The watchdogs
of several boxes are asked at the same time.
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
    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud
    from dlcli.aws.keys import Key
    from dlcli.settings.aws import Aws


# EC2 shows a console some minutes after the boot, on older machines later.
CONSOLE_SECONDS = 300.0
POLL_SECONDS = 5.0
SSH_SECONDS = 300.0
USUALLY = "a minute or two, as a rule"

# A box that runs answers at once; one that was just started needs a while.
BOOT_SECONDS = 120.0

# A list isn't worth a longer wait; whose port 22 is closed to this address doesn't answer at all.
ASK_SECONDS = 4.0


def host_of(cloud: Cloud, box: Box, key: Key) -> Host:
    """A box as ssh knows it: by its id, whatever its address is today.

    Raises:
        DlError: it has no address, for it doesn't run.
    """
    named = cloud.named(box.name)
    if box.address is None:
        raise DlError(
            f"{box.name} has no address",
            why=f"it is {box.state}",
            hint=f"`dl aws start{named.options}`",
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
    """Learn a new box's host keys from its console, which nobody on the way can change.

    Args:
        trust: whether to take the key of whoever answers where the console shows none by then.

    Raises:
        DlError: it shows none.
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
            f"The console of {box.name} ({box.id}) shows no host key",
            why="without it nobody can tell who answers at its address",
            hint=f"Try again in some minutes, `dl aws up{options}`; or take on trust what "
            f"answers now: `dl aws up{options} --trust-host-key`. "
            f"Meanwhile it costs: `dl aws stop{options}`.",
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
    """Wait until one can work on a running box; a new one is set up first.

    Args:
        started: whether it was stopped before: its watchdog then takes today's limits.
        trust: whether to take the host key of whoever answers, where none is known.

    Raises:
        DlError: it doesn't let us in, or its setup failed; the next call goes on from there.
    """
    with told_if_stopped(cloud, box.name):
        _arrive(cloud, box, key, settings, started, trust)


def _arrive(cloud: Cloud, box: Box, key: Key, settings: Aws, started: bool, trust: bool) -> None:
    if not is_unfinished(box):
        if started:
            say(f"Waiting for {box.name} to let us in: {USUALLY}")
        host = reach(cloud, box, settings, trust=trust)
        if started:
            with closing(connect(host)) as client:
                install_watchdog(cloud.named(box.name), settings, partial(run, client), anew=True)
        return
    host = host_of(cloud, box, key)
    say(f"Waiting for the host keys of {box.name}, then for ssh: {USUALLY}")
    learn_host_keys(cloud, box, host, trust=trust)
    wait_for_ssh(host, SSH_SECONDS)
    with closing(connect(host)) as client:
        provision(cloud.named(box.name), settings, partial(run, client))
    forget_order(box.region, box.name)


def wait_for_port(host: Host) -> None:
    """Wait until something listens where ssh should."""
    import socket

    patience = Patience(f"{host.called} to answer", SSH_SECONDS)
    while True:
        try:
            socket.create_connection((host.address, host.port), timeout=10).close()
            return
        except OSError as error:
            if patience.left < 0:
                raise DlError(
                    f"{host.called} doesn't answer at {host.address}:{host.port}",
                    why=str(error),
                    hint="Run the same again in a minute. Meanwhile it costs: "
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
    """Whether EC2 shows the console as it is now; of older machines it keeps a copy alone."""
    return not box.type.startswith(("t2.", "m4.", "c4.", "r4.", "p2.", "p3.", "g3"))


def reach(cloud: Cloud, box: Box, settings: Aws, *, trust: bool = False) -> Host:
    """A box as ssh reaches it, after it let us in once.

    Args:
        trust: whether to take the host key of whoever answers, where none was known before, even
            if the console shows another.

    Raises:
        Unreachable: it doesn't answer.
        DlError: it is stopped, its host key is unknown or has changed, or our key is not let in.
    """
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
    host = host_of(cloud, box, key)
    open_door(cloud, box, settings.ingress)
    if not known(box.id):
        _learned(cloud, box, latest=False)
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


def watched(cloud: Cloud, boxes: Sequence[Box], settings: Aws) -> dict[str, Watched]:
    """Id of a box -> what its watchdog says, of those that this machine can ask."""
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

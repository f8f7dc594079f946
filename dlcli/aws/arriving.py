"""From a machine that runs to a box that one can work on: its host keys, ssh, its setup."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from dlcli.aws.connecting import connect, run, wait_for_ssh
from dlcli.aws.errors import explained
from dlcli.aws.host_keys import known, known_hosts_file, read_console, remember, trust_first
from dlcli.aws.launch_journal import forget_order, is_unfinished
from dlcli.aws.provisioning import USER, install_watchdog, provision
from dlcli.aws.reaching import reach
from dlcli.aws.system_ssh import Host
from dlcli.aws.waiting import told_if_stopped
from dlcli.errors import DlError
from dlcli.progress import Patience, say

if TYPE_CHECKING:
    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud
    from dlcli.aws.keys import Key
    from dlcli.settings.aws import Aws

PORT = 22
# EC2 shows a console some minutes after the boot, on older machines later.
CONSOLE_SECONDS = 300.0
POLL_SECONDS = 5.0
SSH_SECONDS = 300.0
USUALLY = "a minute or two, as a rule"


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
    return Host(box.id, box.address, USER, PORT, key.path, known_hosts_file(), named)


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
        with explained():
            shown = cloud.ec2.get_console_output(InstanceId=box.id, Latest=_nitro(box))
        if keys := read_console(shown.get("Output", "")):
            remember(box.id, keys)
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


def _nitro(box: Box) -> bool:
    """Whether EC2 shows the console as it is now; of older machines it keeps a copy alone."""
    return not box.type.startswith(("t2.", "m4.", "c4.", "r4.", "p2.", "p3.", "g3"))

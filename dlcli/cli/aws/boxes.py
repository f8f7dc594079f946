"""`dl aws start`, `stop`, `down`, `extend` and `resize`: change an existing box."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from dlcli.cli.aws.account import NAMED, account_and_name, limits, require_effect
from dlcli.cli.aws.connect import TRUST
from dlcli.cli.parts.ask import YES, consent
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import with_config
from dlcli.config import Config
from dlcli.progress import say
from dlcli.words import span

if TYPE_CHECKING:
    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud
    from dlcli.aws.prices import Cost
    from dlcli.settings.aws import Aws


@click.command("start", cls=Command)
@TRUST
@YES
@with_config(*NAMED, "aws.max_hours", "aws.max_price")
def start_command(config: Config, trust: bool, yes: bool) -> None:
    """Start a stopped box. Its disk is as it was.

    A running box is left as it is.
    """
    from dlcli.aws.boxes import find_box, wait_for
    from dlcli.aws.launch import start
    from dlcli.aws.order import alone_with
    from dlcli.aws.prices import require_within

    settings, cloud, name = account_and_name(config)
    box = find_box(cloud, name)
    require_effect(config, cloud, box)
    cost, started = _cost(cloud, box), not box.running
    if started:
        require_within(box.type, cost, settings.max_price, cloud.options)
    if box.running:
        say(f"{name} is already running.")
        box = wait_for(cloud, box.id, "running")  # it may have no address yet
    else:
        say(f"Cost: {cost}")
        consent(f"Start {name}, {box.type}?", yes)
        with alone_with(cloud.region, name):
            box = start(cloud, box, settings.max_hours)
    say(f"{name} is running: {cost.running_words()}; {limits(box)}")
    click.echo(f"{box.name} {box.type} {box.zone} {box.address}")
    _arrive(cloud, box, settings, started=started, trust=trust)
    say(f"Next: `dl aws ssh{cloud.named(name).options}`")


@click.command("stop", cls=Command)
@YES
@with_config(*NAMED)
def stop_command(config: Config, yes: bool) -> None:
    """Stop a box. Its programs end; its disk stays and costs little.

    A stopped box is left as it is.
    """
    from dlcli.aws.boxes import find_box
    from dlcli.aws.launch import stop
    from dlcli.aws.order import alone_with
    from dlcli.aws.prices import dollars, since

    _, cloud, name = account_and_name(config)
    box = find_box(cloud, name)
    cost = _cost(cloud, box)
    if box.running:
        consent(f"Stop {name}, {box.type}, {_up(box)}? What runs on it ends.", yes)
        spent = since(box, cost, datetime.now(UTC))
        with alone_with(cloud.region, name):
            box = stop(cloud, box)
        say(f"{name} is stopped. It cost {dollars(spent, 2)} since its last start.")
    else:
        box = stop(cloud, box)
        say(f"{name} is already stopped.")
    options = cloud.named(name).options
    say(
        f"Its disk costs {dollars(cost.disk)}/h from now on; "
        f"next: `dl aws start{options}` or `dl aws down{options}`"
    )


@click.command("down", cls=Command)
@YES
@with_config(*NAMED)
def down_command(config: Config, yes: bool) -> None:
    """End a box and remove its disk.

    It also removes everything else that belongs to the box, checks that nothing is left, and says
    what the box cost since its last start. The command looks in one region only. You can safely run
    it again.
    """
    from dlcli.aws.boxes import elsewhere, find_boxes
    from dlcli.aws.host_keys import forget
    from dlcli.aws.order import alone_with
    from dlcli.aws.prices import UNKNOWN, dollars, since
    from dlcli.aws.removal import belongings, down, see_what_was_ordered

    _, cloud, name = account_and_name(config)
    see_what_was_ordered(cloud, name)
    found = find_boxes(cloud, name)
    now = datetime.now(UTC)
    costs = {box.id: _cost(cloud, box) for box in found}
    for box in found:
        say(f"{box.name}: {box.type}, {box.state}, {_up(box)}{_disk(box)} ({box.id})")
    if found:
        consent(f"End {name}? Its disk and everything on it will be deleted for good.", yes)
    nothing = not found and not belongings(cloud, name)
    with alone_with(cloud.region, name):
        ended = down(cloud, name)
    for box in found:
        forget(box.id)
    for box in ended:
        spent = since(box, costs.get(box.id, UNKNOWN), now)
        what = "It cost" if box.running else "Its disk cost"
        start = "its last start" if box.running else "it was made"
        say(f"{box.name} ({box.id}) is gone. {what} {dollars(spent, 2)} since {start}.")
    if nothing:
        say(f"There is no box {name!r} in {cloud.region}, so there is nothing to end.")
        say(f"Other regions were not checked. {elsewhere(cloud, name)}")
        return
    say(f"Nothing of {name} is left in {cloud.region}.")


@click.command("extend", cls=Command)
@click.argument("time", metavar="TIME")
@with_config(*NAMED)
def extend_command(config: Config, time: str) -> None:
    """Let a running box stay up for TIME from now, even if it is idle.

    TIME is written as `4h` or `90m`.
    """
    from functools import partial

    from dlcli.aws import reach
    from dlcli.aws.boxes import find_box
    from dlcli.aws.keys import own_key
    from dlcli.aws.launch import extended
    from dlcli.aws.ssh import connect, run
    from dlcli.aws.vpc import open_door
    from dlcli.settings.aws import Duration
    from dlcli.settings.fields import Refused

    try:
        longer = Duration.parse(time)
    except Refused as error:
        raise click.UsageError(f"TIME: {error}") from error
    settings, cloud, name = account_and_name(config)
    box = find_box(cloud, name)
    open_door(cloud, box, settings.ingress)
    client = connect(reach.host_of(cloud, box, own_key(settings.ssh_key)))
    try:
        box = extended(cloud, box, longer, partial(run, client, seconds=60))
    finally:
        client.close()
    cost = _cost(cloud, box)
    say(f"{name} stays up for {span(longer)}: {cost.running_words()}; {limits(box)}")


@click.command("resize", cls=Command)
@click.argument("type", metavar="TYPE")
@YES
@with_config(*NAMED, "aws.max_price")
def resize_command(config: Config, type: str, yes: bool) -> None:
    """Change a box's type. Its disk stays.

    A running box is stopped first, and started again afterwards.
    """
    from dlcli.aws.boxes import find_box
    from dlcli.aws.launch import require_fitting, resize
    from dlcli.aws.order import alone_with
    from dlcli.aws.prices import hourly, require_within

    settings, cloud, name = account_and_name(config)
    box = find_box(cloud, name)
    if box.type == type:
        say(f"{name} is already a {type}.")
        return
    require_fitting(cloud, box, type)
    cost = hourly(cloud, type, box.disk_gb, False)
    require_within(type, cost, settings.max_price, cloud.options)
    say(f"{name} is a {box.type}, {box.state}. As a {type}:")
    say(f"Cost: {cost}")
    question = f"Change it to a {type}?"
    if box.running:
        question += " What runs on it ends."
    consent(question, yes)
    with alone_with(cloud.region, name):
        box = resize(cloud, box, type, settings.max_hours)
    options = cloud.named(name).options
    if box.running:
        say(f"{name} is running: {cost.running_words()}; {limits(box)}")
        click.echo(f"{box.name} {box.type} {box.zone} {box.address}")
        _arrive(cloud, box, settings, started=True)
        say(f"Next: `dl aws ssh{options}`")
    else:
        say(f"{name} is now a {type}; next: `dl aws start{options}`")


def _arrive(cloud: Cloud, box: Box, settings: Aws, *, started: bool, trust: bool = False) -> None:
    from dlcli.aws.keys import own_key
    from dlcli.aws.reach import arrive
    from dlcli.aws.vpc import open_door

    open_door(cloud, box, settings.ingress)
    arrive(cloud, box, own_key(settings.ssh_key), settings, started=started, trust=trust)


def _cost(cloud: Cloud, box: Box) -> Cost:
    from dlcli.aws.prices import hourly

    return hourly(cloud, box.type, box.disk_gb, box.spot, box.zone)


def _up(box: Box) -> str:
    return f"up {span(datetime.now(UTC) - box.launched)}" if box.running else box.state


def _disk(box: Box) -> str:
    return f", a disk of {box.disk_gb} GB" if box.disk_gb else ""

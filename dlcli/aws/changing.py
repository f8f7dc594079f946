"""Changing a box that is there: stopping it, letting it run longer, making it another type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dlcli.aws.boxes import Box, put_until, wait_for
from dlcli.aws.errors import explained
from dlcli.aws.instance_types import describe
from dlcli.aws.launching import start
from dlcli.aws.offers import require_offered
from dlcli.aws.provisioning import Run, extend_command
from dlcli.aws.quotas import require_quota
from dlcli.errors import DlError
from dlcli.progress import say

if TYPE_CHECKING:
    from dlcli.aws.cloud import Cloud


def stop(cloud: Cloud, box: Box) -> Box:
    """Stop a box; returns it stopped.

    Raises:
        DlError: it is a spot box, which can't be stopped.
    """
    if box.spot:
        options = cloud.named(box.name).options
        raise DlError(
            f"{box.name} is a spot box, which can't be stopped",
            why="it is rented once, and what ends it ends its disk",
            hint=f"Copy what you need, `dl aws get{options}`, then `dl aws down{options}`.",
        )
    if box.running:
        wait_for(cloud, box.id, "running", "stopping", "stopped")
        with explained():
            cloud.ec2.stop_instances(InstanceIds=[box.id])
    return wait_for(cloud, box.id, "stopped")


def extended(cloud: Cloud, box: Box, by: timedelta, run: Run) -> Box:
    """Let a box stay for a while from now, idle or not; its cap moves where it would come before.

    Args:
        run: runs a program on the box, whose watchdog has to know.

    Raises:
        DlError: its watchdog doesn't take it.
    """
    from dataclasses import replace

    code, said, error = run(extend_command(by))
    if code:
        raise DlError(
            f"{box.name} can't be told to stay longer",
            why=" ".join((error or said).split()) or f"its watchdog ended with exit code {code}",
            hint=f"`dl aws up{cloud.named(box.name).options}` mends its watchdog.",
        )
    until = max(datetime.now(UTC) + by, box.until or datetime.now(UTC))
    put_until(cloud, box, until)
    return replace(box, until=until)


def require_fitting(cloud: Cloud, box: Box, name: str) -> None:
    """Refuse a type that a box can't become.

    Raises:
        DlError: it isn't offered in the box's zone, is of another architecture, or beyond the
            quota; or the box is a spot one.
    """
    options = cloud.named(box.name).options
    if box.spot:
        raise DlError(
            f"{box.name} is a spot box, which can't be resized",
            hint=f"`dl aws down{options}`, then `dl aws up {name} --spot{options}`.",
        )
    require_offered(cloud, box, name)
    kinds = describe(cloud.ec2, [name, box.type])
    kind, now = kinds[name], kinds.get(box.type)
    if box.zone not in kind.zones:
        raise DlError(
            f"{name} is not offered in {box.zone}",
            why=f"zones that offer it: {', '.join(kind.zones)}",
            hint=f"{box.name}'s disk stays in its zone. `dl aws types{cloud.options}` lists what "
            "is offered.",
        )
    if now is not None and kind.arch != now.arch:
        raise DlError(
            f"{box.name} can't become a {name}",
            why=f"its disk is for {now.arch}, {name} is {kind.arch}",
            hint=f"Rent another box for it: `dl aws up {name} -n OTHER{cloud.options}`.",
        )
    require_quota(cloud, kind, False)


def resize(cloud: Cloud, box: Box, name: str, max_hours: int) -> Box:
    """Make a box another type; it runs again after where it ran before.

    Raises:
        DlError: EC2 refuses the type, or has none free; the box is stopped then.
    """
    ran, before = box.running, box.type
    if ran:
        say(f"Stopping {box.name}")
    box = stop(cloud, box)
    with explained():
        cloud.ec2.modify_instance_attribute(InstanceId=box.id, InstanceType={"Value": name})
    box = wait_for(cloud, box.id, "stopped")
    if not ran:
        return box
    say(f"Starting {box.name} as a {name}")
    try:
        return start(cloud, box, max_hours)
    except DlError as error:
        options = cloud.named(box.name).options
        back = f"`dl aws resize {before}{options}`, then `dl aws start{options}`"
        now = f"{box.name} is stopped, a {name} now; the way back: {back}."
        raise DlError(error.what, why=error.why, hint=f"{now} {error.hint}") from error

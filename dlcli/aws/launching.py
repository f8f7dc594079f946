"""The doing of `dl aws up`: each step can be killed after any call, and the next `up` goes on."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dlcli.aws import errors, network, ordering
from dlcli.aws.boxes import Box, Ended, by_age, find_boxes, put_until, tags_for, wait_for
from dlcli.aws.errors import explained, reason_code
from dlcli.aws.instance_types import describe
from dlcli.aws.key_pairs import has_key, import_key
from dlcli.aws.launch_journal import forget_order, is_unfinished
from dlcli.aws.ordering import Wanted, order_box
from dlcli.aws.planning import Existing, Plan, Spec
from dlcli.aws.quotas import too_small
from dlcli.aws.waiting import told_if_stopped
from dlcli.errors import DlError
from dlcli.process import between_steps
from dlcli.progress import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dlcli.aws.cloud import Cloud
    from dlcli.aws.keys import Key


def look(cloud: Cloud, spec: Spec, key: Key | None, zones: tuple[str, ...]) -> Existing:
    """See what there is; nothing is changed.

    Args:
        zones: where the type is offered.
    """
    found = find_boxes(cloud, spec.name)
    vpc, subnets = (
        (found[0].vpc, {})
        if found
        else network.find_subnets(cloud.ec2, spec.owner, spec.vpc, spec.subnet)
    )
    if not found and set(zones) - set(subnets) and network.own_vpc(cloud.ec2, spec.owner) == vpc:
        subnets = {}  # of one's own network what is missing is made
    group = network.find_group(cloud.ec2, vpc, spec.owner, spec.name) if vpc else None
    return Existing(
        boxes=tuple(found),
        zones=zones,
        key_here=key is not None,
        key_there=key is not None and has_key(cloud, key),
        vpc=vpc,
        subnets=subnets,
        group=group["GroupId"] if group else None,
        allowed=frozenset(network.allowed(group)) if group else frozenset(),
    )


def carry_out(cloud: Cloud, plan: Plan, existing: Existing, spec: Spec, new: Wanted | None) -> Box:
    """Do a plan's steps; returns the box, running.

    Args:
        new: what a launch needs; None where the plan launches nothing.

    Raises:
        DlError: AWS refused a step; what was done stays, and the next call goes on from there.
    """
    box, vpc, subnets, group = plan.box, existing.vpc, existing.subnets, existing.group
    tags = tags_for(spec.name, spec.owner, spec.project)
    for twin in existing.boxes[1:]:
        if is_unfinished(twin):  # its call was killed before it could see the older one
            _give_way(cloud, twin, existing.boxes[0])
        else:
            say(
                f"Warning: {twin.id} is another box of that name; "
                f"`dl aws down{cloud.named(twin.name).options}` ends both."
            )
    for step in plan.steps:
        if step.action == "key" and new is not None:
            import_key(cloud, new.key, spec.owner)
        elif step.action == "network":
            vpc, subnets = network.make_network(cloud.ec2, spec.owner, plan.zones)
        elif step.action == "group":
            group = network.make_group(cloud.ec2, str(vpc), spec.name, tags, spec.owner)
        elif step.action == "ingress":
            network.reconcile_ingress(cloud.ec2, str(group), spec.networks)
        elif step.action == "start" and box is not None:
            box = start(cloud, box, spec.max_hours)
        elif step.action == "launch" and new is not None:
            box = _launched(cloud, new, {zone: subnets[zone] for zone in plan.zones}, str(group))
    assert box is not None  # a plan has a box, or launches one
    return box if box.state == "running" else wait_for(cloud, box.id, "running")


def start(cloud: Cloud, box: Box, max_hours: int) -> Box:
    """Start a stopped box, for so many hours at most; returns it running.

    Raises:
        DlError: EC2 has no room for it now.
    """
    if box.running:
        return wait_for(cloud, box.id, "running")
    with told_if_stopped(cloud, box.name):
        return _started(cloud, box, max_hours)


def _started(cloud: Cloud, box: Box, max_hours: int) -> Box:
    wait_for(cloud, box.id, "stopped")
    put_until(cloud, box, datetime.now(UTC) + timedelta(hours=max_hours))
    try:
        _ask_to_start(cloud, box)
    except DlError as error:
        code = reason_code(error)
        kind = describe(cloud.ec2, [box.type]).get(box.type) if code in errors.QUOTA else None
        if kind is not None:
            raise too_small(cloud, kind, box.spot, error.why) from error
        if code not in errors.NEXT_ZONE:
            raise
        raise DlError(
            f"{box.zone} has no {box.type} free for {box.name}",
            why=error.why,
            hint="Its disk stays in that zone. Try later, or another type: "
            f"`dl aws resize TYPE{cloud.named(box.name).options}`.",
        ) from error
    return wait_for(cloud, box.id, "running")


def _ask_to_start(cloud: Cloud, box: Box) -> None:
    """Ask for a start, again where EC2 is too busy."""
    delays = iter(ordering.DELAYS)
    while True:
        try:
            with explained():
                cloud.ec2.start_instances(InstanceIds=[box.id])
            return
        except DlError as error:
            delay = next(delays, None)
            if reason_code(error) not in errors.BACK_OFF or delay is None:
                raise
        time.sleep(delay)


def _launched(cloud: Cloud, new: Wanted, subnets: Mapping[str, str], group: str) -> Box:
    """Launch a box, wait until it runs, and see that it is the only one of its name."""
    try:
        with told_if_stopped(cloud, new.spec.name):
            return _ordered(cloud, new, subnets, group)
    except Ended:
        forget_order(cloud.region, new.spec.name)
        raise


def _ordered(cloud: Cloud, new: Wanted, subnets: Mapping[str, str], group: str) -> Box:
    with between_steps() as check:  # Ctrl-C waits for the answer: an id that is lost costs
        box_id = order_box(cloud, new, subnets, group, check)
    say(f"{box_id} is launched and costs money from now on")
    return _elected(cloud, wait_for(cloud, box_id, "running"))


def _elected(cloud: Cloud, mine: Box) -> Box:
    """Of boxes that two calls launched at once the oldest stays; ours ends if it isn't that."""
    rivals = [each for each in find_boxes(cloud, mine.name) if each.owner == mine.owner]
    first = min([mine, *rivals], key=by_age)
    if first.id == mine.id:
        return mine
    _give_way(cloud, mine, first)
    return wait_for(cloud, first.id, "running", "stopping", "stopped")


def _give_way(cloud: Cloud, mine: Box, first: Box) -> None:
    """End the younger of two; the order, removed last, tells a next call whose it is."""
    say(f"Another call launched {first.id} first: {mine.id} ends, and {first.id} is the box")
    with explained():
        cloud.ec2.terminate_instances(InstanceIds=[mine.id])
    forget_order(cloud.region, mine.name)

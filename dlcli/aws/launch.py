"""Carry out `dl aws up`, and start, stop, extend or resize a box.

Each step may be killed; the next `up` continues.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dlcli.aws import errors, order
from dlcli.aws.boxes import Box, Ended, by_age, find_boxes, put_until, tags_for, wait_for
from dlcli.aws.cloud import told_if_stopped
from dlcli.aws.errors import explained, reason_code
from dlcli.aws.instance_types import describe, require_offered, require_quota, too_small
from dlcli.aws.keys import import_key
from dlcli.aws.order import forget_order, is_unfinished, order_box
from dlcli.aws.plan import Existing, Plan, Spec, Wanted
from dlcli.aws.setup import Runner, extend_command
from dlcli.aws.vpc import make_group, make_network, reconcile_ingress
from dlcli.errors import DlError
from dlcli.process import between_steps
from dlcli.progress import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dlcli.aws.cloud import Cloud


def carry_out(cloud: Cloud, plan: Plan, existing: Existing, spec: Spec, new: Wanted | None) -> Box:
    """Carry out a plan; returns the running box.

    Args:
        new: the data for a launch; None if the plan launches nothing.

    Raises:
        DlError: AWS refused a step. Finished steps stay, and the next call continues from there.
    """
    box, vpc, subnets, group = plan.box, existing.vpc, existing.subnets, existing.group
    tags = tags_for(spec.name, spec.owner, spec.project)
    for twin in existing.boxes[1:]:
        if is_unfinished(twin):  # its call was killed before it saw the older box
            _give_way(cloud, twin, existing.boxes[0])
        else:
            say(
                f"Warning: {twin.id} has the same name. "
                f"`dl aws down{cloud.named(twin.name).options}` ends both boxes."
            )
    for step in plan.steps:
        if step.action == "key" and new is not None:
            import_key(cloud, new.key, spec.owner)
        elif step.action == "network":
            vpc, subnets = make_network(cloud.ec2, spec.owner, plan.zones)
        elif step.action == "group":
            group = make_group(cloud.ec2, str(vpc), spec.name, tags, spec.owner)
        elif step.action == "ingress":
            reconcile_ingress(cloud.ec2, str(group), spec.networks)
        elif step.action == "start" and box is not None:
            box = start(cloud, box, spec.max_hours)
        elif step.action == "launch" and new is not None:
            box = _launched(cloud, new, {zone: subnets[zone] for zone in plan.zones}, str(group))
    assert box is not None  # a plan has a box or launches one
    return box if box.state == "running" else wait_for(cloud, box.id, "running")


def start(cloud: Cloud, box: Box, max_hours: int) -> Box:
    """Start a stopped box for at most `max_hours`; returns it running.

    Raises:
        DlError: EC2 has no machine of its type free.
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
            hint="Its disk ties it to that zone. Try again later, or change its type: "
            f"`dl aws resize TYPE{cloud.named(box.name).options}`.",
        ) from error
    return wait_for(cloud, box.id, "running")


def _ask_to_start(cloud: Cloud, box: Box) -> None:
    """Ask EC2 to start a box; try again while EC2 is too busy."""
    delays = iter(order.DELAYS)
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
    """Launch a box, wait until it runs, and check that its name is unique."""
    try:
        with told_if_stopped(cloud, new.spec.name):
            return _ordered(cloud, new, subnets, group)
    except Ended:
        forget_order(cloud.region, new.spec.name)
        raise


def _ordered(cloud: Cloud, new: Wanted, subnets: Mapping[str, str], group: str) -> Box:
    with between_steps() as check:  # Ctrl-C waits for the answer: a box of unknown id costs money
        box_id = order_box(cloud, new, subnets, group, check)
    say(f"{box_id} is launched and costs money from now on")
    return _elected(cloud, wait_for(cloud, box_id, "running"))


def _elected(cloud: Cloud, mine: Box) -> Box:
    """The oldest of the boxes that calls launched at once; ours ends if it is younger."""
    rivals = [each for each in find_boxes(cloud, mine.name) if each.owner == mine.owner]
    first = min([mine, *rivals], key=by_age)
    if first.id == mine.id:
        return mine
    _give_way(cloud, mine, first)
    return wait_for(cloud, first.id, "running", "stopping", "stopped")


def _give_way(cloud: Cloud, mine: Box, first: Box) -> None:
    """End the younger of two boxes. The order goes last: a later call needs it to know the box."""
    say(f"Another `dl aws up` launched {first.id} first. Ending {mine.id}, the second one.")
    with explained():
        cloud.ec2.terminate_instances(InstanceIds=[mine.id])
    forget_order(cloud.region, mine.name)


def stop(cloud: Cloud, box: Box) -> Box:
    """Stop a box; returns it stopped.

    Raises:
        DlError: it is a spot box.
    """
    if box.spot:
        options = cloud.named(box.name).options
        raise DlError(
            f"{box.name} is a spot box, which cannot be stopped",
            why="it can only end, and its disk ends with it",
            hint=f"Copy what you need: `dl aws get{options}`. Then end it: `dl aws down{options}`.",
        )
    if box.running:
        wait_for(cloud, box.id, "running", "stopping", "stopped")
        with explained():
            cloud.ec2.stop_instances(InstanceIds=[box.id])
    return wait_for(cloud, box.id, "stopped")


def extended(cloud: Cloud, box: Box, by: timedelta, run: Runner) -> Box:
    """Keep a box up for a time from now, even if it is idle; returns it with its time limit.

    Args:
        run: runs a program on the box.

    Raises:
        DlError: its watchdog refused.
    """
    from dataclasses import replace

    code, said, error = run(extend_command(by))
    if code:
        raise DlError(
            f"{box.name} could not be extended",
            why=" ".join((error or said).split()) or f"its watchdog ended with exit code {code}",
            hint=f"Repair its watchdog: `dl aws up{cloud.named(box.name).options}`.",
        )
    until = max(datetime.now(UTC) + by, box.until or datetime.now(UTC))
    put_until(cloud, box, until)
    return replace(box, until=until)


def require_fitting(cloud: Cloud, box: Box, name: str) -> None:
    """Refuse a type that a box cannot become.

    Raises:
        DlError: the box's zone does not offer the type, it has another architecture or exceeds the
            quota, or the box is a spot box.
    """
    options = cloud.named(box.name).options
    if box.spot:
        raise DlError(
            f"{box.name} is a spot box, which cannot be resized",
            hint=f"Run `dl aws down{options}`, then `dl aws up {name} --spot{options}`.",
        )
    require_offered(cloud, box, name)
    kinds = describe(cloud.ec2, [name, box.type])
    kind, now = kinds[name], kinds.get(box.type)
    if box.zone not in kind.zones:
        raise DlError(
            f"{name} is not offered in {box.zone}",
            why=f"zones that offer it: {', '.join(kind.zones)}",
            hint=f"{box.name} stays in its zone, where its disk is. `dl aws types{cloud.options}` "
            "lists types and their zones.",
        )
    if now is not None and kind.arch != now.arch:
        raise DlError(
            f"{box.name} cannot become a {name}",
            why=f"its disk is for {now.arch}, but {name} is {kind.arch}",
            hint=f"Rent another box: `dl aws up {name} -n OTHER{cloud.options}`.",
        )
    require_quota(cloud, kind, False)


def resize(cloud: Cloud, box: Box, name: str, max_hours: int) -> Box:
    """Change a box's type. If it was running, it runs again afterwards.

    Raises:
        DlError: EC2 refuses the type or has none free; the box is then stopped.
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
        now = f"{box.name} is now a stopped {name}. To go back: {back}."
        raise DlError(error.what, why=error.why, hint=f"{now} {error.hint}") from error

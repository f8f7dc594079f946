"""End a box, delete all that belongs to it, and check that nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlcli.aws.boxes import (
    LIVE,
    MOST_SECONDS,
    Box,
    boxes,
    filters_for,
    find_boxes,
    read_box,
)
from dlcli.aws.errors import explained, is_gone, is_in_use, reason_code
from dlcli.aws.keys import PREFIX
from dlcli.aws.order import forget_order, read_order, seen
from dlcli.aws.vpc import own_vpc
from dlcli.errors import DlError
from dlcli.progress import Patience, say

if TYPE_CHECKING:
    from dlcli.aws.cloud import Cloud

# How long EC2 may keep a group or volume in use after its machine ended.
RELEASE_SECONDS = 120.0
POLL_SECONDS = 3.0


@dataclass(frozen=True)
class Leftover:
    """A resource with a box's tags.

    Args:
        kind: "box", "disk", "security group", "network interface" or "network".
    """

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


def down(cloud: Cloud, name: str) -> list[Box]:
    """End a box, and delete its disk, its security group and what nothing else uses.

    Each step may have been done before: the next call finishes one that was killed.

    Returns:
        the boxes that this call ended; empty if there were none.

    Raises:
        DlError: something is left; says what.
    """
    see_what_was_ordered(cloud, name)
    found = find_boxes(cloud, name, states=(*LIVE, "shutting-down"))
    ended = [box for box in found if box.state in LIVE]
    if ended:
        with explained():
            cloud.ec2.terminate_instances(InstanceIds=[box.id for box in ended])
    for box in found:
        _wait_until_gone(cloud, box)
    forget_order(cloud.region, name)
    _remove_disks(cloud, name)
    _remove_groups(cloud, name)
    _remove_keys(cloud)
    _remove_network(cloud)
    end = time.monotonic() + RELEASE_SECONDS
    while (left := belongings(cloud, name)) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
    if left:
        raise DlError(
            f"Not everything of {name} in {cloud.region} was removed",
            why=f"still there: {', '.join(map(str, left))}",
            hint=f"Run `dl aws down{cloud.named(name).options}` again in a minute; "
            f"`dl aws audit{cloud.options}` lists what costs money.",
        )
    return ended


def belongings(cloud: Cloud, name: str) -> list[Leftover]:
    """All that has the tags of the caller's box of this name and still exists.

    For the last box that includes the network that `up` made. Keys cost nothing and are left out.
    """
    ours = filters_for(cloud.owner, name)
    found = [Leftover("box", box.id) for box in find_boxes(cloud, name, (*LIVE, "shutting-down"))]
    with explained():
        volumes = _volumes(cloud, name)
        cards = cloud.ec2.describe_network_interfaces(Filters=ours)["NetworkInterfaces"]
        groups = cloud.ec2.describe_security_groups(Filters=ours)["SecurityGroups"]
    found += [Leftover("disk", each["VolumeId"]) for each in volumes]
    found += [Leftover("network interface", each["NetworkInterfaceId"]) for each in cards]
    vpc = own_vpc(cloud.ec2, cloud.owner)
    with explained():
        if vpc is not None and not _holds_boxes(cloud.ec2, vpc):
            found.append(Leftover("network", vpc))
    return found + [Leftover("security group", each["GroupId"]) for each in groups]


def see_what_was_ordered(cloud: Cloud, name: str) -> None:
    """Wait until EC2 would list a box that an unfinished `up` may have launched."""
    order = read_order(cloud.region, name)
    if order is None or seen(cloud, order):
        return
    if order.may_be_unseen(time.time()):
        say("An earlier `up` was interrupted: waiting until EC2 lists what it may have launched")
    while order.may_be_unseen(time.time()) and not seen(cloud, order):
        time.sleep(POLL_SECONDS)


def _wait_until_gone(cloud: Cloud, box: Box) -> None:
    patience = Patience(f"{box.name} to end", MOST_SECONDS)
    while (now := read_box(cloud, box.id)) is not None and now.state != "terminated":
        if patience.left < 0:
            raise DlError(
                f"{box.name} ({box.id}) has been {now.state} for too long",
                hint="Run the same command again: it continues.",
            )
        patience.pause(POLL_SECONDS)


def _volumes(cloud: Cloud, name: str) -> list[Any]:
    """The disks of a box, without those being deleted, which cost nothing."""
    states = {"status": ("creating", "available", "in-use", "error")}
    ours = filters_for(cloud.owner, name, states)
    volumes: list[Any] = cloud.ec2.describe_volumes(Filters=ours)["Volumes"]
    return volumes


def _holds_boxes(ec2: Any, vpc: str) -> bool:
    found = ec2.describe_instances(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "instance-state-name", "Values": [*LIVE, "shutting-down"]},
        ]
    )
    return bool(found["Reservations"])


def _remove_disks(cloud: Cloud, name: str) -> None:
    """Delete the disks that did not end with their box."""
    with explained():
        found = _volumes(cloud, name)
    for volume in found:
        remove(cloud.ec2.delete_volume, VolumeId=volume["VolumeId"])


def _remove_groups(cloud: Cloud, name: str) -> None:
    with explained():
        found = cloud.ec2.describe_security_groups(Filters=filters_for(cloud.owner, name))
    for group in found["SecurityGroups"]:
        remove(cloud.ec2.delete_security_group, GroupId=group["GroupId"])


def _remove_keys(cloud: Cloud) -> None:
    """Remove the caller's keys that no box in the region uses, of any of their computers."""
    with explained():
        found = cloud.ec2.describe_key_pairs(Filters=filters_for(cloud.owner))["KeyPairs"]
    if not found:
        return
    used = {box.key_name for box in boxes(cloud.ec2, cloud.region, owner=cloud.owner)}
    for key in found:
        if key["KeyName"] not in used and key["KeyName"].startswith(PREFIX):
            remove(cloud.ec2.delete_key_pair, KeyName=key["KeyName"])


def _remove_network(cloud: Cloud) -> None:
    """Remove the network that `up` made, if no box is left in it."""
    ec2 = cloud.ec2
    vpc = own_vpc(ec2, cloud.owner)
    ours = filters_for(cloud.owner)
    with explained():
        gateways = ec2.describe_internet_gateways(Filters=ours)["InternetGateways"]
        if vpc is None and not gateways:
            return
        if vpc is not None and _holds_boxes(ec2, vpc):
            return
        subnets = ec2.describe_subnets(Filters=ours)["Subnets"]
    for gateway in gateways:
        id = gateway["InternetGatewayId"]
        for each in gateway.get("Attachments", []):
            remove(ec2.detach_internet_gateway, InternetGatewayId=id, VpcId=each["VpcId"])
        remove(ec2.delete_internet_gateway, InternetGatewayId=id)
    for subnet in subnets:
        remove(ec2.delete_subnet, SubnetId=subnet["SubnetId"])
    if vpc is not None:
        remove(ec2.delete_vpc, VpcId=vpc)


def remove(call: Callable[..., Any], **named: str | list[str]) -> None:
    """Remove a resource; wait while one that has just ended still uses it."""
    end = time.monotonic() + RELEASE_SECONDS
    while True:
        try:
            with explained():
                call(**named)
            return
        except DlError as error:
            code = reason_code(error)
            if is_gone(code) or code == "Gateway.NotAttached":
                return
            if not is_in_use(code) or time.monotonic() > end:
                raise
        time.sleep(POLL_SECONDS)

"""Find what costs money in an account, whoever made it, and which rules let others in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dlcli.aws.boxes import LIVE, MANAGED, NAME, OWNER, Box, box_of, disks_of, tags_of
from dlcli.aws.errors import explained
from dlcli.aws.prices import DISK, IPV4, LINUX, PRICING_REGION, UNKNOWN, costs_of, disk_an_hour
from dlcli.aws.vpc import Rule, rules_of
from dlcli.errors import DlError
from dlcli.words import span

if TYPE_CHECKING:
    from dlcli.aws.cloud import Cloud


@dataclass(frozen=True)
class Finding:
    """One resource that costs money or lets others in.

    Args:
        kind: "box", "instance" (a machine that dl did not make), "disk", "address",
            "security group" or "rule".
        what: why it is listed.
        fixable: whether `--fix` removes it: the caller's, tagged, and of no use to a live box.
        own: whether it is a box of the caller.
        group: for a rule, its security group.
    """

    kind: str
    id: str
    region: str
    name: str
    what: str
    fixable: bool = False
    own: bool = False
    gb: int = 0
    usd_per_hour: float | None = None
    group: str = ""


@dataclass(frozen=True)
class _Region:
    """The resources of a region, whoever made them."""

    instances: list[Any]
    volumes: list[Any]
    addresses: list[Any]
    groups: list[Any]
    rules: dict[str, list[Rule]]


def audit(
    cloud: Cloud, all_regions: bool, now: datetime
) -> tuple[list[Finding], dict[str, DlError]]:
    """List what costs money or lets others in, in this region or in all.

    Returns:
        the findings; and the regions that did not answer, with the reason.
    """
    regions = cloud.regions() if all_regions else [cloud.region]
    clouds = [cloud.at(region) for region in regions]
    cloud.client("pricing", PRICING_REGION)
    for each in clouds:
        _ = each.ec2  # boto3 cannot make clients in several threads
    owner = cloud.owner
    with ThreadPoolExecutor(max_workers=len(regions)) as pool:
        asked = [pool.submit(_of_region, each, owner, now) for each in clouds]
    found: list[Finding] = []
    failed: dict[str, DlError] = {}
    for region, future in zip(regions, asked, strict=True):
        try:
            found += future.result()
        except DlError as error:
            if len(regions) == 1:
                raise
            failed[region] = error
    return found, failed


def fix(cloud: Cloud, findings: Iterable[Finding]) -> list[Finding]:
    """Remove the fixable findings, and return them."""
    from dlcli.aws.removal import remove

    removed = []
    for each in findings:
        if not each.fixable:
            continue
        ec2 = cloud.at(each.region).ec2
        if each.kind == "disk":
            remove(ec2.delete_volume, VolumeId=each.id)
        elif each.kind == "security group":
            remove(ec2.delete_security_group, GroupId=each.id)
        elif each.kind == "rule":
            remove(
                ec2.revoke_security_group_ingress,
                GroupId=each.group,
                SecurityGroupRuleIds=[each.id],
            )
        removed.append(each)
    return removed


def _look(ec2: Any) -> _Region:
    with explained():
        reservations = _all(ec2, "describe_instances", "Reservations", _ALIVE)
        return _Region(
            [each for group in reservations for each in group["Instances"]],
            _all(ec2, "describe_volumes", "Volumes"),
            ec2.describe_addresses()["Addresses"],
            _all(ec2, "describe_security_groups", "SecurityGroups"),
            rules_of(_all(ec2, "describe_security_group_rules", "SecurityGroupRules")),
        )


_ALIVE = [{"Name": "instance-state-name", "Values": list(LIVE)}]


def _all(ec2: Any, call: str, key: str, filters: Iterable[Mapping[str, Any]] = ()) -> list[Any]:
    pages = ec2.get_paginator(call).paginate(Filters=list(filters))
    return [each for page in pages for each in page[key]]


def _of_region(cloud: Cloud, owner: str, now: datetime) -> list[Finding]:
    there = _look(cloud.ec2)
    return [
        *_machines(cloud, there, owner, now),
        *_disks(cloud, there, owner),
        *_addresses(cloud, there),
        *_doors(cloud.region, there, owner),
    ]


def _machines(cloud: Cloud, there: _Region, owner: str, now: datetime) -> list[Finding]:
    """Boxes and other machines, with their present cost an hour."""
    disks = disks_of(there.volumes)
    boxes = {each["InstanceId"]: box_of(each, cloud.region, disks) for each in there.instances}
    # other systems have other prices
    linux = [each for each in there.instances if each.get("PlatformDetails", LINUX) == LINUX]
    costs = costs_of(cloud, [boxes[each["InstanceId"]] for each in linux])
    found = []
    for instance in there.instances:
        box = boxes[instance["InstanceId"]]
        cost = replace(costs.get(box.id, UNKNOWN), ipv4=IPV4 if box.address else 0.0)
        rate = cost.running if box.running else cost.disk
        tags = tags_of(instance)
        if tags.get(MANAGED) == "yes":
            twins = [each for each in boxes.values() if _name(each) == _name(box)]
            found.append(_of_box(box, len(twins), rate, owner, now))
        else:
            up = f", up {span(now - box.launched)}" if box.running else ""
            what = f"{box.type}, {box.state}{up}, not made by dl"
            found.append(
                Finding(
                    kind="instance",
                    id=box.id,
                    region=cloud.region,
                    name=tags.get("Name", ""),
                    what=what,
                    gb=box.disk_gb or 0,
                    usd_per_hour=rate,
                )
            )
    return found


def _name(box: Box) -> tuple[str, str]:
    return box.owner, box.name


def _of_box(box: Box, twins: int, rate: float | None, owner: str, now: datetime) -> Finding:
    notes = [f"{box.type}, {box.state}"]
    if box.owner != owner:
        notes.append(f"owner: {box.owner or 'unknown'}")
    if twins > 1:
        notes.append(f"one of {twins} with that name")
    if box.running:
        notes.append(f"up {span(now - box.launched)}")
        if box.until is not None and box.until < now:
            notes.append("should have stopped")
    return Finding(
        kind="box",
        id=box.id,
        region=box.region,
        name=box.name,
        what=", ".join(notes),
        own=box.owner == owner,
        gb=box.disk_gb or 0,
        usd_per_hour=rate,
    )


def _disks(cloud: Cloud, there: _Region, owner: str) -> list[Finding]:
    """Disks that are not attached."""
    found = []
    for volume in there.volumes:
        if volume["State"] != "available":
            continue
        tags, size = tags_of(volume), volume["Size"]
        ours = tags.get(MANAGED) == "yes"
        found.append(
            Finding(
                kind="disk",
                id=volume["VolumeId"],
                region=cloud.region,
                name=tags.get(NAME, ""),
                what=f"{size} GB, not attached" + ("" if ours else ", not made by dl"),
                fixable=ours and tags.get(OWNER) == owner,
                gb=size,
                usd_per_hour=disk_an_hour(cloud, size) if volume["VolumeType"] == DISK else None,
            )
        )
    return found


def _addresses(cloud: Cloud, there: _Region) -> list[Finding]:
    return [
        Finding(
            kind="address",
            id=address.get("AllocationId", address["PublicIp"]),
            region=cloud.region,
            name="",
            what=f"{address['PublicIp']}, elastic IP, unused, not made by dl",
            usd_per_hour=IPV4,
        )
        for address in there.addresses
        if "AssociationId" not in address
    ]


def _doors(region: str, there: _Region, owner: str) -> list[Finding]:
    """dl's groups without a box, and rules that let others in to machines."""
    users: dict[str, list[str]] = {}
    names = set()
    for instance in there.instances:
        tags = tags_of(instance)
        if tags.get(MANAGED) == "yes":
            names.add((tags.get(OWNER, ""), tags.get(NAME, "")))
        for group in instance.get("SecurityGroups", []):
            users.setdefault(group["GroupId"], []).append(instance["InstanceId"])
    found = []
    for group in there.groups:
        id, tags = group["GroupId"], tags_of(group)
        rules, name = there.rules.get(id, []), tags.get(NAME, "")
        if tags.get(MANAGED) != "yes":
            wide = [str(rule) for rule in rules if rule.is_wide]
            if wide and id in users:
                what = f"{', '.join(wide)} of {', '.join(users[id])}; not made by dl"
                found.append(
                    Finding(
                        kind="security group",
                        id=id,
                        region=region,
                        name=group["GroupName"],
                        what=what,
                        usd_per_hour=0.0,
                    )
                )
            continue
        own = tags.get(OWNER) == owner
        if (tags.get(OWNER, ""), name) not in names and id not in users:
            found.append(
                Finding(
                    kind="security group",
                    id=id,
                    region=region,
                    name=name,
                    what="without a box; costs nothing",
                    fixable=own,
                    usd_per_hour=0.0,
                )
            )
            continue
        found += [
            Finding(
                kind="rule",
                id=rule.id,
                region=region,
                name=name,
                what=f"{rule}, not made by dl",
                fixable=own and rule.is_wide,
                usd_per_hour=0.0,
                group=id,
            )
            for rule in rules
            if rule.is_wide or not rule.is_ours
        ]
    return found

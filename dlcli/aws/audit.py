"""What costs money in an account: all that is tagged as a box's, and what hangs loose."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dlcli.aws.boxes import MANAGED, NAME, OWNER, Box, boxes, filters_for, tags_of
from dlcli.aws.durations import in_words
from dlcli.aws.errors import explained
from dlcli.aws.prices import IPV4
from dlcli.errors import DlError

if TYPE_CHECKING:
    from dlcli.aws.cloud import Cloud


@dataclass(frozen=True)
class Finding:
    """One thing that costs money, or lets somebody in.

    Args:
        kind: "box", "disk", "address", "security group", "network".
        what: why it is listed.
        fixable: whether `--fix` removes it: one's own, tagged, and of no box that lives.
    """

    kind: str
    id: str
    region: str
    name: str
    what: str
    fixable: bool = False
    gb: int = 0
    usd_per_hour: float | None = None


def audit(
    cloud: Cloud, all_regions: bool, now: datetime
) -> tuple[list[Finding], dict[str, DlError]]:
    """List what costs money in this region, or in all: boxes of anybody, disks, addresses.

    Returns:
        what was found; and the regions that didn't answer, with the reason.
    """
    regions = cloud.regions() if all_regions else [cloud.region]
    clouds = [cloud.at(region) for region in regions]
    for each in clouds:
        _ = each.ec2  # boto3 makes its clients in one thread
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
    """Remove what is fixable; returns what was removed."""
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
        removed.append(each)
    return removed


def _of_region(cloud: Cloud, owner: str, now: datetime) -> list[Finding]:
    ec2, region = cloud.ec2, cloud.region
    alive = boxes(ec2, region)
    with explained():
        volumes = _all(ec2, "describe_volumes", "Volumes", [])
        addresses = ec2.describe_addresses()["Addresses"]
        groups = _all(ec2, "describe_security_groups", "SecurityGroups", filters_for())
    found = [_of_box(box, alive, owner, now) for box in alive]
    names = {(box.owner, box.name) for box in alive}
    for volume in volumes:
        tags = tags_of(volume)
        ours = tags.get(MANAGED) == "yes"
        if volume["State"] == "available":
            found.append(
                Finding(
                    "disk",
                    volume["VolumeId"],
                    region,
                    tags.get(NAME, ""),
                    f"{volume['Size']} GB, attached to nothing"
                    + ("" if ours else ", not made by dl"),
                    fixable=ours and tags.get(OWNER) == owner,
                    gb=volume["Size"],
                )
            )
    found += [
        Finding(
            "address",
            address.get("AllocationId", address["PublicIp"]),
            region,
            "",
            f"{address['PublicIp']}, elastic, in use by nothing; dl makes none",
            usd_per_hour=IPV4,
        )
        for address in addresses
        if "AssociationId" not in address
    ]
    for group in groups:
        tags = tags_of(group)
        if (tags.get(OWNER, ""), tags.get(NAME, "")) not in names:
            found.append(
                Finding(
                    "security group",
                    group["GroupId"],
                    region,
                    tags.get(NAME, ""),
                    "of no box; costs nothing",
                    fixable=tags.get(OWNER) == owner,
                    usd_per_hour=0.0,
                )
            )
    return found


def _of_box(box: Box, alive: list[Box], owner: str, now: datetime) -> Finding:
    twins = [each for each in alive if (each.owner, each.name) == (box.owner, box.name)]
    notes = [f"{box.type}, {box.state}"]
    if box.owner != owner:
        notes.append(f"of {box.owner or 'nobody'}")
    if len(twins) > 1:
        notes.append(f"one of {len(twins)} of that name")
    if box.running:
        notes.append(f"up {in_words(now - box.launched)}")
        if box.until is not None and box.until < now:
            notes.append("should have stopped")
    return Finding("box", box.id, box.region, box.name, ", ".join(notes), gb=box.disk_gb or 0)


def _all(ec2: Any, call: str, key: str, filters: list[dict[str, Any]]) -> list[Any]:
    pages = ec2.get_paginator(call).paginate(Filters=filters)
    return [each for page in pages for each in page[key]]

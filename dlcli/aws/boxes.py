"""Boxes as EC2 lists them: find by name, list, wait for a state.

EC2 and the tags of a box are the only record of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dlcli.aws.errors import explained, is_gone, reason_code
from dlcli.errors import DlError, did_you_mean
from dlcli.progress import Patience

if TYPE_CHECKING:
    from dlcli.aws.cloud import Cloud


MANAGED, NAME, OWNER, PROJECT = "dl:managed", "dl:name", "dl:owner", "dl:project"
UNTIL, TOKEN = "dl:until", "dl:token"
# These cost money, now or soon. AWS forgets the others within the hour.
LIVE = ("pending", "running", "stopping", "stopped")
RUNNING = ("pending", "running")
ENDED = ("shutting-down", "terminated")
POLL_SECONDS = 3.0
MOST_SECONDS = 600


@dataclass(frozen=True)
class Box:
    """One rented machine.

    Args:
        id: EC2's instance id, `i-...`.
        name, owner, project, until, token: its tags; `until` is its time limit.
        state: pending, running, stopping, stopped, shutting-down or terminated.
        launched: when it was last started, UTC.
        address: its public IPv4 address; None while it is stopped.
        disk_gb: GB of all its disks; None if EC2 does not say.
        made: when its disk was made, UTC; later starts do not change it.
        reason: why EC2 last changed its state, if EC2 says.
    """

    id: str
    name: str
    owner: str
    project: str
    state: str
    type: str
    region: str
    zone: str
    launched: datetime
    address: str | None = None
    spot: bool = False
    disk_gb: int | None = None
    made: datetime | None = None
    key_name: str | None = None
    until: datetime | None = None
    vpc: str | None = None
    subnet: str | None = None
    groups: tuple[str, ...] = ()
    token: str = ""
    image: str = ""
    reason: str = ""

    @property
    def running(self) -> bool:
        """Whether its machine costs money now."""
        return self.state in RUNNING


class Ended(DlError):
    """The box ended while it was waited for."""


def tags_for(
    name: str, owner: str, project: str, until: datetime | None = None, token: str = ""
) -> list[dict[str, str]]:
    """The tags of everything that belongs to a box, in EC2's form."""
    values = {MANAGED: "yes", NAME: name, OWNER: owner, PROJECT: project}
    if until is not None:
        values[UNTIL] = stamp(until)
    if token:
        values[TOKEN] = token
    # `Name` is what the console shows
    return [{"Key": key, "Value": value} for key, value in ({"Name": name} | values).items()]


def put_until(cloud: Cloud, box: Box, until: datetime) -> None:
    """Write a box's time limit in its tag."""
    with explained():
        cloud.ec2.create_tags(Resources=[box.id], Tags=[{"Key": UNTIL, "Value": stamp(until)}])


def stamp(time: datetime) -> str:
    """A time for a tag: UTC, to the second, `2026-11-23T14:09:00Z`."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_stamp(text: str) -> datetime | None:
    """The time in a tag; None if it is not a time."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def tags_of(thing: Mapping[str, Any]) -> dict[str, str]:
    """The tags of any resource that EC2 lists."""
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", [])}


def filters_for(
    owner: str | None = None,
    name: str | None = None,
    also: Mapping[str, Sequence[str]] | None = None,
) -> list[dict[str, Any]]:
    """EC2's filters for resources with dl's tags, and for what `also` adds."""
    wanted: dict[str, Sequence[str]] = {f"tag:{MANAGED}": ["yes"]}
    if owner is not None:
        wanted[f"tag:{OWNER}"] = [owner]
    if name is not None:
        wanted[f"tag:{NAME}"] = [name]
    wanted |= also or {}
    return [{"Name": key, "Values": list(values)} for key, values in wanted.items()]


def boxes(
    ec2: Any,
    region: str,
    *,
    owner: str | None = None,
    name: str | None = None,
    states: Sequence[str] = LIVE,
    also: Mapping[str, Sequence[str]] | None = None,
) -> list[Box]:
    """The boxes of a region, oldest first.

    Args:
        owner, name: tags to look for; None for all.
        states: EC2's words.
        also: further filters of EC2.
    """
    with explained():
        pages = ec2.get_paginator("describe_instances").paginate(
            Filters=filters_for(owner, name, {"instance-state-name": states} | dict(also or {}))
        )
        found = [
            each for page in pages for group in page["Reservations"] for each in group["Instances"]
        ]
        disks = _disks(ec2, owner, name) if found else {}
    return sorted((box_of(each, region, disks) for each in found), key=by_age)


def read_box(cloud: Cloud, box_id: str) -> Box | None:
    """A box by its id, since EC2 removes the tags when it ends; None if EC2 has none."""
    try:
        with explained():
            found = cloud.ec2.describe_instances(InstanceIds=[box_id])["Reservations"]
    except DlError as error:
        if is_gone(reason_code(error)):
            return None
        raise
    disks = _disks(cloud.ec2, None, None) if found else {}
    return box_of(found[0]["Instances"][0], cloud.region, disks) if found else None


def by_age(box: Box) -> tuple[datetime, str]:
    """The sort key for boxes by their launch, then by id."""
    return box.launched, box.id


def find_boxes(cloud: Cloud, name: str, states: Sequence[str] = LIVE) -> list[Box]:
    """The caller's boxes of a name in this region; several if two calls ran at once."""
    return boxes(cloud.ec2, cloud.region, owner=cloud.owner, name=name, states=states)


def find_box(cloud: Cloud, name: str) -> Box:
    """The caller's box of a name in this region; the oldest if there are several.

    Raises:
        DlError: there is none; names the most similar name.
    """
    found = find_boxes(cloud, name)
    if found:
        return found[0]
    rent = f"Rent one with `dl aws up{cloud.named(name).options}`"
    raise DlError(f"There is no box {name!r} in {cloud.region}", hint=elsewhere(cloud, name, rent))


def _disks(ec2: Any, owner: str | None, name: str | None) -> dict[str, tuple[int, datetime]]:
    pages = ec2.get_paginator("describe_volumes").paginate(Filters=filters_for(owner, name))
    return disks_of(volume for page in pages for volume in page["Volumes"])


def disks_of(volumes: Iterable[Any]) -> dict[str, tuple[int, datetime]]:
    """Instance id -> GB of all its disks, and when the first was made."""
    found: dict[str, tuple[int, datetime]] = {}
    for volume in volumes:
        for attached in volume.get("Attachments", []):
            size, made = found.get(attached["InstanceId"], (0, volume["CreateTime"]))
            found[attached["InstanceId"]] = size + volume["Size"], min(made, volume["CreateTime"])
    return found


def box_of(instance: Mapping[str, Any], region: str, disks: Mapping[str, Any]) -> Box:
    """A box from EC2's description; `disks` as `disks_of` returns them."""
    tags = tags_of(instance)
    size, made = disks.get(instance["InstanceId"], (None, None))
    return Box(
        id=instance["InstanceId"],
        name=tags.get(NAME, ""),
        owner=tags.get(OWNER, ""),
        project=tags.get(PROJECT, ""),
        state=instance["State"]["Name"],
        type=instance["InstanceType"],
        region=region,
        zone=instance.get("Placement", {}).get("AvailabilityZone", ""),
        launched=instance["LaunchTime"],
        address=instance.get("PublicIpAddress"),
        spot=instance.get("InstanceLifecycle") == "spot",
        disk_gb=size,
        made=made,
        key_name=instance.get("KeyName"),
        until=read_stamp(tags.get(UNTIL, "")),
        vpc=instance.get("VpcId"),
        subnet=instance.get("SubnetId"),
        groups=tuple(group["GroupId"] for group in instance.get("SecurityGroups", [])),
        token=tags.get(TOKEN, ""),
        image=instance.get("ImageId", ""),
        reason=instance.get("StateReason", {}).get("Message", ""),
    )


def elsewhere(cloud: Cloud, name: str, *first: str) -> str:
    """A hint for a box that is not in this region.

    Args:
        first: sentences to begin with, without their full stops.
    """
    others = [box.name for box in boxes(cloud.ec2, cloud.region, owner=cloud.owner)]
    look = f"List all your boxes with `dl aws ls --all-regions{cloud.profile_option}`"
    near = f" {did_you_mean(name, others)}" if others else ""
    return ". ".join([*first, look]) + f".{near}"


def boxes_everywhere(
    cloud: Cloud, all_regions: bool, *, owner: str | None = None
) -> tuple[list[Box], dict[str, DlError]]:
    """The boxes of this region, or of all regions, asked at the same time.

    Returns:
        the boxes by region and age; and the regions that did not answer, with the reason.
    """
    from concurrent.futures import ThreadPoolExecutor

    regions = cloud.regions() if all_regions else [cloud.region]
    clients = [cloud.client("ec2", region) for region in regions]  # not thread-safe in boto3
    answers: list[list[Box]] = []
    failed: dict[str, DlError] = {}
    with ThreadPoolExecutor(max_workers=len(regions)) as pool:
        asked = [
            pool.submit(boxes, client, region, owner=owner)
            for client, region in zip(clients, regions, strict=True)
        ]
    for region, future in zip(regions, asked, strict=True):
        try:
            answers.append(future.result())
        except DlError as error:
            if len(regions) == 1:
                raise
            failed[region] = error
    return [box for answer in answers for box in answer], failed


def wait_for(cloud: Cloud, box_id: str, *states: str) -> Box:
    """Wait until a box is in one of the given states.

    Raises:
        Ended: the box has ended; gives EC2's reason.
        DlError: it takes too long.
    """
    patience = Patience(f"{box_id} to be {' or '.join(states)}", MOST_SECONDS)
    while True:
        box = read_box(cloud, box_id)
        if box is not None and box.state in states:
            return box
        # EC2 may not list a new box yet
        if box is not None and box.state in ENDED:
            raise Ended(
                f"{box.name} ({box.id}) has ended".lstrip(),
                why=box.reason or "EC2 does not say why",
                hint="Rent another: `dl aws up"
                f"{cloud.named(box.name).options if box.name else cloud.options}`.",
            )
        if patience.left < 0:
            raise DlError(
                f"{box_id} has been {box.state if box else 'missing'} for too long",
                why=f"expected {' or '.join(states)} within {MOST_SECONDS // 60} minutes",
                hint="Run the same command again: it continues.",
            )
        if box is not None and box.name:
            patience.what = f"{box.name} to be {' or '.join(states)}"
        patience.pause(POLL_SECONDS)

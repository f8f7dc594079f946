"""Finding boxes: one by its name, or all of an account, and what to say where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlcli.aws.boxes import Box, boxes, find_boxes
from dlcli.errors import DlError, did_you_mean

if TYPE_CHECKING:
    from dlcli.aws.cloud import Cloud


def find_box(cloud: Cloud, name: str) -> Box:
    """One's own box of that name in this region, the oldest where there are two.

    Raises:
        DlError: there is none; names the nearest.
    """
    found = find_boxes(cloud, name)
    if found:
        return found[0]
    rent = f"`dl aws up{cloud.named(name).options}` rents one"
    raise DlError(f"There is no box {name!r} in {cloud.region}", hint=elsewhere(cloud, name, rent))


def elsewhere(cloud: Cloud, name: str, *first: str) -> str:
    """Where a box may be that isn't in this region under that name, in a sentence or two.

    Args:
        first: what else to say.
    """
    others = [box.name for box in boxes(cloud.ec2, cloud.region, owner=cloud.owner)]
    look = f"`dl aws ls --all-regions{cloud.profile_option}` lists yours"
    near = f" {did_you_mean(name, others)}" if others else ""
    return "; ".join([*first, look]) + f".{near}"


def boxes_everywhere(
    cloud: Cloud, all_regions: bool, *, owner: str | None = None
) -> tuple[list[Box], dict[str, DlError]]:
    """The boxes of this region, or of all, asked at the same time.

    Returns:
        the boxes by region and age; and the regions that didn't answer, with the reason.
    """
    from concurrent.futures import ThreadPoolExecutor

    regions = cloud.regions() if all_regions else [cloud.region]
    clients = [cloud.client("ec2", region) for region in regions]  # boto3 makes them in one thread
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

"""What each of several boxes costs, asked at the same time in all their regions."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from dlcli.aws.prices import (
    HOURS_PER_MONTH,
    PRICING_REGION,
    Cost,
    disk_price,
    list_prices,
    spot_prices,
)

if TYPE_CHECKING:
    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud


def costs_of(cloud: Cloud, boxes: Sequence[Box]) -> dict[str, Cost]:
    """Id of a box -> what it costs an hour."""
    regions = sorted({box.region for box in boxes})
    if not regions:
        return {}
    cloud.client("pricing", PRICING_REGION)  # boto3 makes its clients in one thread
    clouds = [cloud.at(region) for region in regions]
    for each in clouds:
        _ = each.ec2
    with ThreadPoolExecutor(max_workers=len(regions)) as pool:
        found = pool.map(
            lambda each: _costs(each, [box for box in boxes if box.region == each.region]), clouds
        )
        return {id: cost for some in found for id, cost in some.items()}


def _costs(cloud: Cloud, boxes: Sequence[Box]) -> dict[str, Cost]:
    month = disk_price(cloud)
    listed = list_prices(cloud, {box.type for box in boxes if not box.spot})
    spot = spot_prices(cloud, sorted({box.type for box in boxes if box.spot}))
    return {
        box.id: Cost(
            spot.get(box.type, {}).get(box.zone) if box.spot else listed.get(box.type),
            None if month is None or box.disk_gb is None else box.disk_gb * month / HOURS_PER_MONTH,
        )
        for box in boxes
    }

"""What a box costs: compute, disk and address, in dollars; `?` where a price is not known.

The prices of several boxes are asked for at the same time, in all their regions. `max_price` is the
most that a machine may cost, held before it begins to cost.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dlcli.aws.errors import explained
from dlcli.errors import DlError
from dlcli.files.atomic import atomic_write
from dlcli.files.formats import read_text
from dlcli.files.paths import cache_home

if TYPE_CHECKING:
    from pathlib import Path

    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud


# Dollars an hour of a public IPv4 address, in every region. https://aws.amazon.com/vpc/pricing/
IPV4 = 0.005
HOURS_PER_MONTH = 730
# The price list is served from a few regions alone.
PRICING_REGION = "us-east-1"
LINUX = "Linux/UNIX"
# List prices change a few times a year.
CACHE_SECONDS = 86400
DISK = "gp3"
# The price list's entry of a plain Linux machine on demand.
_ON_DEMAND = (
    ("operatingSystem", "Linux"),
    ("tenancy", "Shared"),
    ("preInstalledSw", "NA"),
    ("capacitystatus", "Used"),
)


@dataclass(frozen=True)
class Cost:
    """Dollars an hour; None for a price that is not known.

    Args:
        compute: of the machine while it runs.
        disk: of its disk, whether it runs or not.
        ipv4: of its public address while it runs.
        stops: whether it can be stopped; a spot box can't.
    """

    compute: float | None
    disk: float | None
    ipv4: float = IPV4
    stops: bool = True

    @property
    def running(self) -> float | None:
        """Dollars an hour while it runs."""
        if self.compute is None or self.disk is None:
            return None
        return self.compute + self.disk + self.ipv4

    def running_words(self) -> str:
        """What it costs while it runs, for a sentence."""
        return f"{dollars(self.running)}/h"

    def __str__(self) -> str:
        text = (
            f"{dollars(self.compute)}/h compute + {dollars(self.ipv4)} IPv4 + "
            f"{dollars(self.disk)} disk = {dollars(self.running)}/h"
        )
        if self.stops:
            text += f"; stopped {dollars(self.disk)}/h"
        return text


UNKNOWN = Cost(None, None)


def dollars(value: float | None, digits: int = 3) -> str:
    """An amount as people read it: "$0.805"; "$?" where it is not known."""
    return "$?" if value is None else f"${value:,.{digits}f}"


def list_prices(cloud: Cloud, names: Iterable[str] | None = None) -> dict[str, float]:
    """Type -> dollars an hour on demand; without those that the price list lacks.

    A list that can't be asked, which is said, lacks all: a price is no reason not to stop a box.

    Args:
        names: of which types; None for all with a GPU.
    """
    cached = _read_cache(cloud.region)
    if names is None:
        if "" not in cached:  # the mark that all were asked for
            found = _products(cloud, [("instanceFamily", "GPU instance"), *_ON_DEMAND])
            if found:
                cached |= {"": 0.0, **_by_type(found)}
                _write_cache(cloud.region, cached)
        return {name: price for name, price in cached.items() if "." in name}
    wanted = sorted(set(names))
    missing = [name for name in wanted if name not in cached]
    for name in missing:
        cached |= _by_type(_products(cloud, [("instanceType", name), *_ON_DEMAND]))
    if missing:
        _write_cache(cloud.region, cached)
    return {name: cached[name] for name in wanted if name in cached}


def disk_price(cloud: Cloud) -> float | None:
    """Dollars a GB and month of the disks that boxes have."""
    cached = _read_cache(cloud.region)
    if DISK not in cached:
        # a disk's operations and its throughput go by the same name, and are paid beside it
        storage = [("volumeApiName", DISK), ("productFamily", "Storage")]
        for product, price in _products(cloud, storage):
            if product.get("volumeApiName") == DISK and price:
                cached[DISK] = price
                _write_cache(cloud.region, cached)
                break
    return cached.get(DISK)


def spot_prices(cloud: Cloud, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Type -> zone -> dollars an hour of spare capacity now; empty, and said, where AWS is mum."""
    found: dict[str, dict[str, float]] = {}
    if not names:
        return found
    try:
        with explained():
            pages = cloud.ec2.get_paginator("describe_spot_price_history").paginate(
                InstanceTypes=list(names),
                ProductDescriptions=[LINUX, f"{LINUX} (Amazon VPC)"],
                StartTime=datetime.now(UTC),
            )
            history = [each for page in pages for each in page["SpotPriceHistory"]]
    except DlError as error:
        _say_unknown(cloud, "Spot prices", error)
        return found
    for each in history:
        zones = found.setdefault(each["InstanceType"], {})
        zones.setdefault(each["AvailabilityZone"], float(each["SpotPrice"]))
    return found


def _say_unknown(cloud: Cloud, what: str, error: DlError) -> None:
    cloud.say_once(f"Warning: {what} are not known, so they are $?: {error.what}: {error.why}.")


def hourly(cloud: Cloud, name: str, disk_gb: int | None, spot: bool, zone: str = "") -> Cost:
    """What a box of a type costs an hour.

    Args:
        zone: where a spot box is; without it the cheapest zone's price.
    """
    if spot:
        zones = spot_prices(cloud, [name]).get(name, {})
        compute = zones.get(zone) if zone else min(zones.values(), default=None)
    else:
        compute = list_prices(cloud, [name]).get(name)
    return Cost(compute, disk_an_hour(cloud, disk_gb), stops=not spot)


def disk_an_hour(cloud: Cloud, disk_gb: int | None) -> float | None:
    """Dollars an hour of a disk."""
    return _disk_an_hour(disk_price(cloud), disk_gb)


def _disk_an_hour(month: float | None, disk_gb: int | None) -> float | None:
    return None if month is None or disk_gb is None else disk_gb * month / HOURS_PER_MONTH


def since(box: Box, cost: Cost, now: datetime) -> float | None:
    """Dollars that a box has cost since it was last started: disk and all.

    Of a stopped box it is what its disk has cost since it was made; what it cost while it ran, EC2
    doesn't tell any more.
    """
    if cost.disk is None:
        return None
    if not box.running:
        return cost.disk * _hours(box.made or box.launched, now)
    return None if cost.running is None else cost.running * _hours(box.launched, now)


def _hours(start: datetime, now: datetime) -> float:
    return max(0.0, (now - start).total_seconds() / 3600)


def _by_type(products: Iterable[tuple[Mapping[str, str], float]]) -> dict[str, float]:
    """Type -> dollars an hour, of what `_products` returns."""
    return {
        product["instanceType"]: price
        for product, price in products
        if price and "instanceType" in product
    }


def _products(
    cloud: Cloud, fields: Sequence[tuple[str, str]]
) -> list[tuple[Mapping[str, str], float]]:
    """The price list's entries with these fields: their attributes, and dollars a unit."""
    filters = [
        {"Type": "TERM_MATCH", "Field": field, "Value": value}
        for field, value in [("regionCode", cloud.region), *fields]
    ]
    try:
        with explained():
            pages = (
                cloud.client("pricing", PRICING_REGION)
                .get_paginator("get_products")
                .paginate(ServiceCode="AmazonEC2", Filters=filters)
            )
            entries = [json.loads(text) for page in pages for text in page["PriceList"]]
    except DlError as error:
        _say_unknown(cloud, "List prices", error)
        return []
    found = []
    for entry in entries:
        for term in entry.get("terms", {}).get("OnDemand", {}).values():
            for dimension in term.get("priceDimensions", {}).values():
                price = float(dimension.get("pricePerUnit", {}).get("USD", 0))
                found.append((entry["product"]["attributes"], price))
    return found


def _cache_file(region: str) -> Path:
    return cache_home() / "aws" / f"prices-{region}.json"


def _read_cache(region: str) -> dict[str, float]:
    file = _cache_file(region)
    try:
        written = json.loads(read_text(file))
        if 0 <= time.time() - written["asked"] < CACHE_SECONDS:
            return {str(name): float(price) for name, price in written["prices"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # what can't be read is asked for again
    return {}


def _write_cache(region: str, prices: Mapping[str, float]) -> None:
    file = _cache_file(region)
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(file, json.dumps({"asked": time.time(), "prices": dict(prices)}))


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
            _disk_an_hour(month, box.disk_gb),
        )
        for box in boxes
    }


def require_within(name: str, cost: Cost, most: float | None, options: str) -> None:
    """Refuse a type that costs more than one wants to pay, or nobody knows how much.

    Args:
        most: dollars an hour; None for any.
        options: what follows a command that means the account and region.

    Raises:
        DlError: says what it costs, as far as that is known.
    """
    if most is None:
        return
    if cost.compute is None:
        raise DlError(
            f"What a {name} costs is not known, so `max_price` can't be kept",
            why=f"it is {dollars(most)}/h, and the price list doesn't say",
            hint="`--max-price none` goes on whatever it costs.",
        )
    if cost.compute > most:
        raise DlError(
            f"{name} costs {dollars(cost.compute)}/h",
            why=f"`max_price` is {dollars(most)}/h",
            hint=f"`dl aws types --max-price {most:g}{options}` lists what costs less; "
            "`--spot` often does.",
        )


def within(
    name: str, zones: Sequence[str], prices: Mapping[str, float], most: float | None
) -> tuple[str, ...]:
    """The zones whose spot price is not known to be above the most; EC2 sees to the others.

    Raises:
        DlError: all are above it; names the cheapest.
    """
    found = tuple(zone for zone in zones if most is None or prices.get(zone, 0.0) <= most)
    if zones and not found and most is not None:
        zone = min(zones, key=lambda each: prices[each])
        raise spot_too_dear(name, zone, prices[zone], most)
    return found


def spot_too_dear(name: str, zone: str, price: float | None, most: float | None) -> DlError:
    """The error of spare capacity that costs more than one offers."""
    return DlError(
        f"A spot {name} costs {dollars(price)}/h in {zone} now",
        why=f"`max_price` is {dollars(most)}/h",
        hint="Offer more, `--max-price`, or rent on demand: leave out `--spot`.",
    )

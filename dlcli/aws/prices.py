"""The price of a box in dollars: machine, disk and address; `?` for an unknown price.

`max_price` limits the price of a machine; it is checked before the machine costs anything.
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
from dlcli.files.formats import parse_json, read_text
from dlcli.files.paths import cache_home

if TYPE_CHECKING:
    from pathlib import Path

    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud


# Dollars an hour of a public IPv4 address, in every region. https://aws.amazon.com/vpc/pricing/
IPV4 = 0.005
HOURS_PER_MONTH = 730
# Only a few regions serve the price list.
PRICING_REGION = "us-east-1"
LINUX = "Linux/UNIX"
# List prices change a few times a year.
CACHE_SECONDS = 86400
DISK = "gp3"
# The price list's fields for a plain Linux machine on demand.
_ON_DEMAND = (
    ("operatingSystem", "Linux"),
    ("tenancy", "Shared"),
    ("preInstalledSw", "NA"),
    ("capacitystatus", "Used"),
)


@dataclass(frozen=True)
class Cost:
    """A price in dollars an hour; None if it is not known.

    Args:
        compute: for the machine while it runs.
        disk: for its disk, whether it runs or not.
        ipv4: for its public address while it runs.
        stops: whether it can be stopped; a spot box cannot.
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
    """An amount in words: "$0.805"; "$?" if it is not known."""
    return "$?" if value is None else f"${value:,.{digits}f}"


def list_prices(cloud: Cloud, names: Iterable[str] | None = None) -> dict[str, float]:
    """Type -> dollars an hour on demand; types without a listed price are left out.

    If the price list cannot be read, a warning is shown and the result is empty: a box must be
    stoppable even if its price is unknown.

    Args:
        names: the types; None for all with a GPU.
    """
    cached = _read_cache(cloud.region)
    if names is None:
        if "" not in cached:  # this key marks that all types were asked for
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
    """Dollars per GB and month of a box's disk."""
    cached = _read_cache(cloud.region)
    if DISK not in cached:
        # entries for operations and throughput have the same name but are other products
        storage = [("volumeApiName", DISK), ("productFamily", "Storage")]
        for product, price in _products(cloud, storage):
            if product.get("volumeApiName") == DISK and price:
                cached[DISK] = price
                _write_cache(cloud.region, cached)
                break
    return cached.get(DISK)


def spot_prices(cloud: Cloud, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Type -> zone -> dollars an hour of a spot machine now; empty, with a warning, on an error."""
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
    cloud.say_once(f"Warning: {what} are not known and shown as $?: {error.what}: {error.why}.")


def hourly(cloud: Cloud, name: str, disk_gb: int | None, spot: bool, zone: str = "") -> Cost:
    """The cost of a box of a type.

    Args:
        zone: where a spot box is; by default the cheapest zone.
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
    """Dollars that a box has cost since its last start, disk included.

    For a stopped box: what its disk has cost since it was made, because EC2 no longer tells how
    long the box ran.
    """
    if cost.disk is None:
        return None
    if not box.running:
        return cost.disk * _hours(box.made or box.launched, now)
    return None if cost.running is None else cost.running * _hours(box.launched, now)


def _hours(start: datetime, now: datetime) -> float:
    return max(0.0, (now - start).total_seconds() / 3600)


def _by_type(products: Iterable[tuple[Mapping[str, str], float]]) -> dict[str, float]:
    """Type -> dollars an hour, from the result of `_products`."""
    return {
        product["instanceType"]: price
        for product, price in products
        if price and "instanceType" in product
    }


def _products(
    cloud: Cloud, fields: Sequence[tuple[str, str]]
) -> list[tuple[Mapping[str, str], float]]:
    """The price list's entries with these fields: their attributes and dollars per unit."""
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
        written = parse_json(read_text(file))
        if 0 <= time.time() - written["asked"] < CACHE_SECONDS:
            return {str(name): float(price) for name, price in written["prices"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        pass  # ask AWS again
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
    cloud.client("pricing", PRICING_REGION)  # boto3 cannot make clients in several threads
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


def require_within(
    name: str, cost: Cost, most: float | None, options: str, *, is_new: bool = False
) -> None:
    """Refuse a type whose price is above `max_price`, or unknown while one is set.

    Args:
        most: dollars an hour; None for any.
        options: options for the account and region, for the hint.
        is_new: whether a box is rented, which could be a spot box as well.

    Raises:
        DlError: gives the price, if it is known.
    """
    if most is None:
        return
    if cost.compute is None:
        raise DlError(
            f"The price of a {name} is not known, so `max_price` cannot be checked",
            why=f"`max_price` is {dollars(most)}/h, and the price list has no such type",
            hint="To rent it at any price, use `--max-price none`.",
        )
    if cost.compute > most:
        other = "try `--spot`" if is_new else "raise `--max-price`"
        raise DlError(
            f"{name} costs {dollars(cost.compute)}/h",
            why=f"`max_price` is {dollars(most)}/h",
            hint=f"List cheaper types with `dl aws types --max-price {most:g}{options}`, or "
            f"{other}.",
        )


def within(
    name: str, zones: Sequence[str], prices: Mapping[str, float], most: float | None
) -> tuple[str, ...]:
    """The zones whose spot price is within `most` or unknown; EC2 checks the unknown ones.

    Raises:
        DlError: all are above it; names the cheapest.
    """
    found = tuple(zone for zone in zones if most is None or prices.get(zone, 0.0) <= most)
    if zones and not found and most is not None:
        zone = min(zones, key=lambda each: prices[each])
        raise spot_too_dear(name, zone, prices[zone], most)
    return found


def spot_too_dear(name: str, zone: str, price: float | None, most: float | None) -> DlError:
    """The error for a spot price above `max_price`."""
    return DlError(
        f"A spot {name} costs {dollars(price)}/h in {zone} now",
        why=f"`max_price` is {dollars(most)}/h",
        hint="Raise `--max-price`, or leave out `--spot` to rent on demand.",
    )

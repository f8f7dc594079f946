"""`dl aws types`: what one can rent, and for how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from dlcli.cli import emit_json
from dlcli.cli.aws import ACCOUNT, account, aligned
from dlcli.cli.helping import Command
from dlcli.cli.options import with_config
from dlcli.cli.tables import print_table
from dlcli.config import Config

if TYPE_CHECKING:
    from dlcli.aws.instance_types import GpuType


@click.command("types", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@with_config("aws.max_price", *ACCOUNT)
def types_command(config: Config, as_json: bool) -> None:
    """List GPU types that the region offers now, the cheapest first.

    `$/h` is on demand, `spot` is spare capacity in the cheapest zone now, which AWS may take away.
    Disk and address come on top: `dl aws up --dry-run`.
    """
    from dlcli.aws.instance_types import gpu_types
    from dlcli.aws.prices import dollars, list_prices, spot_prices
    from dlcli.progress import say

    settings, cloud = account(config)
    kinds = gpu_types(cloud.ec2)
    listed = list_prices(cloud)
    spot = {
        name: min(zones.values())
        for name, zones in spot_prices(cloud, [each.name for each in kinds]).items()
    }
    most = settings.max_price
    rows = [
        (each, listed.get(each.name), spot.get(each.name))
        for each in kinds
        if most is None
        or any(
            price is not None and price <= most
            for price in (listed.get(each.name), spot.get(each.name))
        )
    ]
    rows.sort(key=lambda row: (row[1] is None, row[1] or 0.0, row[0].name))
    if as_json:
        emit_json([_plain(*row) for row in rows])
        return
    within = "" if most is None else f" {dollars(most)}/h or less, on demand or spot"
    if not rows:
        say(f"No type in {cloud.region} costs{within}{_cheapest(kinds, listed, spot)}")
        return
    print_table(
        ["type", "GPU", "vCPU", "GiB", "$/h", "spot", "zones"],
        [
            [each.name, each.gpu_words, each.vcpus, round(each.memory_gib), price, low, zones]
            for (each, _, _), price, low, zones in zip(
                rows,
                aligned("$/h", [dollars(row[1]) for row in rows]),
                aligned("spot", [dollars(row[2]) for row in rows]),
                [
                    ", ".join(zone.removeprefix(cloud.region) for zone in row[0].zones)
                    for row in rows
                ],
                strict=True,
            )
        ],
        spare=("zones", "GiB"),
    )
    within = within and f" at{within}"
    kind = "type" if len(rows) == 1 else "types"
    following = f"`dl aws up TYPE --dry-run{cloud.options}`"
    say(f"{len(rows)} {kind} in {cloud.region}{within}; next: {following}")


def _plain(kind: GpuType, price: float | None, spot: float | None) -> dict[str, Any]:
    return {
        "type": kind.name,
        "gpus": kind.gpus,
        "gpu": kind.gpu,
        "gpu_gib": kind.gpu_gib,
        "vcpus": kind.vcpus,
        "memory_gib": kind.memory_gib,
        "arch": kind.arch,
        "zones": list(kind.zones),
        "usd_per_hour": price,
        "usd_per_hour_spot": spot,
    }


def _cheapest(
    kinds: Sequence[GpuType], listed: Mapping[str, float], spot: Mapping[str, float]
) -> str:
    """The words for the cheapest type there is, after those for none that is wanted."""
    from dlcli.aws.prices import dollars

    prices = {
        each.name: [price[each.name] for price in (listed, spot) if each.name in price]
        for each in kinds
    }
    name = min((name for name in prices if prices[name]), key=lambda n: min(prices[n]), default="")
    if not name:
        return ""
    return (
        f"; the cheapest is {name}: {dollars(listed.get(name))}/h, spot {dollars(spot.get(name))}/h"
    )

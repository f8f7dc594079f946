"""`dl aws types`: what one can rent, and for how much."""

from __future__ import annotations

import click

from dlcli.cli.aws import ACCOUNT, account, aligned
from dlcli.cli.options import Command, with_config
from dlcli.cli.tables import print_table
from dlcli.config import Config


@click.command("types", cls=Command)
@with_config("aws.max_price", *ACCOUNT)
def types_command(config: Config) -> None:
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
        for name, zones in spot_prices(cloud.ec2, [each.name for each in kinds]).items()
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
    )
    within = "" if most is None else f" at {dollars(most)}/h or less, on demand or spot"
    kind = "type" if len(rows) == 1 else "types"
    following = f"`dl aws up TYPE --dry-run{cloud.options}`"
    say(f"{len(rows)} {kind} in {cloud.region}{within}; next: {following}")

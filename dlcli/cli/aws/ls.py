"""`dl aws ls`, `types` and `audit`: list boxes, GPU types and what else costs money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from dlcli.cli.aws.account import ACCOUNT, account, aligned
from dlcli.cli.parts.ask import YES, consent
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import with_config
from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.config import Config
from dlcli.errors import ExitCode
from dlcli.progress import say
from dlcli.words import count, span

if TYPE_CHECKING:
    from dlcli.aws.audit import Finding
    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud
    from dlcli.aws.instance_types import GpuType
    from dlcli.aws.prices import Cost
    from dlcli.aws.setup import Watched


ALL_REGIONS = click.option("--all-regions", is_flag=True, help="look in every region")


@click.command("ls", cls=Command)
@ALL_REGIONS
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@with_config(*ACCOUNT)
def ls_command(config: Config, all_regions: bool, as_json: bool) -> None:
    """List your boxes, running and stopped, and what they cost.

    `so far` is the cost since the last start. For a stopped box, it is the cost of the disk since
    the disk was made. `24 h` is the cost of another day in the same state. `idle` and `stops in`
    come from the box itself, over ssh.
    """
    from dlcli.aws.boxes import boxes_everywhere
    from dlcli.aws.prices import costs_of
    from dlcli.aws.reach import watched

    settings, cloud = account(config)
    found, failed = boxes_everywhere(cloud, all_regions, owner=cloud.owner)
    for region, error in failed.items():
        say(f"Warning: {region} did not answer: {error.what}.")
    costs = costs_of(cloud, found)
    states = watched(cloud, found, settings)
    now = datetime.now(UTC)
    if as_json:
        emit_json([_plain_box(box, costs[box.id], states.get(box.id), now) for box in found])
        return
    where = "all regions" if all_regions else cloud.region
    if not found:
        nowhere = "any region" if all_regions else cloud.region
        say(f"No boxes in {nowhere}; next: `dl aws up --dry-run{cloud.options}`")
        return
    _print(found, costs, states, all_regions, now)
    hourly = [_rate(box, costs[box.id]) for box in found]
    known = [each for each in hourly if each is not None]
    more = "" if len(known) == len(hourly) else ", plus boxes of unknown price"
    say(f"{count(len(found), 'box', 'boxes')} in {where}: ${sum(known):,.3f}/h together{more}")


def _rate(box: Box, cost: Cost) -> float | None:
    """Dollars an hour in its present state."""
    return cost.running if box.running else cost.disk


def _print(
    found: Sequence[Box],
    costs: dict[str, Cost],
    states: dict[str, Watched],
    all_regions: bool,
    now: datetime,
) -> None:
    from dlcli.aws.prices import dollars, since

    rates = [_rate(box, costs[box.id]) for box in found]
    columns: dict[str, list[Any]] = {
        "name": [box.name for box in found],
        "type": [box.type + (" spot" if box.spot else "") for box in found],
        "state": [box.state for box in found],
        "up": [span(now - box.launched) if box.running else "" for box in found],
        "$/h": aligned("$/h", [dollars(rate) for rate in rates]),
        "so far": aligned("so far", [dollars(since(box, costs[box.id], now), 2) for box in found]),
        "24 h": aligned(
            "24 h", [dollars(None if rate is None else 24 * rate, 2) for rate in rates]
        ),
        "idle": [span(states[box.id].idle) if box.id in states else "" for box in found],
        "stops in": [_stops(box, states.get(box.id), now) for box in found],
    }
    if all_regions:
        columns = {"region": [box.region for box in found], **columns}
    rows = list(zip(*columns.values(), strict=True))
    print_table(list(columns), rows, spare=("24 h", "so far", "up"))


def _stops(box: Box, state: Watched | None, now: datetime) -> str:
    """When a box stops by itself: what its watchdog says, else its time limit."""

    if not box.running:
        return ""
    if state is not None:
        return f"{span(state.stops_in)} ({state.because})"
    if box.until is None:
        return "?"
    left = box.until - now + timedelta(seconds=30)  # to the nearest minute
    return "overdue" if box.until < now else f"{span(left)} at most"


def _plain_box(box: Box, cost: Cost, state: Watched | None, now: datetime) -> dict[str, Any]:
    from dlcli.aws.boxes import stamp
    from dlcli.aws.prices import since

    return {
        "name": box.name,
        "id": box.id,
        "region": box.region,
        "zone": box.zone,
        "type": box.type,
        "spot": box.spot,
        "state": box.state,
        "address": box.address,
        "project": box.project,
        "launched": stamp(box.launched),
        "until": None if box.until is None else stamp(box.until),
        "disk_gb": box.disk_gb,
        "usd_per_hour": _rate(box, cost),
        "usd_per_hour_running": cost.running,
        "usd_per_hour_stopped": cost.disk,
        "usd_so_far": since(box, cost, now),
        "idle_seconds": None if state is None else round(state.idle.total_seconds()),
        "stops_in_seconds": None if state is None else round(state.stops_in.total_seconds()),
        "sees": None if state is None else state.sees,
    }


@click.command("audit", cls=Command)
@ALL_REGIONS
@click.option(
    "--fix",
    "mend",
    is_flag=True,
    help="remove what dl made and no box uses, and rules that open your boxes to the internet",
)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@YES
@with_config(*ACCOUNT)
def audit_command(config: Config, all_regions: bool, mend: bool, as_json: bool, yes: bool) -> int:
    """List everything in EC2 that costs money or lets others in.

    The list has all machines, whoever made them, and the disks and elastic addresses that no
    machine uses. It also has what lets others in: each rule of your boxes' security groups that dl
    did not make, and each security group of another machine that is open to the whole internet.
    The exit code is 1 if the command finds anything. It does not look at services other than EC2.

    `--fix` removes disks and security groups that dl made for you and that no box uses. It also
    removes rules that open your boxes to the whole internet. It never ends a machine: use
    `dl aws down`.
    """
    from dlcli.aws.audit import audit, fix

    _, cloud = account(config)
    now = datetime.now(UTC)
    found, failed = audit(cloud, all_regions, now)
    fixable = [each for each in found if each.fixable]
    if mend and fixable:
        if not as_json:
            _print_findings(fixable)
        consent(f"Remove {count(len(fixable), 'thing')} for good?", yes)
        for each in fix(cloud, found):
            say(f"Removed {each.kind} {each.id}")
        found, failed = audit(cloud, all_regions, now)
    elif mend and found:
        say("`--fix` cannot remove any of this.")
    for region, error in failed.items():
        say(f"Warning: {region} did not answer: {error.what}.")
    if as_json:
        emit_json([vars(each) for each in found])
    elif found:
        _print_findings(found)
    where = "all regions" if all_regions else cloud.region
    if failed and not found:
        say(f"Nothing was found, but {count(len(failed), 'region')} did not answer.")
        return ExitCode.ERROR
    if not found:
        say(
            f"Found nothing in {where}: no machine, no unused disk or address, no open security "
            "group."
        )
        return ExitCode.OK
    say(f"{count(len(found), 'finding')} in {where}; {_following(cloud, found, all_regions)}")
    return ExitCode.ERROR


def _following(cloud: Cloud, found: Sequence[Finding], all_regions: bool) -> str:
    """What to do about an audit's findings, in words."""
    if any(each.fixable for each in found):
        options = f" --all-regions{cloud.profile_option}" if all_regions else cloud.options
        return f"next: `dl aws audit --fix{options}`"
    if own := next((each for each in found if each.own), None):
        return f"next: `dl aws down{cloud.at(own.region).named(own.name).options}`"
    return "remove them in EC2's console: https://console.aws.amazon.com/ec2"


def _print_findings(found: Sequence[Finding]) -> None:
    from dlcli.aws.prices import dollars

    rates = ["" if each.usd_per_hour == 0 else dollars(each.usd_per_hour) for each in found]
    print_table(
        ["region", "kind", "name", "id", "$/h", "what"],
        [
            [each.region, each.kind, each.name, each.id, rate, each.what]
            for each, rate in zip(found, aligned("$/h", rates), strict=True)
        ],
    )


@click.command("types", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@with_config("aws.max_price", *ACCOUNT)
def types_command(config: Config, as_json: bool) -> None:
    """List the GPU types that the region offers now, cheapest first.

    `$/h` is the on-demand price. `spot` is the present price of spare capacity in the cheapest
    zone; AWS may take a spot box back at any time. Disk and address cost extra: see `dl aws up
    --dry-run`.
    """
    from dlcli.aws.instance_types import gpu_types
    from dlcli.aws.prices import dollars, list_prices, spot_prices

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
        emit_json([_plain_type(*row) for row in rows])
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
    following = f"`dl aws up TYPE --dry-run{cloud.options}`"
    say(f"{count(len(rows), 'type')} in {cloud.region}{within}; next: {following}")


def _plain_type(kind: GpuType, price: float | None, spot: float | None) -> dict[str, Any]:
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
    """The cheapest type in words, for a search that found none."""
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

"""`dl aws up`: show the plan and its price, then rent or start a box."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from dlcli.cli.aws.account import ACCOUNT, account_and_name, limits, require_effect
from dlcli.cli.aws.connect import TRUST
from dlcli.cli.parts.ask import YES, consent
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import with_config
from dlcli.config import Config
from dlcli.progress import say
from dlcli.words import span

if TYPE_CHECKING:
    from dlcli.aws.cloud import Cloud
    from dlcli.aws.instance_types import GpuType
    from dlcli.aws.plan import Prepared, Spec
    from dlcli.settings.aws import Aws

HOW = (
    "aws.name",
    "aws.spot",
    "aws.disk",
    "aws.idle",
    "aws.max_hours",
    "aws.max_price",
    "aws.image",
    "aws.ingress",
    *ACCOUNT,
)


@click.command("up", cls=Command)
@click.argument("type", metavar="[TYPE]", required=False)
@click.option(
    "--az", metavar="ZONE", help="the only zone to try: us-east-1a, or only its letter, a"
)
@click.option(
    "--substitute", is_flag=True, help="if AWS does not offer TYPE, take the most similar type"
)
@click.option("--dry-run", is_flag=True, help="print the plan and its price; change nothing")
@TRUST
@YES
@with_config(*HOW)
def up_command(
    config: Config,
    type: str | None,
    az: str | None,
    substitute: bool,
    dry_run: bool,
    trust: bool,
    yes: bool,
) -> None:
    """Rent a box, or start a stopped one.

    The command prints its plan and the price, then asks. If it is interrupted, run the same command
    again: it continues. TYPE is one of `dl aws types`; the default is the setting `aws.type`, at
    first g6.xlarge. The box stops itself when it is idle, and after `--max-hours` even if it is
    busy.
    """
    from dlcli.aws.keys import own_key, present_key
    from dlcli.aws.launch import carry_out
    from dlcli.aws.order import alone_with
    from dlcli.aws.plan import prepare
    from dlcli.aws.reach import arrive
    from dlcli.aws.setup import own_script

    settings, cloud, name = account_and_name(config)
    own_script(settings)  # refuse a missing script before anything is rented
    spec = _spec(settings, cloud, name, type, az)

    def accept(question: str, near: GpuType) -> bool:
        if substitute:
            say(question.removesuffix(" Start that?"))
            return True
        if yes or dry_run or not sys.stdin.isatty():
            return False
        return click.confirm(question, abort=True, err=True)

    if dry_run:
        prepared = prepare(cloud, spec, present_key(settings.ssh_key), accept)
        require_effect(config, cloud, prepared.plan.box)
        click.echo("\n".join(_plan_lines(prepared, cloud)))
        return
    key = own_key(settings.ssh_key)
    with alone_with(cloud.region, name):
        prepared = prepare(cloud, spec, key, accept)
        require_effect(config, cloud, prepared.plan.box)
        for line in _plan_lines(prepared, cloud):
            say(line)
        if prepared.plan.rents:
            consent("Do this?", yes)
        box = carry_out(cloud, prepared.plan, prepared.existing, prepared.spec, prepared.new)
        say(f"{box.name} is running: {prepared.cost.running_words()}; {limits(box)}")
        click.echo(f"{box.name} {box.type} {box.zone} {box.address}")
        arrive(cloud, box, key, settings, started=prepared.plan.rents, trust=trust)
    again = cloud.named(name).options
    say(f"Next: `dl aws put{again}`, `dl aws ssh{again}`; at the end `dl aws down{again}`")


def _spec(settings: Aws, cloud: Cloud, name: str, type: str | None, az: str | None) -> Spec:
    """The box that is wanted."""
    from pathlib import Path

    from dlcli.aws.cloud import project_name
    from dlcli.aws.plan import Spec

    return Spec(
        name=name,
        owner=cloud.owner,
        project=project_name(Path.cwd()),
        type=type or settings.type,
        type_named=type is not None,
        disk_gb=settings.disk,
        spot=settings.spot,
        max_price=settings.max_price,
        zone=f"{cloud.region}{az}" if az and len(az) == 1 else az,  # `types` lists their letters
        idle=settings.idle,
        max_hours=settings.max_hours,
        image=settings.image,
        vpc=settings.vpc,
        subnet=settings.subnet,
        networks=tuple(settings.ingress or ()),
    )


def _plan_lines(prepared: Prepared, cloud: Cloud) -> list[str]:
    """A plan as lines of text: what exists, what will be done, what it costs."""

    box, spec = prepared.plan.box, prepared.spec
    lines = []
    if box is not None:
        lines.append(f"{box.name} exists: {box.type} in {box.zone}, {box.state} ({box.id})")
    if prepared.plan.steps:
        lines.append(f"Plan for {spec.name} in {cloud.region}:")
        lines += [f"  {step.words}" for step in prepared.plan.steps]
    if prepared.kind is not None and not prepared.kind.gpus:
        lines.append(f"{prepared.kind.name} has no GPU")
    lines.append(f"Cost: {prepared.cost}")
    if prepared.plan.rents:
        spot = box.spot if box else spec.spot
        ends = "It ends and loses its disk" if spot else "It stops itself"
        idle = f" when idle for {span(spec.idle)}, and" if spec.idle else ""
        lines.append(f"{ends}{idle} after {spec.max_hours} h even if it is busy")
    return lines

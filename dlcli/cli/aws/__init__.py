"""`dl aws`: a rented GPU box, from its price to its end."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlcli.cli.parts.help import Group
from dlcli.config import Config

if TYPE_CHECKING:
    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud
    from dlcli.settings.aws import Aws

# The commands in the order in which one uses them, each with its module and what it does, so that
# completion and help import none of them.
MODULES = {
    "types": ("ls", "List GPU types: what they are, and what they cost here."),
    "up": ("up", "Rent a box, start a stopped one, or say how to reach it."),
    "start": ("boxes", "Start a stopped box."),
    "stop": ("boxes", "Stop a box: its disk stays, and costs little."),
    "down": ("boxes", "End a box with its disk and all that belongs to it."),
    "ls": ("ls", "List your boxes and what they cost."),
    "audit": ("ls", "List what costs money in EC2, whoever made it, and who is let in."),
    "ssh": ("connect", "Work on a box in a shell."),
    "tmux": ("connect", "Work on a box in a shell that outlives the connection."),
    "put": ("copy", "Copy the project, datasets or runs to a box."),
    "get": ("copy", "Copy them back."),
    "forward": ("connect", "Reach Jupyter, TensorBoard or another port of a box from here."),
    "extend": ("boxes", "Let a box run for longer."),
    "resize": ("boxes", "Make a box another type; its disk stays."),
    "ssh-config": ("connect", "Let plain ssh and editors know your boxes by name."),
}
ACCOUNT = ("aws.profile", "aws.region")
NAMED = ("aws.name", *ACCOUNT)


class Boxes(Group):
    """The commands about boxes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in MODULES:
            return None
        module = import_module(f"dlcli.cli.aws.{MODULES[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command

    def summary(self, ctx: click.Context, name: str) -> str:
        return MODULES[name][1]


@click.group(cls=Boxes, options_metavar="", subcommand_metavar="COMMAND [ARGS]...")
def command() -> None:
    """Rent a GPU box, work on it, and end it.

    \b
    dl aws up                 its plan and price; then a box that stops itself
    dl aws ssh                a shell there
    dl aws down               nothing is left, and what it cost

    A box is called as the folder that one works in, or by `-n NAME`.
    """


def account(config: Config) -> tuple[Aws, Cloud]:
    """What every command begins with: settings, and the account that they name."""
    from dlcli.aws.cloud import open_cloud
    from dlcli.files.paths import shown

    typed = {"flag", shown(config.file) if config.file else ""}
    usual = {key: value for key, value in config.values.items() if value.origin not in typed}
    settings = config.settings().aws
    return settings, open_cloud(settings, usual=config.with_values(usual).settings().aws)


def opened(config: Config) -> tuple[Aws, Cloud, str]:
    """What every command about one box begins with: settings, account, the box's name."""
    from dlcli.aws.cloud import box_name
    from dlcli.errors import DlError, ExitCode

    if config.is_flag("aws.name") and config.get("aws.name").value is None:
        raise DlError(
            "`-n` names no box",
            hint="Without it, it is the one that is called as the folder.",
            exit_code=ExitCode.USAGE,
        )
    name = box_name(config.settings().aws, Path.cwd())
    return *account(config), name


def require_effect(config: Config, cloud: Cloud, box: Box | None) -> None:
    """Refuse options that a box which is there already can't take any more.

    Raises:
        DlError: names the first of them, and what does it.
    """
    from dlcli.errors import DlError, ExitCode

    if box is None:
        return
    options = cloud.named(box.name).options
    how = f"end it and rent another: `dl aws down{options}`"
    if typed := config.given_flags(("aws.disk", "aws.spot", "aws.image")):
        why = "it is settled when a box is made"
    elif box.running and (typed := config.given_flags(("aws.idle", "aws.max_hours"))):
        why = "a box takes its limits when it starts"
        how = f"`dl aws extend 4h{options}`, or stop it first"
    else:
        return
    raise DlError(
        f"`{typed[0]}` has no effect on {box.name}, which is {box.state} already",
        why=why,
        hint=f"Leave it out; or {how}.",
        exit_code=ExitCode.USAGE,
    )


def aligned(header: str, texts: Sequence[str]) -> list[str]:
    """Amounts to the right in their column."""
    width = max(map(len, [header, *texts]))
    return [text.rjust(width) for text in texts]


def limits(box: Box) -> str:
    """When a box stops whatever happens, in words; a spot box ends then."""
    from datetime import UTC, datetime, timedelta

    from dlcli.words import span

    if box.until is None:
        return "nothing but its watchdog stops it"
    left = box.until - datetime.now(UTC) + timedelta(seconds=30)  # to the nearest minute
    ends = "ends, disk and all," if box.spot else "stops"
    return f"{ends} in {span(left)} whatever it does"

"""`dl aws`: the group of commands about rented GPU boxes."""

from __future__ import annotations

from importlib import import_module

import click

from dlcli.cli.parts.help import Group

# In order of use: command -> (module, summary). Completion and help import none of the modules.
MODULES = {
    "types": ("ls", "List the region's GPU types and their prices."),
    "up": ("up", "Rent a box, or start a stopped one."),
    "start": ("boxes", "Start a stopped box."),
    "stop": ("boxes", "Stop a box. Its disk stays and costs little."),
    "down": ("boxes", "End a box and remove its disk."),
    "ls": ("ls", "List your boxes and what they cost."),
    "audit": ("ls", "List everything in EC2 that costs money or lets others in."),
    "ssh": ("connect", "Open a shell on a box, or run a command there."),
    "tmux": ("connect", "Open a shell that keeps running if the connection is lost."),
    "put": ("copy", "Copy the project, datasets, runs or features to a box."),
    "get": ("copy", "Copy the project, datasets, runs or features from a box."),
    "forward": ("connect", "Open Jupyter, TensorBoard or another port of a box."),
    "extend": ("boxes", "Let a box run for longer."),
    "resize": ("boxes", "Change a box's type. Its disk stays."),
    "ssh-config": ("connect", "Add your boxes to the ssh configuration."),
}


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
    dl aws up                 shows the plan and its price, then rents a box
    dl aws ssh                opens a shell on it
    dl aws down               ends it and says what it cost

    A box stops itself when it is idle. Name it with `-n NAME`. Without `-n`, the box takes the name
    of the project folder.
    """

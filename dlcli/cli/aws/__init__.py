"""`dl aws`: a rented GPU box, from its price to its end."""

from __future__ import annotations

from importlib import import_module

import click

from dlcli.cli.parts.help import Group

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

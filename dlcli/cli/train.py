"""`dl train RECIPE`: one subcommand per recipe, its options made from the recipe's fields."""

from __future__ import annotations

from typing import Any

import click

from dlcli.catalog import recipe_class, recipe_names, recipe_text
from dlcli.cli import Group
from dlcli.cli.helping import paragraphs
from dlcli.cli.options import Command, with_config
from dlcli.config import Config
from dlcli.fields import settings_of
from dlcli.settings import BACKBONE_SETTINGS


class Recipes(Group):
    """The recipes as subcommands."""

    kind = "recipe"

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(recipe_names())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return recipe_command(cmd_name) if cmd_name in recipe_names() else None

    def summary(self, ctx: click.Context, name: str) -> str:
        return recipe_text(name).partition("\n\n")[0]


@click.group(cls=Recipes, options_metavar="RECIPE", subcommand_metavar="[OPTIONS]")
def command() -> None:
    """Train a recipe; everything about it goes into a run directory."""


def recipe_command(name: str) -> click.Command:
    """The command that trains one recipe."""
    cls = recipe_class(name)
    keys = [f"train.{name}.{field}" for field in settings_of(cls)]
    keys += ["dataset", "seed", "image_size", "workers", "on_error"]
    if cls.layer is not None:
        keys += [key for key in BACKBONE_SETTINGS if key not in cls.pinned]

    @click.option(
        "--members",
        type=click.IntRange(min=2),
        metavar="N",
        help="train N runs, each with the next seed, and make an ensemble of them",
    )
    @with_config(*keys)
    def train(config: Config, members: int | None) -> None:
        run_training(config, name, members)

    return click.command(name, cls=Command, help=paragraphs(recipe_text(name)))(train)


def run_training(config: Config, recipe: str, members: int | None = None) -> None:
    """Train one recipe, or an ensemble of it, and say where the result is."""
    from dlcli.current import again, choose_dataset, same_runs
    from dlcli.launch import train
    from dlcli.progress import say

    choice = choose_dataset(config)
    say(str(choice))
    if members:
        from dlcli.cli.ensemble import print_ensemble
        from dlcli.ensemble import train_members

        print_ensemble(train_members(config, recipe, choice.root, members), config)
        return
    run = train(config, recipe, choice.root)
    print_result(run, f"dl evaluate{again(choice.root)}{same_runs(config)}")


def print_result(run: Any, next_command: str) -> None:
    """The scores of a finished run, where it is, and what to do next."""
    from dlcli.places import shown
    from dlcli.progress import say

    status = run.status()
    click.echo(
        f"valid accuracy {status['val_accuracy']:.4f}  log loss {status['val_loss']:.4f}  "
        f"(epoch {status['best_epoch']} of {status['epoch']})"
    )
    say(f"Saved {shown(run.path)}; next: `{next_command}`")

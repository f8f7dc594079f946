"""`dl train RECIPE`: one subcommand per recipe, its options made from the recipe's fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from dlcli.augmentation import AMOUNTS
from dlcli.catalog import recipe_class, recipe_names, recipe_text, shadowed
from dlcli.cli import Group
from dlcli.cli.helping import paragraphs
from dlcli.cli.options import Command, DebugOption, with_config
from dlcli.config import Config
from dlcli.errors import DlError
from dlcli.fields import settings_of
from dlcli.progress import say
from dlcli.settings import BACKBONE_SETTINGS


class Recipes(Group):
    """The recipes as subcommands.

    Args:
        recipe_command: makes the command of a recipe, by its name.
    """

    kind = "recipe"

    def __init__(
        self, *args: Any, recipe_command: Callable[[str], click.Command], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.recipe_command = recipe_command

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(recipe_names())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in recipe_names():
            return None
        try:
            recipe_class(cmd_name)
        except DlError as error:
            return unusable_command(cmd_name, error)
        return self.recipe_command(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        other = shadowed(args[0])
        if other and not ctx.resilient_parsing:  # completing says nothing
            say(f"Warning: {other}")
        return super().resolve_command(ctx, args)

    def summary(self, ctx: click.Context, name: str) -> str:
        try:
            return recipe_text(name).partition("\n\n")[0]
        except DlError:
            return "can't be loaded: `dl recipes` says why"


def unusable_command(name: str, error: DlError) -> click.Command:
    """The command of a recipe that can't be loaded, which says why, whatever its options."""

    def fail() -> None:
        raise error

    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    text = str(error).replace("\n", "\n\n")
    return Command(
        name, callback=fail, params=[DebugOption()], help=text, context_settings=anything
    )


def recipe_keys(name: str) -> list[str]:
    """The settings that a command takes which trains a recipe."""
    cls = recipe_class(name)
    keys = [f"train.{name}.{field}" for field in settings_of(cls)]
    keys += AMOUNTS
    keys += ["dataset", "seed", "image_size", "workers", "memory", "on_error"]
    if cls.layer is not None:
        keys += [key for key in BACKBONE_SETTINGS if key not in cls.pinned]
    return keys


def train_command(name: str) -> click.Command:
    """The command that trains one recipe."""

    @click.option(
        "--members",
        type=click.IntRange(min=2),
        metavar="N",
        help="train N runs, each with the next seed, and make an ensemble of them",
    )
    @with_config(*recipe_keys(name), "tensorboard", "keep_checkpoint")
    def train(config: Config, members: int | None) -> None:
        run_training(config, name, members)

    return click.command(name, cls=Command, help=paragraphs(recipe_text(name)))(train)


@click.group(
    cls=Recipes,
    recipe_command=train_command,
    options_metavar="RECIPE",
    subcommand_metavar="[OPTIONS]",
)
def command() -> None:
    """Train a recipe; everything about it goes into a run directory."""


def run_training(config: Config, recipe: str, members: int | None = None) -> None:
    """Train one recipe, or an ensemble of it, and say where the result is."""
    from dlcli.current import again, choose_dataset, same_runs
    from dlcli.launch import train

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
    """The scores of a finished run, what they show, where it is, and what to do next."""
    from dlcli.diagnosis import Diagnosis
    from dlcli.places import shown

    status = run.status()
    click.echo(
        f"valid accuracy {status['val_accuracy']:.4f}  log loss {status['val_loss']:.4f}  "
        f"(epoch {status['best_epoch']} of {status['epoch']})"
    )
    for line in Diagnosis.of(status["diagnosis"]).lines:
        say(line)
    say(f"Saved {shown(run.path)}; next: `{next_command}`")

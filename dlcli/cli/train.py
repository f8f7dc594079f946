"""`dl train RECIPE`: one subcommand per recipe, its options made from the recipe's fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from dlcli.catalog import (
    SHARED_KEYS,
    built_in_names,
    hyperparameter_names,
    kind_named,
    recipe_class,
    recipe_keys,
    recipe_names,
    recipe_text,
    shadowed_file,
    withheld_names,
)
from dlcli.cli.parts.help import Command, DebugOption, Group
from dlcli.cli.parts.options import PositiveNumber, WholeNumber, with_dataset
from dlcli.config import Config
from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.recipe import KINDS
from dlcli.settings.fields import settings_of
from dlcli.settings.schedule import MOST_EPOCHS
from dlcli.settings.shared import BACKBONE_SETTINGS


class Recipes(Group):
    """The recipes as subcommands.

    Args:
        recipe_command: makes the command of a recipe, by its name.
    """

    kind = "recipe"
    before_dataset = "finetune"

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
        if ctx.resilient_parsing and cmd_name not in built_in_names():
            return completed_command(cmd_name)
        try:
            recipe_class(cmd_name)
        except DlError as error:
            return unusable_command(cmd_name, error)
        return self.recipe_command(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the recipes for each kind of dataset, those that can't be loaded last."""
        by_kind: dict[str, list[tuple[str, str]]] = {kind: [] for kind in KINDS}
        for name in self.list_commands(ctx):
            by_kind.setdefault(kind_named(name), []).append((name, self.summary(ctx, name)))
        for kind, rows in by_kind.items():
            if rows:
                with formatter.section(f"Recipes for {kind}" if kind else "Other recipes"):
                    formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        other = shadowed_file(args[0])
        if other and not ctx.resilient_parsing:  # completing says nothing
            say(f"Warning: {other}")
        return super().resolve_command(ctx, args)

    def summary(self, ctx: click.Context, name: str) -> str:
        if name in withheld_names():
            return "not trusted; `dl recipes` says what to type"
        try:
            return summary(name)
        except DlError:
            return "can't be loaded; `dl recipes` says why"


def completed_command(name: str) -> click.Command:
    """The command of a project recipe while it is completed, which runs no code of a project."""
    known = (*hyperparameter_names(name), "epochs", "lr")
    own = [click.Option([f"--{each.replace('_', '-')}"]) for each in dict.fromkeys(known)]
    shared = dict.fromkeys(key for keys in SHARED_KEYS.values() for key in keys)
    function = with_dataset(*shared, *BACKBONE_SETTINGS)(lambda config: None)
    command = click.command(name, cls=Command)(function)
    command.params[:0] = own
    return command


def unusable_command(name: str, error: DlError) -> click.Command:
    """The command of a recipe that can't be loaded: it says why, for any options."""

    def fail() -> None:
        raise error

    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    text = str(error).replace("\n", "\n\n")
    return Command(
        name, callback=fail, params=[DebugOption()], help=text, context_settings=anything
    )


def summary(name: str) -> str:
    """A recipe's summary, one sentence."""
    return recipe_text(name).partition("\n\n")[0]


def more_about(name: str) -> str:
    """A hint on where the rest of a recipe's text is."""
    return f"`dl recipes {name}` explains the recipe, with its sources and expected scores."


class ScheduleOption(click.Option):
    """An option that changes a recipe's schedule, listed with its hyperparameters."""

    section = "Hyperparameters"


class Training(Command):
    """The command that trains a recipe; it knows other tools' names of the learning rate."""

    first = (
        "--epochs",
        "--lr",
        "--batch-size",
        "--dropout",
        "--unfreeze",
        "--augment",
        "--backbone",
        "--seed",
        "--dataset",
    )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name != "--learning-rate":
                raise
            raise DlError(
                f"`{ctx.command_path}` has no option `--learning-rate`",
                hint="Did you mean `--lr`?",
                exit_code=ExitCode.USAGE,
            ) from error


def schedule_options(name: str) -> list[click.Option]:
    """`--epochs` and `--lr`, unless a project recipe declares its own option of that name."""
    declared = settings_of(recipe_class(name))
    usual = declared["schedule"].default
    epochs = ScheduleOption(
        ["--epochs"],
        type=WholeNumber(1, ceiling=MOST_EPOCHS),
        metavar="N",
        help="epochs of each phase; each rate of --schedule keeps its share of them; in "
        f"`dl resume` N is the total of all phases  [default: {usual.epochs}]",
    )
    lr = ScheduleOption(
        ["--lr"],
        type=PositiveNumber(),
        metavar="X",
        help="highest learning rate; --schedule scales its other rates with it; in `dl resume` the "
        f"rate of all remaining epochs  [default: {usual.highest_rate:g}]",
    )
    return [option for option in (epochs, lr) if option.name not in declared]


def train_command(name: str) -> click.Command:
    """The command that trains one recipe."""

    @click.option(
        "--members",
        type=WholeNumber(2, 1000),
        metavar="N",
        help="train N runs with consecutive seeds, and make an ensemble of them",
    )
    @with_dataset(*recipe_keys(name), "tensorboard", "keep_checkpoint")
    def train(
        config: Config, members: int | None, epochs: int | None = None, lr: float | None = None
    ) -> None:
        run_training(config.with_schedule(name, epochs, lr), name, members)

    command = click.command(name, cls=Training, help=summary(name), epilog=more_about(name))(train)
    command.params[:0] = schedule_options(name)
    return command


@click.group(
    cls=Recipes,
    recipe_command=train_command,
    options_metavar="RECIPE",
    subcommand_metavar="[OPTIONS]",
)
def command() -> None:
    """Train a recipe, and save everything in the run's folder.

    The head is the new layers that a recipe trains on the output of a pretrained network. A run's
    name says when it began (UTC), its recipe and its main values: `-e12-lr0.003-t1` is 12 epochs,
    0.003 as the first learning rate, 1 trained layer. A changed batch size or seed follows: `-b32`,
    `-s1`.
    """


def run_training(config: Config, recipe: str, members: int | None = None) -> None:
    """Train one recipe, or an ensemble of it, and print where the result is."""
    from dlcli.data.choice import again, choose_dataset
    from dlcli.runs.choice import same_runs
    from dlcli.training.launch import train

    choice = choose_dataset(config)
    say(str(choice))
    if members:
        from dlcli.cli.ensemble import print_ensemble
        from dlcli.experiments.ensemble import train_members

        print_ensemble(train_members(config, recipe, choice.root, members), config)
        return
    with nothing_to_resume():
        run = train(config, recipe, choice.root)
    print_result(run, f"dl evaluate{again(choice.root)}{same_runs(config)}")


@contextmanager
def nothing_to_resume() -> Iterator[None]:
    """Say of Ctrl-C before the first epoch that there is no run to resume.

    Raises:
        DlError: Ctrl-C was pressed. After the first step of training it is `fit.Interrupted`.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise DlError(
            "Interrupted before training began",
            hint="There is nothing to resume: type the command again. Stored features are kept.",
            exit_code=ExitCode.INTERRUPTED,
        ) from stop


def print_result(run: Any, next_command: str) -> None:
    """Print the scores of a finished run, their diagnosis, its folder and the next command."""
    from dlcli.evaluation.diagnosis import Diagnosis
    from dlcli.evaluation.scores import SCORES
    from dlcli.runs.attempts import advice_lines

    status = run.status
    # the loss last: people look at the other score first
    scores = [*SCORES[run.record.kind].words.items()][::-1]
    told = "  ".join(f"{words} {status[f'val_{name}']:.4f}" for name, words in scores)
    click.echo(f"valid {told}  (best epoch: {status['best_epoch']} of {status['epoch']})")
    for line in advice_lines(run, Diagnosis.of(status["diagnosis"])):
        say(line)
    say(f"Saved {shown(run.path)}; next: `{next_command}`")

"""`dl lr-find RECIPE`: find a learning rate for a recipe on a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dlcli.catalog import recipe_keys
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import JSON, WholeNumber, with_dataset
from dlcli.cli.parts.tables import emit_json
from dlcli.cli.train import Recipes, more_about
from dlcli.config import Config
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.settings.schedule import MOST_EPOCHS

if TYPE_CHECKING:
    from dlcli.experiments.lr_finder import Found
    from dlcli.settings.schedule import Schedule


def lr_find_command(name: str) -> click.Command:
    """The command of one recipe's range test."""

    @click.option(
        "--steps",
        type=WholeNumber(
            10, ceiling=MOST_EPOCHS
        ),  # over 8 decades: with fewer, a step is about a decade
        default=100,
        show_default=True,
        metavar="N",
        help="batches to train on, with a rising learning rate",
    )
    @JSON
    @with_dataset(*recipe_keys(name))
    def lr_find(config: Config, steps: int, as_json: bool) -> None:
        from dlcli.data.choice import again, choose_dataset
        from dlcli.experiments.lr_finder import find_learning_rate
        from dlcli.runs.choice import same_runs

        choice = choose_dataset(config)
        say(str(choice))
        found = find_learning_rate(config, name, choice.root, steps)
        print_found(found, as_json)
        plot = f"Plot: {shown(found.figure)}"
        schedule, keys = f"train.{name}.schedule", recipe_keys(name)
        same = again(choice.root) + same_runs(config)
        if found.schedule is None:
            none = f"No suggestion: {found.test.why_none}. {plot}"
            more = f"dl lr-find {name} --steps {3 * steps}{config.retyped(keys)}{same}"
            say(none if found.test.broke_at else f"{none}; try more steps: `{more}`")
            return
        if found.test.open_ended:
            say(
                "The loss did not rise even at the highest rates, so the suggestion may be too "
                "high. Also train at a lower rate, and compare."
            )
        rates = f" --schedule {_as_typed(found.schedule)}"
        others = config.retyped(key for key in keys if key != schedule)
        say(f"{plot}; next: `dl train {name}{rates}{others}{same}`")

    help = f"Find a good learning rate for `dl train {name}`.\n\n`dl lr-find --help` says how."
    return click.command(name, cls=Command, help=help, epilog=more_about(name))(lr_find)


@click.group(
    cls=Recipes,
    recipe_command=lr_find_command,
    options_metavar="RECIPE",
    subcommand_metavar="[OPTIONS]",
)
def command() -> None:
    """Find a good learning rate (learning-rate range test).

    The command trains the recipe for 100 steps, while the learning rate rises from 1e-7 to 10. On
    stored features it suggests the rate at which the validation loss made half of its fall, else a
    tenth of the rate with the lowest training loss. It prints where it wrote a plot and a table,
    and makes no run. If it suggests no rate, use more steps: `--steps 300`.
    """


def print_found(found: Found, as_json: bool) -> None:
    """Print the suggested rate and the range of rates that were tried."""
    test = found.test
    lowest, highest = float(test.learning_rates[0]), float(test.learning_rates[-1])
    tried = len(test.learning_rates)
    if as_json:
        emit_json(
            {
                "learning_rate": test.suggestion,
                "schedule": str(found.schedule) if found.schedule else None,
                "range": [lowest, highest],
                "steps": tried,
                "figure": str(found.figure),
                "table": str(found.table),
            }
        )
        return
    suggestion = "none" if test.suggestion is None else f"{test.suggestion:g}"
    click.echo(f"learning rate  {suggestion}")
    click.echo(f"tried          {lowest:g} to {highest:.2g} in {tried} steps")


def _as_typed(schedule: Schedule) -> str:
    """A schedule as typed: 3e-3x4."""
    return ",".join(f"{_short(rate)}x{epochs}" for rate, epochs in schedule.steps)


def _short(rate: float) -> str:
    digits, _, exponent = f"{rate:e}".partition("e")
    return f"{float(digits):g}e{int(exponent)}"

"""Which runs a command is about: filters, and the dataset whose runs are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dlcli.config import Config

if TYPE_CHECKING:
    from pathlib import Path

FILTERS = click.argument("filters", metavar="[FILTER]...", nargs=-1)
ALL = click.option("--all", "everything", is_flag=True, help="runs of all datasets")


def choose_runs(config: Config, everything: bool = False) -> tuple[str | None, Path | None]:
    """The name of the dataset whose runs are meant, and its folder; both None for all datasets.

    Runs are listed without their dataset too: they may have been copied here alone.
    """
    from dlcli.data.choice import choose_dataset
    from dlcli.errors import DlError
    from dlcli.files.paths import shown
    from dlcli.progress import say
    from dlcli.runs.run import Run

    if everything:
        if config.is_flag("dataset"):
            raise click.UsageError("`--all` lists the runs of all datasets: leave out `-d`.")
        return None, None
    try:
        choice = choose_dataset(config)
    except DlError as error:
        settings = config.settings()
        named = settings.dataset
        if named is None and Run.all(settings.runs_dir):
            hint = "Of all datasets: `dl runs --all`; of one: `-d NAME`."
            raise DlError(error.what, why="which one's runs are meant?", hint=hint) from error
        if not named or not (settings.runs_dir / named).is_dir():
            raise
        say(f"Runs of {shown(named)}, a dataset that is not here")
        return named, None
    say(str(choice))
    return choice.root.name, choice.root

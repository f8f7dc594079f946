"""Which runs a command is about: filters, and the dataset whose runs are meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from dlcli.config import Config
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.progress import say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dlcli.runs.listing import Row
    from dlcli.runs.run import Run

FILTERS = click.argument("filters", metavar="[FILTER]...", nargs=-1)
TRAIN_ONE = "Train one: `dl train finetune`."
ALL = click.option("--all", "everything", is_flag=True, help="runs of all datasets")


def choose_runs(config: Config, everything: bool = False) -> tuple[str | None, Path | None]:
    """The name of the dataset whose runs are meant, and its folder; both None for all datasets.

    Runs are listed without their dataset too: they may have been copied here alone.
    """
    from dlcli.data.choice import choose_dataset
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


@dataclass(frozen=True)
class Selection:
    """The runs of one dataset, or of all, and those of them that pass some filters.

    Args:
        runs_dir: where runs are.
        dataset, root: the dataset's name and folder, as `choose_runs` tells them.
        rows: all of them, the newest first.
        kept: those that pass.
    """

    runs_dir: Path
    dataset: str | None
    root: Path | None
    rows: Sequence[Row]
    kept: Sequence[Row]

    @property
    def place(self) -> Path:
        """The folder that they lie in."""
        return self.runs_dir if self.dataset is None else self.runs_dir / self.dataset

    def require_some(self) -> None:
        """Refuse to go on with nothing.

        Raises:
            DlError: no run passes, or there is none.
        """
        if not self.kept:
            of = "" if self.dataset is None else f" of {shown(self.dataset)}"
            passes = " passes the filters" if self.rows else ""
            every = " --all" if self.dataset is None else ""
            raise DlError(
                f"No run{of} in {shown(self.runs_dir)}{passes}",
                hint=f"`dl runs{every}` lists what there is." if self.rows else TRAIN_ONE,
            )


def select_runs(
    config: Config,
    filters: Sequence[str],
    everything: bool = False,
    keys: Sequence[str] = (),
    *,
    settings: bool = False,
) -> Selection:
    """The runs that are meant, and those that pass the filters.

    Args:
        config: the settings.
        filters: as they were typed.
        everything: whether the runs of all datasets are meant.
        keys: what else is asked of each run.
        settings: whether each row has the run's settings; else only where a filter or key asks.

    Raises:
        DlError: no dataset is known, or a filter is none.
    """
    from dlcli.runs.filters import filtered, needs_settings, read_filter
    from dlcli.runs.listing import list_runs

    wanted = [read_filter(text) for text in filters]
    asked = settings or needs_settings([*(each.key for each in wanted), *keys])
    dataset, root = choose_runs(config, everything)
    runs_dir = config.settings().runs_dir
    rows = list_runs(runs_dir, dataset, settings=asked)
    return Selection(runs_dir, dataset, root, rows, filtered(rows, wanted))


def named_or_newest(config: Config, named: Sequence[str], *, finished: bool) -> list[Run]:
    """The runs that were named; where none was, the dataset's newest two, the older first, said.

    Args:
        config: the settings.
        named: as they were typed.
        finished: whether none but finished runs will do.

    Raises:
        DlError: there is no such run, or there are no two.
    """
    from dlcli.runs.choice import find_finished_run, find_run, may_be_of
    from dlcli.runs.listing import DAMAGED

    if named:
        if config.is_flag("dataset"):
            raise click.UsageError("`-d` is for the newest two runs: leave it out, or the names.")
        find = find_finished_run if finished else find_run
        return [find(name, config.settings().runs_dir) for name in named]
    found = select_runs(config, ["state=finished" if finished else f"state!={DAMAGED}"])
    of_it = [row for row in found.kept if found.root is None or may_be_of(row.run, found.root)]
    if len(of_it) < 2:
        raise DlError(
            f"No two {'finished ' if finished else ''}runs in {shown(found.place)}",
            why="it takes two, and none was named",
            hint="`dl runs --all` lists what there is." if found.rows else TRAIN_ONE,
        )
    newer, older = (row.run for row in of_it[:2])
    say(f"The newest two: {shown(older.name)} and {shown(newer.name)}")
    return [older, newer]

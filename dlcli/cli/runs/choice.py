"""Choose the runs that a command works on: by dataset, filters or names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from dlcli.config import RECORD, Config
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.progress import say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dlcli.runs.filters import Filter
    from dlcli.runs.listing import Row
    from dlcli.runs.run import Run

FILTERS = click.argument("filters", metavar="[FILTER]...", nargs=-1)
ALL = click.option("--all", "everything", is_flag=True, help="runs of all datasets")


def choose_runs(
    config: Config, everything: bool = False, *, lasting: bool = False
) -> tuple[str | None, Path | None]:
    """The name and the folder of the dataset whose runs to use; both None for all datasets.

    The dataset need not exist: its runs may have been copied without it. A question about the runs
    of another dataset does not change the one last named.

    Args:
        config: the settings.
        everything: whether to use the runs of all datasets.
        lasting: whether a named dataset may be remembered.
    """
    from dlcli.data.choice import choose_dataset
    from dlcli.runs.run import Run

    if everything:
        if config.is_flag("dataset"):
            raise click.UsageError("`--all` and `-d` exclude each other: leave out one of them.")
        return None, None
    try:
        choice = choose_dataset(config, lasting=lasting)
    except DlError as error:
        settings = config.settings()
        named = settings.dataset
        if named is None and Run.all(settings.runs_dir):
            hint = "Name the dataset, `-d NAME`, or list all runs: `dl runs --all`."
            raise DlError(error.what, hint=hint) from error
        if not named or not (settings.runs_dir / named).is_dir():
            raise
        say(f"Runs of {shown(named)}, a dataset that does not exist here")
        return named, None
    say(str(choice))
    return choice.root.name, choice.root


@dataclass(frozen=True)
class Selection:
    """The runs of one dataset or of all, and those that pass the filters.

    Args:
        runs_dir: the runs folder.
        dataset, root: the dataset's name and folder, as by `choose_runs`.
        rows: all runs, the newest first.
        filters: the conditions.
        kept: the runs that pass.
    """

    runs_dir: Path
    dataset: str | None
    root: Path | None
    rows: Sequence[Row]
    filters: Sequence[Filter]
    kept: Sequence[Row]

    @property
    def place(self) -> Path:
        """The folder of the runs."""
        return self.runs_dir if self.dataset is None else self.runs_dir / self.dataset

    @property
    def listing(self) -> str:
        """The command that lists all of these runs."""
        return f"dl runs{self.same}"

    @property
    def same(self) -> str:
        """The options that make another command take these runs."""
        import shlex

        from dlcli.data.choice import again
        from dlcli.runs.choice import in_runs_dir

        which = again(self.root)
        if self.dataset is None:
            which = " --all"
        elif self.root is None:
            which = f" -d {shlex.quote(self.dataset)}"
        return f"{which}{in_runs_dir(self.runs_dir)}"

    def require_some(self) -> None:
        """Refuse an empty selection.

        Raises:
            DlError: no run passes, or there is none.
        """
        from dlcli.runs.choice import train_one

        if not self.kept:
            of = "" if self.dataset is None else f" of {shown(self.dataset)}"
            passes = " passes the filters" if self.rows else ""
            hint = train_one(self.runs_dir, self.root)
            if self.rows:
                hint = f"Values of the runs: {self.values_there}\n"
                hint += f"List them without filters: `{self.listing}`."
            raise DlError(f"No run{of} in {shown(self.runs_dir)}{passes}", hint=hint)

    @property
    def values_there(self) -> str:
        """The values that runs have of the filters' keys, for a filter that none passes."""
        from dlcli.runs.filters import values_there

        return values_there(self.rows, self.filters)


def select_runs(
    config: Config,
    filters: Sequence[str],
    everything: bool = False,
    keys: Sequence[str] = (),
    *,
    settings: bool = False,
    lasting: bool = False,
) -> Selection:
    """Select runs by dataset and filters.

    Args:
        config: the settings.
        filters: the filters as typed.
        everything: whether to use the runs of all datasets.
        keys: other keys that are needed of each run.
        settings: whether each row has the run's settings; else only if a filter or key needs them.
        lasting: whether a named dataset may be remembered.

    Raises:
        DlError: no dataset is known, or a filter is wrong.
    """
    from dlcli.runs.filters import filtered, needs_settings, read_filter
    from dlcli.runs.listing import list_runs

    wanted = [read_filter(text) for text in filters]
    asked = settings or needs_settings([*(each.key for each in wanted), *keys])
    dataset, root = choose_runs(config, everything, lasting=lasting)
    runs_dir = config.settings().runs_dir
    rows = list_runs(runs_dir, dataset, settings=asked)
    return Selection(
        runs_dir=runs_dir,
        dataset=dataset,
        root=root,
        rows=rows,
        filters=wanted,
        kept=filtered(rows, wanted),
    )


def next_command(run: Run, config: Config) -> str:
    """The next command for a finished run: its report, then its submission or photos."""
    import shlex

    from dlcli.data.dataset import has_images
    from dlcli.inference.predict import has_predictions
    from dlcli.runs.choice import dataset_of, name_to_type, same_runs

    settings = config.settings()
    words = f"{shlex.quote(name_to_type(run, settings.runs_dir))}{same_runs(config)}"
    if not run.report_file.is_file():
        return f"dl evaluate {words}"
    root = dataset_of(run, settings.data_dir)
    can_submit = has_images(root, "test") if root else has_predictions(run, "test", None)
    return f"dl submit {words}" if can_submit else f"dl predict {words} PHOTO..."


def named_or_newest(config: Config, named: Sequence[str], *, finished: bool) -> list[Run]:
    """The named runs, or by default the dataset's newest two, the older first, with a message.

    Args:
        config: the settings.
        named: the names as typed.
        finished: whether to use finished runs only.

    Raises:
        DlError: there is no such run, or there are no two.
    """
    from dlcli.files.formats import below
    from dlcli.runs.choice import find_finished_run, find_run, may_be_of, train_one, training
    from dlcli.runs.listing import DAMAGED

    if named:
        if config.is_flag("dataset"):
            raise click.UsageError("`-d` selects the newest two runs: leave out `-d` or the names.")
        find = find_finished_run if finished else find_run
        settings = config.settings()
        return [find(name, settings.runs_dir, settings.data_dir) for name in named]
    found = select_runs(config, ["state=finished" if finished else f"state!={DAMAGED}"])
    of_it = [row for row in found.kept if found.root is None or may_be_of(row.run, found.root)]
    if len(of_it) < 2:
        hint = train_one(found.runs_dir, found.root)
        if of_it:
            hint = f"Train another: `{training(found.runs_dir, found.root, 'fc')}`."
        if found.rows:
            hint += f" `{found.listing}` lists all."
        raise DlError(
            f"Fewer than two {'finished ' if finished else ''}runs in {shown(found.place)}",
            why="without names, the command takes the newest two",
            hint=hint,
        )
    newer = of_it[0].run
    recorded = below(newer.config, RECORD, "members")
    members = {below(each, "name") for each in recorded} if isinstance(recorded, list) else set()
    others = [row.run for row in of_it[1:] if row.run.name not in members]
    older = next(iter(others), of_it[1].run)
    skipped = ", without its members" if older != of_it[1].run else ""
    say(f"The newest two: {shown(older.name)} and {shown(newer.name)}{skipped}")
    return [older, newer]


def named_or_last(
    config: Config, named: str | None, *, trained: bool = False, lasting: bool = False
) -> Run:
    """The named run, or by default the newest one of the dataset, with a message.

    Args:
        config: the settings.
        named: the name as typed; or a dataset, as if it were named by `-d`.
        trained: whether to pass over ensembles.
        lasting: whether a named dataset may be remembered.

    Raises:
        DlError: there is no such run, or none of the dataset.
    """
    from dlcli.data.choice import with_named
    from dlcli.runs.choice import may_be_of, names_dataset, train_one
    from dlcli.runs.listing import find_listed
    from dlcli.runs.record import ENSEMBLE

    settings = config.settings()
    if named and names_dataset(config, named):
        config = with_named(config, named)
    elif named:
        if config.is_flag("dataset"):
            raise click.UsageError("`-d` selects the newest run: leave out `-d` or the name.")
        return find_listed(named, settings.runs_dir, settings.data_dir)
    filters = [f"recipe!={ENSEMBLE}"] if trained else []
    found = select_runs(config, filters, lasting=lasting)
    of_it = (row.run for row in found.kept if not found.root or may_be_of(row.run, found.root))
    run = next(of_it, None)
    if run is None:
        hint = train_one(found.runs_dir, found.root)
        if found.rows:
            hint += f" `{found.listing}` lists all."
        what = "trained run" if trained else "run"
        raise DlError(f"No {what} in {shown(found.place)}", hint=hint)
    say(f"Run {shown(run.path)} (the newest of {shown(run.dataset)})")
    return run

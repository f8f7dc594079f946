"""Choose the runs that a command works on: by dataset, filters or names."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from dlcli import words
from dlcli.cli.parts.datasets import require_place
from dlcli.config import Config
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.settings_file import RECORD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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
        from dlcli.data.choice import again
        from dlcli.runs.choice import in_runs_dir

        which = again(self.root)
        if self.dataset is None:
            which = " --all"
        elif self.root is None:
            which = f" -d {shlex.quote(self.dataset)}"
        return f"{which}{in_runs_dir(self.runs_dir)}"

    def of_the_dataset(self) -> Selection:
        """The same without the runs of another dataset of that name, with a message.

        A run that does not record its dataset stays.
        """
        from dlcli.runs.dataset import is_of_another

        if self.root is None:
            return self
        others = {row.run for row in self.rows if is_of_another(row.run, self.root)}
        kept = [row for row in self.kept if row.run not in others]
        if left_out := len(self.kept) - len(kept):
            what = words.count(left_out, "run")
            say(f"Left out {what} of another dataset that is called {shown(self.root.name)}.")
        rows = [row for row in self.rows if row.run not in others]
        return replace(self, rows=rows, kept=kept)

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
        filters: the filters as typed; also the name of a recipe or a state, alone.
        everything: whether to use the runs of all datasets.
        keys: other keys that are needed of each run.
        settings: whether each row has the run's settings; else only if a filter or key needs them.
        lasting: whether a named dataset may be remembered.

    Raises:
        DlError: no dataset is known, or a filter is wrong.
    """
    from dlcli.runs.filters import filtered, needs_settings, typed_filter
    from dlcli.runs.listing import list_runs

    wanted = [typed_filter(text, config.settings()) for text in filters]
    asked = settings or needs_settings([*(each.key for each in wanted), *keys])
    dataset, root = choose_runs(config, everything, lasting=lasting)
    runs_dir = config.settings().runs_dir
    require_place(config, "runs_dir")
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
    """The next command for a finished run: its report, then its submission or predictions."""
    from dlcli.cli.predict.ways import WAYS
    from dlcli.data.dataset import UNMARKED
    from dlcli.data.kinds import has_test
    from dlcli.files.formats import below
    from dlcli.inference.kept import has_predictions
    from dlcli.runs.choice import name_to_type, same_runs
    from dlcli.runs.dataset import dataset_of

    settings = config.settings()
    words = f"{shlex.quote(name_to_type(run, settings.runs_dir))}{same_runs(config)}"
    if not run.report_file.is_file():
        return f"dl evaluate {words}"
    root = dataset_of(run, settings.data_dir)
    can_submit = has_test(root) if root else has_predictions(run, "test", None)
    way = WAYS.get(str(below(run.config, RECORD, "kind")), WAYS[UNMARKED])
    return f"dl submit {words}" if can_submit else f"dl predict {words} {way.typed}"


def find_named(config: Config, named: Sequence[str], find: Callable[..., Run]) -> list[Run]:
    """The named runs, each as by `find`; with `-d`, runs of that dataset.

    Args:
        config: the settings.
        named: the names as typed.
        find: `find_run`, `find_finished_run` or `find_listed`.

    Raises:
        DlError: there is no such run, or it is one of another dataset.
    """
    from dlcli.runs.choice import within
    from dlcli.runs.dataset import is_of_another, not_of

    settings = config.settings()
    dataset, root = choose_runs(config) if config.is_flag("dataset") else (None, None)
    found = []
    for name in named:
        typed = name if dataset is None else within(dataset, name, settings.runs_dir)
        run = find(typed, settings.runs_dir, settings.data_dir)
        if dataset not in (None, run.dataset):
            raise not_of(run, dataset)
        if root and is_of_another(run, root):
            raise not_of(run, root)
        found.append(run)
    return found


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
    from dlcli.runs.choice import find_finished_run, find_run, train_one, training
    from dlcli.runs.dataset import may_be_of
    from dlcli.runs.listing import DAMAGED

    if named:
        return find_named(config, named, find_finished_run if finished else find_run)
    found = select_runs(config, ["state=finished" if finished else f"state!={DAMAGED}"])
    of_it = [row for row in found.kept if found.root is None or may_be_of(row.run, found.root)]
    if len(of_it) < 2:
        hint = train_one(found.runs_dir, found.root)
        if of_it:
            hint = f"Train another: `{training(found.runs_dir, found.root, other=True)}`."
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
    is_rerun, further = _of_parent(newer, older, [row.run for row in of_it])
    say(f"The newest two: {shown(older.name)} and {shown(newer.name)}{skipped}{is_rerun}")
    if further:
        say(further)
    return [older, newer]


def _of_parent(newer: Run, older: Run, runs: Sequence[Run]) -> tuple[str, str]:
    """Of a rerun, that the other run is its parent; else a sentence with the command for those."""
    from dlcli.files.formats import below
    from dlcli.runs.choice import typed_run

    name = str(below(newer.config, RECORD, "parent") or "").rpartition("/")[2]
    parent = next((run for run in runs if run.name == name), None)
    if parent is None:
        return "", ""
    if parent == older:
        return ", its rerun", ""
    command = click.get_current_context().command_path
    return "", (
        f"{shown(newer.name)} is a rerun of {shown(name)}. To compare these: "
        f"`{command} {typed_run(parent)} {typed_run(newer)}`"
    )


def named_or_last(
    config: Config,
    named: str | None,
    *,
    trained: bool = False,
    finished: bool = False,
    lasting: bool = False,
) -> Run:
    """The named run, or by default the newest one of the dataset, with a message.

    Args:
        config: the settings.
        named: the name as typed; or a dataset, as if it were named by `-d`.
        trained: whether to pass over ensembles.
        finished: whether to pass over runs that are not finished.
        lasting: whether a named dataset may be remembered.

    Raises:
        DlError: there is no such run, or none of the dataset.
    """
    from dlcli.data.choice import with_named
    from dlcli.runs.choice import names_dataset, train_one
    from dlcli.runs.dataset import may_be_of
    from dlcli.runs.listing import find_listed
    from dlcli.runs.record import ENSEMBLE

    if named and names_dataset(config, named):
        config = with_named(config, named)
    elif named:
        return find_named(config, [named], find_listed)[0]
    filters = [f"recipe!={ENSEMBLE}"] if trained else []
    if finished:
        filters.append("state=finished")
    found = select_runs(config, filters, lasting=lasting)
    of_it = (row.run for row in found.kept if not found.root or may_be_of(row.run, found.root))
    run = next(of_it, None)
    if run is None:
        hint = train_one(found.runs_dir, found.root)
        if found.rows:
            hint += f" `{found.listing}` lists all."
        what = "trained run" if trained else "run"
        if finished:
            what = f"finished {what}"
        raise DlError(f"No {what} in {shown(found.place)}", hint=hint)
    say(f"Run {shown(run.path)} (the newest of {shown(run.dataset)})")
    return run

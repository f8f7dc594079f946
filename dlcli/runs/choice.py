"""Choose the run that a command works on: by name, or the newest of the current dataset."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.catalog import recipe_names
from dlcli.config import Config, load_config
from dlcli.data.choice import (
    again,
    choose_dataset,
    dataset_meant,
    dataset_names,
    typed_name,
    with_named,
)
from dlcli.data.dataset import UNMARKED, kind_of
from dlcli.errors import MOST_NAMED, DlError, ExitCode, did_you_mean, nearest
from dlcli.evaluation.scores import scores_of
from dlcli.files.formats import below, damaged
from dlcli.files.paths import expanded, quoted, shown
from dlcli.progress import say
from dlcli.runs.dataset import dataset_of, may_be_of, require_own, say_moved
from dlcli.runs.run import Run
from dlcli.words import count

if TYPE_CHECKING:
    from dlcli.runs.record import RecordedMember
    from dlcli.settings.shared import Settings

# 0.9: two trainings that differ in their seed alone often differ by some percent.
CLEARLY_LOWER = 0.9
# The recipes to try first on each kind of dataset.
SUGGESTED: Mapping[str, tuple[str, str]] = {
    "photos": ("finetune", "fc"),
    "ratings": ("collab-dot", "collab-net"),
}


@dataclass(frozen=True)
class ChosenRun:
    """A run, its dataset's folder (None if missing), and why the run was chosen.

    Args:
        lasts: as of its dataset's `Choice`.
        better: if nobody named the run, one that judged the same images with a clearly lower log
            loss.
    """

    run: Run
    root: Path | None
    why: str
    lasts: bool = True
    better: Run | None = None

    def __str__(self) -> str:
        return f"Run {shown(self.run.path)} ({self.why})"


def choose_run(config: Config, named: str | None, *, of_new_images: bool = False) -> ChosenRun:
    """Choose the run: named > the newest finished run of the current dataset.

    Args:
        named: a run's folder, or its name, or a part of that; or a dataset, as if it were named by
            `-d`.
        of_new_images: whether it has to predict images; then an ensemble that lacks a member is
            passed over, with a message.

    Raises:
        DlError: no such run, not finished, or none finished.
    """
    if named is not None:
        if not names_dataset(config, named):
            return named_run(config, named)
        config = with_named(config, named)
    runs_dir = config.settings().runs_dir
    choice = choose_dataset(config)
    statuses = {run: run.status for run in Run.all(runs_dir, choice.root.name)}
    finished = _newest_first(statuses, "finished")
    own = [run for run in finished if may_be_of(run, choice.root)]
    newest = next((run for run in own if not (of_new_images and _lacks_members(run))), None)
    if newest is None:
        why = "all runs there belong to another dataset of that name"
        hint = train_one(runs_dir, choice.root)
        stopped = _newest_first(statuses, "interrupted")
        if run := next((run for run in stopped if may_be_of(run, choice.root)), None):
            hint = f"Resume the interrupted run: `{_resuming(run, config)}`. {hint}"
        raise DlError(
            f"No finished run of {choice.root.name} in {shown(runs_dir)}",
            why=why if finished and not own else "",
            hint=hint,
        )
    say_moved(newest, choice.root)
    why = f"the newest finished run of {choice.root.name}, the dataset {choice.why}"
    older = own[own.index(newest) + 1 :]  # the newer ones were passed over
    losses = {run: _loss(statuses[run]) for run in [newest, *older]}
    better = next(
        (
            run
            for run in sorted(older, key=losses.__getitem__)
            if losses[run] < CLEARLY_LOWER * losses[newest]
            and _judged_same_images(run, newest)
            and not (of_new_images and _lacks_members(run))
        ),
        None,
    )
    return ChosenRun(newest, choice.root, why, choice.lasts, better)


def say_chosen(chosen: ChosenRun, config: Config, command: str, further: str = "") -> None:
    """Say which run a command takes, and which other one has a clearly lower valid loss.

    Args:
        chosen: the run.
        config: the settings.
        command: what was typed before RUN: "submit".
        further: what has to follow RUN: "--format onnx".
    """
    say(str(chosen))
    if (better := chosen.better) is None:
        return
    name = shlex.quote(name_to_type(better, config.settings().runs_dir))
    typed = " ".join(filter(None, ("dl", command, name, further)))
    losses = f"{_loss(better.status):.4f} (this run {_loss(chosen.run.status):.4f})"
    say(
        f"Lower valid {_loss_of(better)}: {shown(better.name)} {losses}. To take it: "
        f"`{typed}{same_runs(config)}`"
    )


def _loss(status: Mapping[str, Any]) -> float:
    """The recorded valid log loss; infinity if there is none."""
    loss = status.get("val_loss")
    return loss if isinstance(loss, int | float) and math.isfinite(loss) else math.inf


def _loss_of(run: Run) -> str:
    """What people call the loss of a run."""
    return scores_of(run.status).words["loss"]


def _judged_same_images(run: Run, other: Run) -> bool:
    """Whether two runs have the same validation images, so that their losses compare."""
    try:
        mine, theirs = (
            below(each.config, "run", "dataset", "fingerprints", "valid") for each in (run, other)
        )
    except DlError:
        return False
    return bool(mine == theirs)


def names_dataset(config: Config, word: str) -> bool:
    """Whether a word in place of a run is the name or the path of a dataset, and not of a run."""
    settings = config.settings()
    if _runs_named(word, settings.runs_dir):
        return False
    return dataset_meant(word, settings.data_dir) is not None


def word_meant(word: str, settings: Settings) -> str:
    """What a word may mean that is neither a command nor a filter, as a hint; "" if unknown.

    Datasets and runs get the command that shows them. Of a misspelt word, the nearest recipes,
    datasets and runs are named.
    """
    if root := dataset_meant(word, settings.data_dir):
        return f"{shown(word)} is a dataset: `dl runs -d {typed_name(root)}`."
    runs = Run.all(settings.runs_dir)
    if found := runs_with_part(word, runs):
        which = f"{found[0].name} is a run" if len(found) == 1 else "It is part of runs' names"
        return f"{which}: `dl runs show {shlex.quote(word)}`."
    names = {
        "recipe": recipe_names(),
        "dataset": dataset_names(settings.data_dir),
        "run": [run.name for run in runs],
    }
    near = [f"the {kind} {alike}" for kind in names if (alike := nearest(word, names[kind]))]
    return f"Did you mean {' or '.join(near)}?" if near else ""


def named_run(config: Config, named: str) -> ChosenRun:
    """The finished run of a name, with its dataset.

    Raises:
        DlError: no such run, not finished, or not a run of the dataset of `-d`.
    """
    settings = config.settings()
    if not config.is_flag("dataset"):
        run = find_finished_run(named, settings.runs_dir, settings.data_dir)
        return ChosenRun(run, dataset_of(run, settings.data_dir), "named")
    root = choose_dataset(config).root
    named = within(root.name, named, settings.runs_dir)
    run = find_finished_run(named, settings.runs_dir, settings.data_dir)
    require_own(run, root)
    return ChosenRun(run, root, "named")


def _lacks_members(run: Run) -> bool:
    """Whether a member of an ensemble is gone, with a message."""
    try:
        gone = missing_members(run)
    except DlError:  # the command that opens the run says what is damaged
        return False
    if gone:
        say(f"Passed over {run.name}: its member {gone[0].name} is gone.")
    return bool(gone)


def missing_members(run: Run) -> list[RecordedMember]:
    """The members of an ensemble that are neither at their recorded paths nor beside it.

    Raises:
        DlError: the run's record is damaged.
    """
    return [each for each in run.record.members if run.member(each) is None]


def interrupted_run(config: Config) -> Run:
    """The only interrupted run of all datasets.

    Raises:
        DlError: there is none, or there are several; lists the command for each, newest first.
    """
    runs_dir = config.settings().runs_dir
    statuses = {run: run.status for run in Run.all(runs_dir)}
    found = _newest_first(statuses, "interrupted")
    if len(found) == 1:
        return found[0]
    if not found:
        further = "To train a finished run for more epochs: `dl resume RUN --epochs N`."
        further += " `dl runs --all` lists runs."
        failed = [run for run in _newest_first(statuses, "failed") if not run.is_damaged]
        if failed:
            further = f"To resume a failed run: `{_resuming(failed[0], config)}`. {further}"
        raise DlError(
            f"No interrupted run in {shown(runs_dir)}",
            hint=further if statuses else train_one(runs_dir),
        )
    commands = [
        f"`{_resuming(run, config)}`, {count(statuses[run].get('epoch') or 0, 'epoch')} done"
        for run in found
    ]
    raise DlError(
        f"{len(found)} runs in {shown(runs_dir)} are interrupted: which one?",
        hint="\n".join(commands),
        exit_code=ExitCode.USAGE,
    )


def _newest_first(statuses: Mapping[Run, Mapping[str, Any]], state: str) -> list[Run]:
    """The runs in a state, by the time at which they began."""
    found = [run for run in statuses if statuses[run]["state"] == state]
    age = {run: (str(statuses[run].get("started", "")), run.name) for run in found}
    return sorted(found, key=age.__getitem__, reverse=True)


def _resuming(run: Run, config: Config) -> str:
    """The command that resumes a run."""
    name = name_to_type(run, config.settings().runs_dir)
    return f"dl resume {shlex.quote(name)}{same_runs(config)}"


def find_finished_run(
    named: str, runs_dir: Path, data_dir: Path | None = None, *, whole: bool = False
) -> Run:
    """A finished run of any dataset, as found by `find_run`.

    Raises:
        DlError: there is none, or it is not finished.
    """
    run = find_run(named, runs_dir, data_dir, whole=whole)
    run.require_own()
    if run.is_damaged:
        hint = f"Restore it, take another run, or train it again: `dl rerun {typed_run(run)}`."
        raise damaged(run.status_file, "it is empty, or ends amid a line", hint)
    words = {"failed": "it failed", "interrupted": "it was interrupted"}
    if (state := run.state) in words:
        raise DlError(
            f"{run.name} is not finished",
            why=words[state],
            hint=f"Resume it: `dl resume {typed_run(run)}`.",
        )
    if state == "running":
        raise DlError(
            f"{run.name} is not finished",
            why="it is being trained",
            hint="Wait for it, or use another run.",
        )
    return run


def name_among(run: Run, runs_dir: Path) -> str:
    """A name that finds a run: `<dataset>/<name>` in the runs folder, its whole path elsewhere."""
    inside = run.path.is_relative_to(runs_dir)
    return str(run.path.relative_to(runs_dir) if inside else run.path)


def name_to_type(run: Run, runs_dir: Path) -> str:
    """A name to type for a run: its own, with its dataset's if that is ambiguous."""
    try:
        found = find_run(run.name, runs_dir, whole=True).path
    except DlError:
        found = None
    return run.name if found == run.path else name_among(run, runs_dir)


def typed_run(run: Run) -> str:
    """A run as it can be typed in any command: its name, or its path in another runs folder."""
    return shlex.quote(name_to_type(run, load_config().settings().runs_dir))


def find_run(
    named: str, runs_dir: Path, data_dir: Path | None = None, *, whole: bool = False
) -> Run:
    """A run given by its folder, its name, `<dataset>/<name>`, or a part of these.

    A whole name wins over a part, the beginning of a name over a part amid it. A message says which
    run a part stands for.

    Args:
        named: what was typed.
        runs_dir: the folder of all runs.
        data_dir: the data folder, to recognise a dataset; None: as in the settings.
        whole: whether to refuse a part of a name: `dl` recorded the name, or nobody is asked.

    Raises:
        DlError: there is no such run, or there are several.
    """
    found = _runs_named(named, runs_dir)
    if len(found) == 1:
        return found[0]
    if found:
        raise DlError(
            f"{named!r} is the name of {len(found)} runs",
            hint="Name its folder too: "
            + " or ".join(f"`{run.path.parent.name}/{named}`" for run in found),
        )
    runs = Run.all(runs_dir)
    hint = did_you_mean(named, [run.name for run in runs]) or train_one(runs_dir)
    if root := dataset_meant(named, data_dir or load_config().settings().data_dir):
        listed = f"`dl runs -d {typed_name(root)}`"
        hint = f"{shown(named)} is a dataset, not a run. {listed} lists its runs."
    elif alike := runs_with_part(named, runs):
        if not whole:
            return _only_one(named, alike, runs_dir)
        hint = "Name it in full: " + " or ".join(f"`{run.name}`" for run in alike[:2])
    elif named == "best":
        hint = "`dl runs best` prints the best run's name: `dl runs show $(dl runs best)`."
    raise DlError(
        f"No such run: {shown(named)}",
        why=f"{shown(runs_dir)} has nothing of that name",
        hint=hint,
    )


def _runs_named(named: str, runs_dir: Path) -> list[Run]:
    """The run at a path, or all runs of a name."""
    for path in (expanded(named), runs_dir / named):
        if named and Run(path).is_run:
            return [Run(Path(os.path.abspath(path)))]
    return [run for run in Run.all(runs_dir) if run.path.name == named]


def runs_with_part(part: str, runs: Sequence[Run]) -> list[Run]:
    """The runs whose names begin with a text, else those whose names contain it.

    `X` is not a part of `X-2`, the second run of that name: `X` may have been removed.
    """
    dataset, slash, part = part.rpartition("/")
    if not part:
        return []
    numbered = re.compile(rf"{re.escape(part)}-\d+")
    among = [
        run
        for run in runs
        if part in run.name
        and not (slash and run.dataset != dataset)
        and not numbered.fullmatch(run.name)
    ]
    return [run for run in among if run.name.startswith(part)] or among


def within(dataset: str, named: str, runs_dir: Path) -> str:
    """A run's name or a part of it, with its dataset's if a run of that dataset has it."""
    inside = f"{dataset}/{named}"
    return inside if runs_with_part(inside, Run.all(runs_dir, dataset)) else named


def _only_one(part: str, runs: Sequence[Run], runs_dir: Path) -> Run:
    """The one run whose name has a part, with a message.

    Raises:
        DlError: there are several; lists them, the newest first.
    """
    if len(runs) == 1:
        say(f"{shown(part)} stands for {runs[0].name}.")
        return runs[0]
    newest = sorted(runs, key=lambda run: run.name, reverse=True)
    names = [shown(name_to_type(run, runs_dir)) for run in newest[:MOST_NAMED]]
    if len(runs) > MOST_NAMED:
        names.append(f"and {len(runs) - MOST_NAMED} more")
    raise DlError(
        f"{shown(part)} is part of the names of {len(runs)} runs: which one?",
        hint="\n".join(names),
        exit_code=ExitCode.USAGE,
    )


def same_runs(config: Config) -> str:
    """The option that makes the next command use the same runs folder; "" where it needs none."""
    named = config.is_flag("runs_dir")
    return f" --runs-dir {quoted(config.settings().runs_dir)}" if named else ""


def train_one(runs_dir: Path, root: Path | None = None) -> str:
    """The hint to train a run, where a command lacks one.

    Args:
        runs_dir: the runs folder in which the command looked.
        root: the dataset's folder; None if the command is not about one.
    """
    return f"Train one: `{training(runs_dir, root)}`."


def training(runs_dir: Path, root: Path | None = None, *, other: bool = False) -> str:
    """The command that trains a run; see `train_one`.

    Args:
        other: whether to train another recipe than the first to try.
    """
    which, kind = again(root), UNMARKED
    try:
        kind = kind_of(root or choose_dataset(load_config()).root)
    except DlError:
        which = " -d DATASET"
    return f"dl train {SUGGESTED[kind][other]}{which}{in_runs_dir(runs_dir)}"


def in_runs_dir(runs_dir: Path) -> str:
    """The option that makes the next command use this runs folder; "" where it needs none."""
    usual = load_config().settings().runs_dir
    return "" if usual == runs_dir else f" --runs-dir {quoted(runs_dir)}"

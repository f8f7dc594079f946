"""Which dataset and which run a command takes when none is named, and why."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dlcli.config import Config, load_config
from dlcli.errors import DlError, did_you_mean
from dlcli.files.atomic import atomic_write
from dlcli.files.formats import read_text
from dlcli.files.paths import expanded, shown, state_home, typed
from dlcli.progress import say
from dlcli.run import Run
from dlcli.run_dataset import dataset_of, may_be_of, require_own, say_moved


@dataclass(frozen=True)
class Choice:
    """A dataset's folder, and the words for why it was taken."""

    root: Path
    why: str

    def __str__(self) -> str:
        return f"Dataset {shown(self.root)} ({self.why})"


@dataclass(frozen=True)
class ChosenRun:
    """A run, where its dataset is (None: nowhere), and the words for why it was taken."""

    run: Run
    root: Path | None
    why: str

    def __str__(self) -> str:
        return f"Run {shown(self.run.path)} ({self.why})"


def choose_dataset(config: Config, named: str | None = None) -> Choice:
    """Decide on the dataset: named > the setting > the current folder's > last named.

    Args:
        config: the settings.
        named: what was typed as a positional, if anything: a path, or a name under the data
            folder. What is typed here or by `-d` is remembered for the next command.

    Raises:
        DlError: the one that is named does not exist, or none is known.
    """
    settings = config.settings()
    if named is None and config.is_flag("dataset"):
        named = settings.dataset
    if named is not None:
        root = find_dataset(named, settings.data_dir)
        remember(root)
        return Choice(root, "named")
    if settings.dataset is not None:
        root = find_dataset(settings.dataset, settings.data_dir)
        origin = config.get("dataset").origin
        return Choice(root, f"by {'' if origin == 'DL_DATASET' else '`dataset` in '}{origin}")
    if here := _dataset_around(Path.cwd(), settings.data_dir):
        return Choice(here, "of the current folder")
    if last := last_named():
        if last.is_dir():
            return Choice(last, "last named")
        raise DlError(
            f"{shown(last)}, the dataset last named, is gone",
            hint="Name another: a path, or a name under the data folder.",
        )
    raise DlError(
        "No dataset is named",
        why="none was named before either",
        hint="Make one of a folder of pictures, `dl data organize FOLDER`, or name one: "
        "`dl data split DATASET`, `-d DATASET` in other commands. `dl data ls` lists them.",
    )


def again(root: Path | None, flag: str = "-d ") -> str:
    """What the next command needs typed to take this dataset too: nothing, where it will anyway.

    Args:
        root: the dataset's folder.
        flag: how the next command wants it.
    """
    try:
        taken = choose_dataset(load_config()).root
    except DlError:
        taken = None
    return "" if root is None or taken == root else f" {flag}{typed(root)}"


def same_runs(config: Config) -> str:
    """What the next command needs typed to look among the same runs."""
    named = config.is_flag("runs_dir")
    return f" --runs-dir {typed(config.settings().runs_dir)}" if named else ""


def find_dataset(named: str, data_dir: Path) -> Path:
    """The folder of a dataset given by a path, or by a name under the data folder.

    Raises:
        DlError: there is no such folder; names the nearest under the data folder.
    """
    path = expanded(named)
    candidates = [path] if os.sep in named or named in (".", "..") else [data_dir / path, path]
    for candidate in candidates if named else ():
        if candidate.is_dir():
            return Path(os.path.abspath(candidate))
    for candidate in candidates:
        if candidate.is_file():
            raise DlError(
                f"{shown(candidate)} is a file",
                why="a dataset is a folder",
                hint="Make one of it: `dl data organize`.",
            )
    raise DlError(
        f"No such dataset: {shown(named)}",
        why=f"no folder {shown(candidates[0])}",
        hint=did_you_mean(path.name, dataset_names(data_dir))
        or "Make one: `dl data organize SRC`, or name its folder.",
    )


def dataset_names(data_dir: Path) -> tuple[str, ...]:
    """The folders under the data folder, sorted."""
    try:
        with os.scandir(data_dir) as entries:
            names = [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(names))


def _dataset_around(folder: Path, data_dir: Path) -> Path | None:
    """The dataset that a folder lies in: a folder of the data folder, or one with a train/."""
    around = (folder, *folder.parents)
    data = data_dir.resolve()  # as the current folder's path, which is without links
    for parent in around[:-1]:
        if parent.parent == data:
            return data_dir / parent.name
    return next((parent for parent in around if (parent / "train").is_dir()), None)


def _state_file() -> Path:
    return state_home() / "dataset"


def remember(root: Path) -> None:
    """Keep a dataset as the one last named on a command line."""
    file = _state_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, str(root) + "\n")
    except OSError as error:  # a home that can't be written: the command itself goes on
        say(f"Warning: the dataset can't be remembered in {shown(file)}: {error.strerror}.")


def last_named() -> Path | None:
    """The dataset last named on a command line, if any."""
    try:
        return Path(read_text(_state_file()).removesuffix("\n"))
    except (FileNotFoundError, NotADirectoryError):
        return None


def choose_run(config: Config, named: str | None) -> ChosenRun:
    """Decide on the run: named > the newest finished run of the current dataset.

    Args:
        config: the settings.
        named: a run's folder, or its name.

    Raises:
        DlError: no such run, not finished, or none finished.
    """
    settings = config.settings()
    runs_dir = settings.runs_dir
    if named is not None:
        run = find_finished_run(named, runs_dir)
        if not config.is_flag("dataset"):
            return ChosenRun(run, dataset_of(run, settings.data_dir), "named")
        root = choose_dataset(config).root
        require_own(run, root)
        return ChosenRun(run, root, "named")
    choice = choose_dataset(config)
    statuses = {run: run.status() for run in Run.all(runs_dir, choice.root.name)}
    finished = [run for run in statuses if statuses[run]["state"] == "finished"]
    finished.sort(key=lambda run: (str(statuses[run].get("started", "")), run.name), reverse=True)
    newest = next((run for run in finished if may_be_of(run, choice.root)), None)
    if newest is None:
        raise DlError(
            f"No finished run of {choice.root.name} in {shown(runs_dir)}",
            why="those there are of another dataset of that name" if finished else "",
            hint="Train one: `dl train finetune`.",
        )
    say_moved(newest, choice.root)
    why = f"the newest finished run of {choice.root.name}, the dataset {choice.why}"
    return ChosenRun(newest, choice.root, why)


def find_finished_run(named: str, runs_dir: Path) -> Run:
    """A run of whichever dataset, as `find_run` finds it.

    Raises:
        DlError: there is none, or it is not finished.
    """
    run = find_run(named, runs_dir)
    if run.is_damaged:
        raise DlError(
            f"{shown(run.status_file)} is damaged",
            why="it is empty, or ends amid a line",
            hint=f"Restore it, take another run, or train it again: `dl rerun {run.name}`.",
        )
    words = {"failed": "it failed", "interrupted": "it was interrupted"}
    if (state := run.state) in words:
        raise DlError(
            f"{run.name} is not finished",
            why=words[state],
            hint=f"Go on with it: `dl resume {run.name}`.",
        )
    if state == "running":
        raise DlError(
            f"{run.name} is not finished",
            why="it is being trained",
            hint="Wait for it, or take another run.",
        )
    return run


def name_among(run: Run, runs_dir: Path) -> str:
    """What finds a run again: `<dataset>/<name>` among the runs, its whole path elsewhere."""
    inside = run.path.is_relative_to(runs_dir)
    return str(run.path.relative_to(runs_dir) if inside else run.path)


def name_to_type(run: Run, runs_dir: Path) -> str:
    """What finds a run again: its name, or where that finds another its dataset's before it."""
    try:
        found = find_run(run.name, runs_dir).path
    except DlError:
        found = None
    return run.name if found == run.path else name_among(run, runs_dir)


def find_run(named: str, runs_dir: Path) -> Run:
    """A run given by its folder, its name, or `<dataset>/<name>`.

    Raises:
        DlError: there is no such run, or its name stands in two datasets' folders.
    """
    for path in (expanded(named), runs_dir / named):
        if named and Run(path).is_run():
            return Run(Path(os.path.abspath(path)))
    runs = Run.all(runs_dir)
    found = [run for run in runs if run.path.name == named]
    if len(found) == 1:
        return found[0]
    if found:
        raise DlError(
            f"{named!r} is the name of {len(found)} runs",
            hint="Name its folder too: "
            + " or ".join(f"`{run.path.parent.name}/{named}`" for run in found),
        )
    raise DlError(
        f"No such run: {shown(named)}",
        why=f"nothing of that name in {shown(runs_dir)}",
        hint=did_you_mean(named, [run.name for run in runs]) or "Train one: `dl train finetune`.",
    )

"""A run made again: a new one, from the values that the old one recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dlcli.catalog import recipe_class
from dlcli.config import RECORD, Config, Value, declared, load_config, read_config_file
from dlcli.data.dataset import open_dataset
from dlcli.errors import DlError, ExitCode
from dlcli.files.formats import flat
from dlcli.files.paths import shown
from dlcli.launch import train
from dlcli.members import is_ensemble
from dlcli.progress import say
from dlcli.runs.changes import Change
from dlcli.runs.choice import dataset_of
from dlcli.runs.run import Run
from dlcli.settings.fields import settings_of
from dlcli.settings.schedule import EPOCHS, RATE
from dlcli.settings.shared import Settings


def rerun(
    run: Run,
    sets: Sequence[str] = (),
    runs_dir: Path | None = None,
    data_dir: Path | None = None,
) -> Run:
    """Train again what a run trained, in a new run that names it as its parent.

    Args:
        run: any run with a recipe; it may be unfinished.
        sets: what is to be otherwise: "dropout=0.3", "seed=1", "train.finetune.dropout=0.3".
        runs_dir: where the new run goes; by default beside the old one's dataset folder.
        data_dir: where a dataset that has moved is looked for by its name; None: as the settings
            say.

    Raises:
        DlError: an ensemble; its dataset is gone; a setting that there isn't.
        Interrupted: Ctrl-C; the new run can be resumed.
    """
    record = run.record()
    if is_ensemble(run):
        raise DlError(
            f"{run.name} is an ensemble",
            why="what can be trained again is its members",
            hint=f"Rerun these: {', '.join(member['name'] for member in record['members'])}.",
        )
    root = dataset_of(run, data_dir or load_config().settings().data_dir)
    if root is None:
        raise DlError(
            f"The dataset of {run.name} is not at {shown(record['dataset']['path'])} any more",
            hint="Put it back, or name the folder that it lies in: `--data-dir FOLDER`.",
        )
    recipe = record["recipe"]
    values = read_config_file(run.config_file)
    values["runs_dir"] = Value(runs_dir or run.path.parent.parent, "where the run is")
    flags = dict(_parsed(text, recipe) for text in sets)
    now, before = open_dataset(root).fingerprints(), record["dataset"]["fingerprints"]
    for split in [split for split in ("train", "valid") if now[split] != before[split]]:
        say(f"The images in {shown(root / split)} have changed since {run.name} was trained.")
    config = Config(values).with_flags(flags)
    changes = tuple(map(Change.from_description, record.get("changes", ())))
    made = train(config, recipe, root, parent=run, changes=changes)
    for key in sorted(_keys(made.config()) - _keys(run.config()) - flags.keys()):
        say(f"`{key}` did not exist then: it is {config.get(key).value} now, the default.")
    return made


@dataclass(frozen=True)
class Difference:
    """Where two histories first differ.

    Args:
        epoch: the number of the epoch.
        column: of `history.csv`; "epochs" where one history is shorter.
        before, now: the values.
    """

    epoch: int
    column: str
    before: Any
    now: Any


def verify(run: Run, data_dir: Path | None = None) -> Difference | None:
    """Train again what a run trained, somewhere else, and compare the histories.

    Returns:
        where they first differ; None: nowhere.

    Raises:
        DlError: what `rerun` raises; the run is not finished.
    """
    if run.state != "finished":
        raise DlError(
            f"{run.name} is not finished",
            why=f"its state is {run.state}, and an end is what could be compared",
            hint=f"Finish it: `dl resume {run.name}`.",
        )
    before = run.history()
    with TemporaryDirectory(prefix="dl-verify-") as folder:
        again = rerun(run, (), Path(folder), data_dir).history()
    return first_difference(before, again)


def first_difference(
    before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> Difference | None:
    """Where two histories first differ; None: nowhere."""
    for number, (old, new) in enumerate(zip(before, now, strict=False), start=1):
        for column in old:
            if old[column] != new.get(column):
                return Difference(number, column, old[column], new.get(column))
    if len(before) != len(now):
        return Difference(min(len(before), len(now)) + 1, "epochs", len(before), len(now))
    return None


def _parsed(text: str, recipe: str) -> tuple[str, str]:
    """What `--set` was given as a setting's dotted key and its value.

    A name alone is the recipe's hyperparameter, or else a shared setting.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise DlError(
            f"`--set {text}` sets nothing",
            why="expected NAME=VALUE",
            hint="For example `--set dropout=0.3`.",
            exit_code=ExitCode.USAGE,
        )
    name = name.strip().replace("-", "_") if "." not in name else name.strip()
    declarations = settings_of(recipe_class(recipe))
    own = name in declarations
    if name == "dataset":
        raise DlError(
            "`dataset` can't be set",
            why="a rerun is of the same images",
            hint=f"To train on others: `dl train {recipe} -d {shown(value or 'PATH')}`.",
            exit_code=ExitCode.USAGE,
        )
    if not own and name in (*RATE, *EPOCHS):
        raise DlError(
            f"No setting is called `{name}`",
            why="rates and epochs stand in one schedule",
            hint=f"Say `--set schedule={declarations['schedule'].default.example({name: value})}`.",
            exit_code=ExitCode.USAGE,
        )
    key = f"train.{recipe}.{name}" if own or not _is_shared(name) else name
    declared(key)
    return key, value


def _is_shared(name: str) -> bool:
    return "." in name or name in settings_of(Settings)


def _keys(config: Mapping[str, Any]) -> set[str]:
    """The dotted keys of a run's settings."""
    settings = {name: value for name, value in config.items() if name != RECORD}
    return {key for key, _ in flat(settings)}

"""Start a new run from settings, or from the `config.yaml` of an old run.

`dl rerun` trains a new run with the settings that an old one recorded. `dl runs verify` compares
the results of the two.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dlcli.catalog import recipe_class, recipe_digest, recipe_file
from dlcli.config import Config, Value, load_config, read_config_file
from dlcli.data.kinds import open_dataset
from dlcli.errors import DlError, ExitCode
from dlcli.files.formats import flat, write_yaml
from dlcli.files.paths import shown
from dlcli.keys import declared
from dlcli.process import provenance
from dlcli.progress import heard_by, say
from dlcli.runs.changes import Change
from dlcli.runs.choice import name_among
from dlcli.runs.dataset import dataset_of
from dlcli.runs.run import Run
from dlcli.settings.fields import plain, settings_of
from dlcli.settings.schedule import EPOCHS, RATE, Schedule
from dlcli.settings.shared import Settings
from dlcli.settings_file import RECORD
from dlcli.training.fit import fit
from dlcli.training.job import AnyJob
from dlcli.training.kinds import make_job


def train(
    config: Config,
    recipe_name: str,
    root: Path,
    *,
    parent: Run | None = None,
    changes: tuple[Change, ...] = (),
) -> Run:
    """Train a recipe on a dataset, in a new run.

    Args:
        root: the dataset's folder.
        parent: the old run of a rerun.
        changes: the old run's changes, applied at the same epochs.

    Raises:
        Interrupted: Ctrl-C; the run can be resumed.
        DlError: before the run is made: what can't work; later: what failed in training.
    """
    said: list[str] = []
    with heard_by(said.append):
        job = make_job(config, recipe_name, root, like=parent)
        job = dataclasses.replace(job, changes=changes)
        job.say_fitted(config.recipe(recipe_name).schedule)
        samples = job.first_samples()
    run = new_run(job, parent)
    with run.held(), heard_by(run.log):
        for text in dict.fromkeys(said):  # `once` is for the terminal
            run.log(text)
        fit(job, run, samples)
    return run


def new_run(job: AnyJob, parent: Run | None = None) -> Run:
    """Make the run's folder, and record every resolved value."""
    resolved = _resolved(job, parent)
    run = Run.create(job.settings.runs_dir, job.dataset.name, job.name, telling(job))
    write_yaml(run.config_file, resolved)
    job.write_labels(run)
    run.start(job.name, job.epochs)
    run.log(resolved[RECORD]["command"])
    return run


def telling(job: AnyJob) -> list[str]:
    """The values in the run's name: the recipe's, then a batch size or a seed that is unusual."""
    values = {
        "b": (job.recipe.batch_size, settings_of(type(job.recipe))["batch_size"].default),
        "s": (job.settings.seed, settings_of(Settings)["seed"].default),
    }
    changed = [f"{letter}{used}" for letter, (used, usual) in values.items() if used != usual]
    return [*job.recipe.telling(), *changed]


def _resolved(job: AnyJob, parent: Run | None) -> dict[str, Any]:
    """A run's `config.yaml`: settings that `--config` accepts, and the `run` block."""
    settings = job.resolved()
    shared = {
        name: plain(getattr(settings, name))
        for name in settings_of(Settings)
        if name not in job.unused
    }
    kaggle = {
        name: plain(getattr(settings.kaggle, name)) for name in settings_of(type(settings.kaggle))
    }
    augmentation = {"augmentation": job.settings.augmentation.describe()}
    return {
        **shared,
        **(augmentation if job.recipe.augments else {}),
        "kaggle": kaggle,
        "train": {job.name: job.recipe.hyperparameters()},
        RECORD: {
            "recipe": job.name,
            "kind": job.dataset.kind,
            **own_recipe(job.name),
            "dataset": {
                "path": str(job.dataset.root),
                "fingerprints": dict(job.fingerprints),
                f"{job.dataset.noun}s": dict(job.dataset.sizes),
            },
            **job.record(),
            "parent": name_among(parent, job.settings.runs_dir) if parent else None,
            **({"changes": [each.describe() for each in job.changes]} if job.changes else {}),
            **provenance(),
        },
    }


def own_recipe(name: str) -> dict[str, str]:
    """A project recipe's file and a hash of its text; {} for a built-in recipe."""
    file = recipe_file(name)
    return {"recipe_file": str(file), "recipe_digest": recipe_digest(name)} if file else {}


def rerun(
    run: Run,
    sets: Sequence[str] = (),
    runs_dir: Path | None = None,
    data_dir: Path | None = None,
    *,
    epochs: int | None = None,
    lr: float | None = None,
) -> Run:
    """Train a new run with the settings of an old one, its parent.

    Args:
        run: any run with a recipe; it may be unfinished.
        sets: settings to change: "dropout=0.3", "seed=1", "train.finetune.dropout=0.3".
        runs_dir: the folder of runs for the new one; by default that of the old one.
        data_dir: the folder in which a dataset that has moved is looked up by name; None: as in
            the settings.
        epochs, lr: change the old run's schedule, as `Config.with_schedule` does; a project recipe
            may declare its own setting of such a name.

    Raises:
        DlError: an ensemble; a missing dataset; an unknown setting; two schedules.
        Interrupted: Ctrl-C; the new run can be resumed.
    """
    run.require_single("dl rerun RUN")
    recipe, dataset = run.record.recipe, run.record.dataset
    root = dataset_of(run, data_dir or load_config().settings().data_dir)
    if root is None:
        raise DlError(
            f"The dataset of {run.name} is no longer at {shown(dataset.path)}",
            hint="Put it back, or name its parent folder: `--data-dir FOLDER`.",
        )
    values = read_config_file(run.config_file)
    values["runs_dir"] = Value(runs_dir or run.path.parent.parent, "where the run is")
    schedule = Config(values).get(f"train.{recipe}.schedule").value
    own = settings_of(recipe_class(recipe))
    typed = {"epochs": epochs, "lr": lr}
    sets = [*sets, *(f"{name}={typed[name]}" for name in typed if typed[name] and name in own)]
    epochs, lr = None if "epochs" in own else epochs, None if "lr" in own else lr
    flags = dict(_parsed(text, recipe, schedule) for text in sets)
    data = open_dataset(root)
    now, before = data.fingerprints(), dataset.fingerprints
    for split in [split for split in ("train", "valid") if now[split] != before[split]]:
        say(f"The {data.noun}s in {shown(root / split)} have changed since {run.name} was trained.")
    config = Config(values).with_flags(flags)
    config = config.with_schedule(recipe, epochs, lr, option="--set schedule")
    changes = tuple(filter(None, (each.without(epochs, lr) for each in run.record.changes)))
    new_to_augmentation = config.recipe(recipe).augments and "augmentation" not in run.config
    if new_to_augmentation:
        preset = config.settings().augmentation.preset
        say(f"{run.name} had no augmentation. The new run uses the preset {preset}.")
    made = train(config, recipe, root, parent=run, changes=changes)
    new = _keys(made.config) - _keys(run.config) - flags.keys()
    if new_to_augmentation:
        new = {key for key in new if not key.startswith("augmentation.")}
    for key in sorted(new):
        used = declared(key).text(config.get(key).value)
        say(f"The run has no `{key}`. Using the default: {used}.")
    return made


@dataclass(frozen=True)
class Divergence:
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


def verify(run: Run, data_dir: Path | None = None) -> Divergence | None:
    """Rerun a run in a temporary folder, and compare the histories.

    Returns:
        the first difference; None if there is none.

    Raises:
        DlError: what `rerun` raises; the run is not finished.
    """
    if run.state != "finished":
        raise DlError(
            f"{run.name} is not finished",
            why=f"its state is {run.state}, and only finished runs can be compared",
            hint=f"Finish it: `dl resume {run.name}`.",
        )
    before = run.history
    with TemporaryDirectory(prefix="dl-verify-") as folder:
        again = rerun(run, (), Path(folder), data_dir).history
    return first_difference(before, again)


def first_difference(
    before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> Divergence | None:
    """The first difference of two histories; None if there is none."""
    for number, (old, new) in enumerate(zip(before, now, strict=False), start=1):
        for column in old:
            if old[column] != new.get(column):
                return Divergence(number, column, old[column], new.get(column))
    if len(before) != len(now):
        return Divergence(min(len(before), len(now)) + 1, "epochs", len(before), len(now))
    return None


def _parsed(text: str, recipe: str, schedule: Schedule) -> tuple[str, str]:
    """The dotted key and the value of a `--set`.

    A name without dots is a hyperparameter of the recipe, or else a shared setting. `schedule` is
    the run's.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise DlError(
            f"`--set {text}` is not a setting",
            why="expected NAME=VALUE",
            hint="For example: `--set dropout=0.3`.",
            exit_code=ExitCode.USAGE,
        )
    name = name.strip().replace("-", "_") if "." not in name else name.strip()
    own = name in settings_of(recipe_class(recipe))
    if name == "dataset":
        raise DlError(
            "`dataset` can't be set",
            why="a rerun uses the same dataset",
            hint=f"To train on another dataset: `dl train {recipe} -d {shown(value or 'PATH')}`.",
            exit_code=ExitCode.USAGE,
        )
    if not own and name in (*RATE, *EPOCHS):
        option = f"--{'lr' if name in RATE else name} {shlex.quote(value)}"
        raise DlError(
            f"No setting is called `{name}`",
            why="the schedule holds rates and epochs",
            hint=f"Change the run's schedule: `{option}`, "
            f"or `--set schedule={schedule.asked(name, value)}`.",
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

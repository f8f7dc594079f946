"""Ensembles: runs whose predictions are the mean of other runs' probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.config import Config
from dlcli.data.kinds import open_dataset
from dlcli.errors import DlError, ExitCode
from dlcli.evaluation.metrics import accuracy, log_loss, rounded
from dlcli.files.formats import write_yaml
from dlcli.files.paths import shown
from dlcli.inference.kept import has_predictions, holder
from dlcli.inference.members import require_same_classes
from dlcli.inference.predict import PHOTOS
from dlcli.inference.predictions import Predictions, mean_of, write_predictions
from dlcli.process import provenance, utc_now
from dlcli.progress import say
from dlcli.runs.choice import ChosenRun, named_run, same_runs
from dlcli.runs.record import ENSEMBLE
from dlcli.runs.run import Run
from dlcli.settings.fields import plain
from dlcli.settings_file import RECORD
from dlcli.training.fit import Interrupted
from dlcli.training.launch import train

# Settings that `--config` may take from an ensemble, which has no network and no random choice.
SHARED = ("data_dir", "runs_dir", "dataset", "workers", "on_error")


@dataclass(frozen=True)
class Scored:
    """A run and its scores on the validation images.

    Args:
        run: an ensemble, or one of its members.
        val_accuracy, val_loss: scores on the images that all members could read.
    """

    run: Run
    val_accuracy: float
    val_loss: float


@dataclass(frozen=True)
class Ensemble:
    """A new ensemble and its members, with their scores.

    Args:
        members: its members.
        root: its dataset's folder; None if that is gone.
    """

    whole: Scored
    members: tuple[Scored, ...]
    root: Path | None

    @property
    def better_member(self) -> Scored | None:
        """The member with the lowest log loss, if that is below the ensemble's."""
        best = min(self.members, key=lambda member: member.val_loss)
        return best if best.val_loss < self.whole.val_loss else None

    @property
    def mean_accuracy(self) -> float:
        """The mean of the members' accuracies."""
        return sum(each.val_accuracy for each in self.members) / len(self.members)

    @property
    def mean_loss(self) -> float:
        """The mean of the members' log losses."""
        return sum(each.val_loss for each in self.members) / len(self.members)


def choose_members(config: Config, named: Sequence[str]) -> list[ChosenRun]:
    """Choose the members of an ensemble.

    Args:
        config: the folders of runs and datasets.
        named: runs' folders, or their names.

    Raises:
        DlError: fewer than two runs; a run that does not exist or is not finished.
    """
    if len(named) < 2:
        raise DlError(
            "An ensemble needs at least two runs",
            why="it is the mean of their predictions",
            hint="Name them, `dl ensemble RUN RUN`, or train some, `dl train RECIPE --members 5`.",
            exit_code=ExitCode.USAGE,
        )
    return [named_run(config, name) for name in named]


def make_ensemble(members: Sequence[ChosenRun], config: Config) -> Ensemble:
    """Make a run whose predictions are the mean of its members' probabilities.

    It predicts the validation images at once, and the test images if all members have predicted
    them.

    Args:
        members: at least two finished runs; the first sets the order of the classes.
        config: the folder of runs, and settings for members that have to predict.

    Raises:
        DlError: a run is named twice; classes or validation images differ; a member can't predict.
    """
    started = utc_now()
    runs = [member.run for member in members]
    _refuse_twice(runs)
    require_same_classes(runs)
    _require_same_images(runs)
    home = next((member for member in members if member.root), members[0])
    classes, root = runs[0].classes, home.root
    valid = PHOTOS.of_members(runs[0], runs, root, config, "valid")
    predictions = {"valid": mean_of(valid)}
    dataset = open_dataset(root) if root else None
    now = {split: dataset.fingerprint(split) if dataset else None for split in ("valid", "test")}
    if all(has_predictions(run, "test", now["test"]) for run in runs):
        predictions["test"] = mean_of(PHOTOS.of_members(runs[0], runs, root, config, "test"))
    scored = tuple(_score(run, each) for run, each in zip(runs, valid, strict=True))

    runs_dir = config.settings().runs_dir
    config_values = _resolved(home, classes, scored, config)
    with Run.created_whole(runs_dir, home.run.dataset, ENSEMBLE, (f"m{len(runs)}",)) as (run, made):
        write_yaml(made.config_file, config_values)
        write_yaml(made.classes_file, list(classes))
        made.log(config_values[RECORD]["command"])
        for split, mean in predictions.items():
            write_predictions(made.predictions_file(split), mean)
        whole = _score(run, predictions["valid"])
        made.update_status(
            state="finished",
            recipe=ENSEMBLE,
            started=started,
            finished=utc_now(),
            predicted=_predicted(runs, {split: now[split] for split in predictions}),
            val_loss=whole.val_loss,
            val_accuracy=whole.val_accuracy,
        )
    return Ensemble(whole, scored, root)


def train_members(config: Config, recipe: str, root: Path, count: int) -> Ensemble:
    """Train a recipe several times with consecutive seeds, and make an ensemble of the runs.

    Args:
        config: settings and hyperparameters; its seed is the first member's.
        root: the dataset's folder.
        count: number of members, 2 or more.

    Raises:
        DlError: as `launch.train` and `make_ensemble`; Ctrl-C, with a hint on how to continue.
    """
    first = config.settings().seed
    seeds = range(first, first + count)
    configs = [config.with_flags({"seed": seed}) for seed in seeds]  # fails before any training
    runs: list[Run] = []
    try:
        for seed, member in zip(seeds, configs, strict=True):
            say(f"Member {len(runs) + 1} of {count} (seed {seed})")
            runs.append(train(member, recipe, root))
            say(runs[-1].diagnosis.in_short)
        return make_ensemble([ChosenRun(run, root, "just trained") for run in runs], config)
    except Interrupted as stop:
        then = _remaining(runs, seeds[len(runs) + 1 :], count, config)
        raise DlError(stop.what, hint=then, exit_code=stop.exit_code) from stop
    except KeyboardInterrupt as stop:
        if not runs:
            raise
        then = _remaining(runs, seeds[len(runs) :], count, config)
        raise DlError("Interrupted", hint=then, exit_code=ExitCode.INTERRUPTED) from stop


def _remaining(runs: Sequence[Run], seeds: Sequence[int], count: int, config: Config) -> str:
    """What is left to do after a stop, one step a line.

    Args:
        runs: the finished members.
        seeds: of the members that no run was begun for.
        count: the number of all members.
    """
    steps = []
    if seeds:
        members = "last member" if len(seeds) == 1 else f"other {len(seeds)} members"
        step = f"Train the {members}: the same command"
        step += f" with `--seed {seeds[0]}` in place of `--members {count}`"
        if len(seeds) > 1:
            step += f", and so on up to `--seed {seeds[-1]}`"
        steps.append(f"{step}.")
    ensemble = " ".join([f"dl ensemble{same_runs(config)}", *(run.name for run in runs)])
    if others := count - len(runs):
        names = "name of the other run" if others == 1 else f"names of the other {others} runs"
        steps.append(f"Make the ensemble: `{ensemble}`, with the {names} added.")
    else:
        steps.append(f"Make the ensemble: `{ensemble}`.")
    return "\n".join(steps)


def _refuse_twice(runs: Sequence[Run]) -> None:
    seen = set()
    for run in runs:
        folder = run.path.resolve()
        if folder in seen:
            raise DlError(
                f"{run.name} is named twice",
                why="it would count double",
                hint="Name each run once.",
                exit_code=ExitCode.USAGE,
            )
        seen.add(folder)


def _require_same_images(runs: Sequence[Run]) -> None:
    """Refuse runs with different validation images: one may have trained on another's."""
    first = runs[0]
    known = first.record.dataset
    for run in runs[1:]:
        here = run.record.dataset
        if known.fingerprints["valid"] != here.fingerprints["valid"]:
            one, other = shown(known.path), shown(here.path)
            where = f"those of {one} and {other} differ"
            raise DlError(
                f"{first.name} and {run.name} had different validation images",
                why=f"those of {one} changed between the two runs" if one == other else where,
                hint="Make an ensemble of runs of one dataset, trained on the same images.",
            )


def _score(run: Run, valid: Predictions) -> Scored:
    y_true, y_prob = valid.y_true, valid.y_prob
    return Scored(run, rounded(accuracy(y_true, y_prob)), rounded(log_loss(y_true, y_prob)))


def _predicted(runs: Sequence[Run], now: Mapping[str, str | None]) -> dict[str, str]:
    """Each split's fingerprint at the time of prediction, if all members agree."""
    found = {}
    for split, fingerprint in now.items():
        places = [holder(run, split, fingerprint) or run for run in runs]
        states = {place.status.get("predicted", {}).get(split) for place in places}
        if len(states) == 1 and None not in states:
            (found[split],) = states
    return found


def _resolved(
    home: ChosenRun, classes: tuple[str, ...], members: Sequence[Scored], config: Config
) -> dict[str, Any]:
    """An ensemble's `config.yaml`: settings for `--config`, and the `run` block."""
    trained = home.run.config[RECORD]["dataset"]
    dataset = trained | {"path": str(home.root or trained["path"])}
    settings = config.settings()
    values = {name: plain(getattr(settings, name)) for name in SHARED}
    return {
        **values,
        "dataset": dataset["path"],
        "workers": settings.threads,
        RECORD: {
            "recipe": ENSEMBLE,
            "members": [
                {
                    "name": each.run.name,
                    "path": str(each.run.path),
                    "val_accuracy": each.val_accuracy,
                    "val_loss": each.val_loss,
                }
                for each in members
            ],
            "dataset": dataset,
            "classes": list(classes),
            "forward": None,
            "pixels": None,
            "parent": None,
            **provenance(),
        },
    }

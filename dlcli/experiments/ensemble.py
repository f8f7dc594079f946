"""Ensembles: runs whose predictions are the mean of other runs' predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.config import Config
from dlcli.data.dataset import NOUNS
from dlcli.data.kinds import open_dataset
from dlcli.errors import DlError, ExitCode
from dlcli.files.atomic import atomic_write
from dlcli.files.formats import read_bytes, write_yaml
from dlcli.files.paths import shown
from dlcli.inference.kept import has_predictions, holder
from dlcli.inference.kinds import PREDICTORS, same_kind
from dlcli.inference.members import require_same_classes
from dlcli.process import provenance, utc_now
from dlcli.progress import say
from dlcli.runs.choice import ChosenRun, named_run, same_runs
from dlcli.runs.record import ENSEMBLE
from dlcli.runs.run import LABELS, Run
from dlcli.settings.fields import plain
from dlcli.settings_file import RECORD
from dlcli.training.fit import Interrupted
from dlcli.training.launch import train


@dataclass(frozen=True)
class Way:
    """What is particular to ensembles of runs on a kind of dataset.

    Args:
        require_same: refuse runs whose predictions have no mean.
        record: what the `run` block of `config.yaml` says of the kind, like a member's.
        settings: those that `--config` may take from an ensemble, which has no network and no
            random choice.
    """

    require_same: Callable[[Sequence[Run]], None]
    record: Callable[[Run], Mapping[str, Any]]
    settings: tuple[str, ...]


def _of_photos(member: Run) -> dict[str, Any]:
    return {"classes": list(member.classes), "forward": None, "pixels": None}


def _of_ratings(member: Run) -> dict[str, Any]:
    own = member.config[RECORD]
    return {name: own[name] for name in ("users", "items", "scale") if name in own}


def _any_have_a_mean(runs: Sequence[Run]) -> None:
    """Ratings of the same pairs always have a mean."""


SHARED = ("data_dir", "runs_dir", "dataset")
WAYS: Mapping[str, Way] = {
    "photos": Way(require_same_classes, _of_photos, (*SHARED, "workers", "on_error")),
    "ratings": Way(_any_have_a_mean, _of_ratings, SHARED),
}


@dataclass(frozen=True)
class Scored:
    """A run and its scores on the validation examples.

    Args:
        run: an ensemble, or one of its members.
        scores: on what all members predict, by their names; see `evaluation.scores`.
    """

    run: Run
    scores: Mapping[str, float]

    @property
    def columns(self) -> dict[str, float]:
        """The scores as a run's `status.yaml` names them."""
        return {f"val_{name}": score for name, score in self.scores.items()}


@dataclass(frozen=True)
class Ensemble:
    """A new ensemble and its members, with their scores.

    Args:
        kind: of dataset.
        members: its members.
        root: its dataset's folder; None if that is gone.
    """

    kind: str
    whole: Scored
    members: tuple[Scored, ...]
    root: Path | None

    @property
    def better_member(self) -> Scored | None:
        """The member with the lowest loss, if that is below the ensemble's."""
        best = min(self.members, key=lambda member: member.scores["loss"])
        return best if best.scores["loss"] < self.whole.scores["loss"] else None

    @property
    def mean_scores(self) -> dict[str, float]:
        """The means of the members' scores."""
        return {
            name: sum(each.scores[name] for each in self.members) / len(self.members)
            for name in self.whole.scores
        }


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
    """Make a run whose predictions are the mean of its members' probabilities, or ratings.

    It predicts the validation examples at once, and the test examples if all members have predicted
    them.

    Args:
        members: at least two finished runs; the first sets the order of the classes.
        config: the folder of runs, and settings for members that have to predict.

    Raises:
        DlError: a run is named twice; kinds, classes or validation examples differ; a member can't
            predict.
    """
    started = utc_now()
    runs = [member.run for member in members]
    _refuse_twice(runs)
    kind = same_kind(runs, "Make an ensemble of runs of one dataset.")
    way, predictor = WAYS[kind], PREDICTORS[kind]
    way.require_same(runs)
    _require_same_examples(runs, NOUNS[kind])
    home = next((member for member in members if member.root), members[0])
    first, root = runs[0], home.root
    valid = predictor.of_members(first, runs, root, config, "valid")
    predictions = {"valid": predictor.mean(valid)}
    dataset = open_dataset(root) if root else None
    now = {split: dataset.fingerprint(split) if dataset else None for split in ("valid", "test")}
    if all(has_predictions(run, "test", now["test"]) for run in runs):
        tested = predictor.of_members(first, runs, root, config, "test")
        predictions["test"] = predictor.mean(tested)
    scored = tuple(Scored(run, each.scores) for run, each in zip(runs, valid, strict=True))

    runs_dir = config.settings().runs_dir
    config_values = _resolved(home, first, way, scored, config)
    with Run.created_whole(runs_dir, home.run.dataset, ENSEMBLE, (f"m{len(runs)}",)) as (run, made):
        write_yaml(made.config_file, config_values)
        for name in LABELS[kind]:
            atomic_write(made.path / name, read_bytes(first.path / name))
        made.log(config_values[RECORD]["command"])
        for split, mean in predictions.items():
            predictor.write(made.predictions_file(split), mean)
        whole = Scored(run, predictions["valid"].scores)
        made.update_status(
            state="finished",
            recipe=ENSEMBLE,
            started=started,
            finished=utc_now(),
            predicted=_predicted(runs, {split: now[split] for split in predictions}),
            **whole.columns,
        )
    return Ensemble(kind, whole, scored, root)


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


def _require_same_examples(runs: Sequence[Run], noun: str) -> None:
    """Refuse runs with different validation examples: one may have trained on another's."""
    first = runs[0]
    known = first.record.dataset
    for run in runs[1:]:
        here = run.record.dataset
        if known.fingerprints["valid"] != here.fingerprints["valid"]:
            one, other = shown(known.path), shown(here.path)
            where = f"those of {one} and {other} differ"
            raise DlError(
                f"{first.name} and {run.name} had different validation {noun}s",
                why=f"those of {one} changed between the two runs" if one == other else where,
                hint=f"Make an ensemble of runs of one dataset, trained on the same {noun}s.",
            )


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
    home: ChosenRun, first: Run, way: Way, members: Sequence[Scored], config: Config
) -> dict[str, Any]:
    """An ensemble's `config.yaml`: settings for `--config`, and the `run` block.

    Args:
        home: a member whose dataset is there, if one has it.
        first: the first member.
    """
    trained = home.run.config[RECORD]["dataset"]
    dataset = trained | {"path": str(home.root or trained["path"])}
    settings = config.settings()
    values = {name: plain(getattr(settings, name)) for name in way.settings}
    values |= {"dataset": dataset["path"]}
    if "workers" in values:
        values["workers"] = settings.threads
    return {
        **values,
        RECORD: {
            "recipe": ENSEMBLE,
            "kind": home.run.record.kind,
            "members": [
                {"name": each.run.name, "path": str(each.run.path), **each.columns}
                for each in members
            ],
            "dataset": dataset,
            **way.record(first),
            "parent": None,
            **provenance(),
        },
    }

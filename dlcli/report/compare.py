"""Compare runs: their differing settings, and whether their scores differ significantly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlcli.data.dataset import NOUNS
from dlcli.errors import DlError, ExitCode
from dlcli.files.formats import below
from dlcli.files.paths import quoted, shown
from dlcli.inference.kinds import PREDICTORS, same_kind
from dlcli.inference.predictor import AnyPredictions
from dlcli.progress import say
from dlcli.report.contrast import Contrast, Judge
from dlcli.report.photos.compare import JUDGE as PHOTOS
from dlcli.report.ratings.compare import JUDGE as RATINGS
from dlcli.runs.run import Run
from dlcli.runs.settings import Difference, differing_settings
from dlcli.runs.stand_in import runs_to_read
from dlcli.words import count

# What tells runs of each kind of dataset apart.
JUDGES: Mapping[str, Judge[Any]] = {"photos": PHOTOS, "ratings": RATINGS}
NOT_OF_ONE = "Compare runs of one dataset. `dl runs diff` shows their settings."


@dataclass(frozen=True)
class Compared:
    """A run, with its scores on the examples that all runs of a comparison have.

    Args:
        run: a trained run or an ensemble.
        letter: its name in this comparison: A, B, C.
        epochs: the number of its epochs; None for an ensemble.
        scores: on those examples, by their names; see `evaluation.scores`.
        seconds: the time of its epochs; None for an ensemble.
    """

    run: Run
    letter: str
    recipe: str
    epochs: int | None
    scores: Mapping[str, float]
    seconds: float | None


@dataclass(frozen=True)
class Comparison:
    """A comparison of runs.

    Args:
        kind: of their datasets.
        runs: in the order of the arguments.
        examples: the number of validation images, or ratings, that all runs have; scores are on
            these.
        contrasts: the run with the lowest loss against each other run.
    """

    kind: str
    runs: tuple[Compared, ...]
    examples: int
    differences: tuple[Difference, ...]
    contrasts: tuple[Contrast, ...]


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare finished runs by the predictions in their folders.

    Scores are on the validation examples that all runs have. Messages say if some are left out, and
    if a run may have been trained on another run's validation examples.

    Args:
        runs: two or more.

    Raises:
        DlError: there are fewer than two runs, or one twice; they are of different kinds, or their
            classes differ; they have no example in common; or predictions are missing.
    """
    _require_several(runs)
    kind = same_kind(runs, NOT_OF_ONE)
    predictor, judge, noun = PREDICTORS[kind], JUDGES[kind], NOUNS[kind]
    differences = tuple(differing_settings(runs))
    each = [predictor.read(_predicted_in(run, noun).predictions_file("valid")) for run in runs]
    judge.require_comparable(runs, each)
    _require_common(each, noun)
    same, left_out = predictor.aligned(runs[0], each)
    examples = len(same[0].examples)
    _say_which(runs, examples, left_out, noun)
    compared = tuple(
        _compared(run, letter(number), one.scores)
        for number, (run, one) in enumerate(zip(runs, same, strict=True))
    )
    best = min(range(len(runs)), key=lambda number: compared[number].scores["loss"])
    contrasts = judge.contrasts([each.letter for each in compared], best, same)
    return Comparison(kind, compared, examples, differences, tuple(contrasts))


def letter(number: int) -> str:
    """A run's letter in a comparison, by its place from 0: A to Z, then AA."""
    rest, last = divmod(number, 26)
    return (letter(rest - 1) if rest else "") + chr(ord("A") + last)


def names_of(runs: Sequence[Run], short: bool = False) -> list[str]:
    """The runs' names, with the dataset if they have several; if short, without the time."""
    one = len({run.dataset for run in runs}) == 1
    names = [re.sub(r"^\d{12}-", "", run.name) if short else run.name for run in runs]
    return [name if one else f"{run.dataset}/{name}" for run, name in zip(runs, names, strict=True)]


def _require_several(runs: Sequence[Run]) -> None:
    if len(runs) < 2:
        raise DlError(
            "A comparison needs at least two runs",
            hint="Name them: `dl runs compare RUN RUN`. List them with `dl runs`.",
            exit_code=ExitCode.USAGE,
        )
    folders = [run.path.resolve() for run in runs]
    for number, folder in enumerate(folders):
        if folder in folders[:number]:
            raise DlError(
                f"{runs[number].name} is named twice",
                hint="Name each run once.",
                exit_code=ExitCode.USAGE,
            )


def _predicted_in(run: Run, noun: str) -> Run:
    """The folder with a run's predictions: its own or its stand-in."""
    for folder in runs_to_read(run):
        if folder.predictions_file("valid").is_file():
            return folder
    raise DlError(
        f"{run.name} has no predictions of validation {noun}s",
        why=f"{shown(run.predictions_file('valid'))} does not exist",
        hint=f"Make them: `dl evaluate {quoted(run.path)}`.",
    )


def _require_common(each: Sequence[AnyPredictions], noun: str) -> None:
    if not set(each[0].examples).intersection(*(one.examples for one in each[1:])):
        raise DlError(
            f"These runs have no validation {noun} in common",
            why=f"scores on different {noun}s can't be compared",
            hint=NOT_OF_ONE,
        )


def _say_which(runs: Sequence[Run], common: int, left_out: int, noun: str) -> None:
    if left_out:
        say(
            f"Compared on the {common:,} validation {noun}s that all runs have; "
            f"{count(left_out, 'other')} left out."
        )
    judged = [below(_predicted_in(run, noun).status, "predicted", "valid") for run in runs]
    for run, now in zip(runs, judged, strict=True):
        trained = below(run.config, "run", "dataset", "fingerprints", "valid")
        if None not in (now, trained) and now != trained:
            say(
                f"Warning: the validation {noun}s changed after {run.name} was trained. The run "
                "may have been trained on some of those that are now in `valid/`."
            )
    if len(set(map(str, judged))) > 1:
        differ = "may differ" if None in judged else "differ"
        say(
            f"Warning: the validation {noun}s of these runs {differ}, so they are matched by name. "
            f"A run may have been trained on another run's validation {noun}s."
        )


def _compared(run: Run, name: str, scores: Mapping[str, float]) -> Compared:
    status = run.status
    return Compared(
        run=run,
        letter=name,
        recipe=str(run.config["run"].get("recipe")),
        epochs=status.get("epoch"),
        scores=scores,
        seconds=status.get("seconds"),
    )

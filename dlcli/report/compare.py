"""Compare runs: their differing settings, and whether their scores differ significantly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dlcli.errors import DlError, ExitCode
from dlcli.evaluation.chance import LEVEL, Paired, holm, paired
from dlcli.evaluation.metrics import accuracy, log_loss, rounded
from dlcli.files.formats import below
from dlcli.files.paths import quoted, shown
from dlcli.inference.predictions import (
    Predictions,
    aligned,
    different_classes,
    read_predictions,
)
from dlcli.progress import say
from dlcli.runs.run import Run
from dlcli.runs.settings import Difference, differing_settings
from dlcli.runs.stand_in import runs_to_read
from dlcli.words import count


@dataclass(frozen=True)
class Compared:
    """A run, with its scores on the images that all runs of a comparison have.

    Args:
        run: a trained run or an ensemble.
        letter: its name in this comparison: A, B, C.
        epochs: the number of its epochs; None for an ensemble.
        val_accuracy, val_loss: scores on those images.
        seconds: the time of its epochs; None for an ensemble.
    """

    run: Run
    letter: str
    recipe: str
    epochs: int | None
    val_accuracy: float
    val_loss: float
    seconds: float | None


@dataclass(frozen=True)
class Contrast:
    """Whether the best run differs from another by more than chance explains.

    Args:
        best, other: their letters; `best` has the lower log loss.
        test: their predictions, compared image by image; `best` is the first.
        loss_p, accuracy_p: the test's p-values, after Holm's correction for all tests of that
            score in the comparison.
        several: whether there are several tests, so that p-values were corrected.
    """

    best: str
    other: str
    test: Paired
    loss_p: float
    accuracy_p: float
    several: bool

    @property
    def about_loss(self) -> str:
        """A sentence on the log loss."""
        images = count(self.test.images, "image")
        within = ""
        if self.test.loss_interval is not None:
            low, high = self.test.loss_interval
            within = f"95 % interval {low:.4f} to {high:.4f}, "
            if low == high == 0:
                return f"{self.best} and {self.other} have the same log loss on each of {images}."
        holms = f", {_chance(self.loss_p)}" if self.several else ""
        more = "more" if self.loss_p < LEVEL else "no more"
        return (
            f"{self.best}'s log loss is lower than {self.other}'s by {abs(self.test.loss):.4f} "
            f"({within}{images}{holms}): {more} than chance explains."
        )

    @property
    def about_accuracy(self) -> str:
        """A sentence on the correctly predicted images."""
        first, second = self.test.first_alone, self.test.second_alone
        if not first + second:
            return f"{self.best} and {self.other} are correct on the same images."
        chance = "more than chance explains" if self.accuracy_p < LEVEL else "within chance"
        return (
            f"Only {self.best} is correct on {count(first, 'image')}, only {self.other} on "
            f"{second:,} ({_chance(self.accuracy_p)}): {chance}."
        )

    @property
    def sentences(self) -> list[str]:
        """The sentences on both scores, and what to do if only accuracy tells the runs apart."""
        said = [self.about_loss, self.about_accuracy]
        if self.accuracy_p < LEVEL <= self.loss_p:
            said.append(
                "Accuracy tells the two apart, the log loss does not. Go by the score that counts "
                "for you, or compare on more validation images."
            )
        return said


@dataclass(frozen=True)
class Comparison:
    """A comparison of runs.

    Args:
        runs: in the order of the arguments.
        images: the number of validation images that all runs have; scores are on these.
        contrasts: the run with the lowest log loss against each other run.
    """

    runs: tuple[Compared, ...]
    images: int
    differences: tuple[Difference, ...]
    contrasts: tuple[Contrast, ...]


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare finished runs by the predictions in their folders.

    Scores are on the validation images that all runs have. Messages say if images are left out, and
    if a run may have been trained on another run's validation images.

    Args:
        runs: two or more.

    Raises:
        DlError: there are fewer than two runs, or one twice; their classes differ; they have no
            image in common; or predictions are missing.
    """
    _require_several(runs)
    differences = tuple(differing_settings(runs))
    each = [_valid_of(run) for run in runs]
    _require_same_classes(runs, each)
    _require_common_images(each)
    same = aligned(each, each[0].classes)
    _say_which_images(runs, each, len(same[0].paths))
    y_true = same[0].y_true
    compared = tuple(
        _compared(run, letter(number), accuracy(y_true, one.y_prob), log_loss(y_true, one.y_prob))
        for number, (run, one) in enumerate(zip(runs, same, strict=True))
    )
    best = min(range(len(runs)), key=lambda number: compared[number].val_loss)
    others = [number for number in range(len(runs)) if number != best]
    tests = [paired(y_true, same[best].y_prob, same[number].y_prob) for number in others]
    loss_p, accuracy_p = holm([t.loss_p for t in tests]), holm([t.accuracy_p for t in tests])
    contrasts = tuple(
        Contrast(
            best=letter(best),
            other=letter(number),
            test=test,
            loss_p=of_loss,
            accuracy_p=of_accuracy,
            several=len(tests) > 1,
        )
        for number, test, of_loss, of_accuracy in zip(
            others, tests, loss_p, accuracy_p, strict=True
        )
    )
    return Comparison(compared, len(y_true), differences, contrasts)


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


def _valid_of(run: Run) -> Predictions:
    return read_predictions(_predicted_in(run).predictions_file("valid"))


def _predicted_in(run: Run) -> Run:
    """The folder with a run's predictions: its own or its stand-in."""
    for folder in runs_to_read(run):
        if folder.predictions_file("valid").is_file():
            return folder
    raise DlError(
        f"{run.name} has no predictions of validation images",
        why=f"{shown(run.predictions_file('valid'))} does not exist",
        hint=f"Make them: `dl evaluate {quoted(run.path)}`.",
    )


def _require_same_classes(runs: Sequence[Run], each: Sequence[Predictions]) -> None:
    first = set(each[0].classes)
    for run, predictions in zip(runs[1:], each[1:], strict=True):
        if first != (classes := set(predictions.classes)):
            hint = "Compare runs with the same classes. `dl runs diff` shows their settings."
            raise different_classes(runs[0], first, run, classes, hint)


def _require_common_images(each: Sequence[Predictions]) -> None:
    if not set(each[0].paths).intersection(*(one.paths for one in each[1:])):
        raise DlError(
            "These runs have no validation image in common",
            why="scores on different images can't be compared",
            hint="Compare runs of one dataset. `dl runs diff` shows their settings.",
        )


def _say_which_images(runs: Sequence[Run], each: Sequence[Predictions], common: int) -> None:
    images = {path for one in each for path in one.paths}
    if left_out := len(images) - common:
        say(
            f"Compared on the {common:,} validation images that all runs have; "
            f"{count(left_out, 'other')} left out."
        )
    judged = [below(_predicted_in(run).status, "predicted", "valid") for run in runs]
    for run, now in zip(runs, judged, strict=True):
        trained = below(run.config, "run", "dataset", "fingerprints", "valid")
        if None not in (now, trained) and now != trained:
            say(
                f"Warning: the validation images changed after {run.name} was trained. The run may "
                "have been trained on some of those that are now in `valid/`."
            )
    if len(set(map(str, judged))) > 1:
        differ = "may differ" if None in judged else "differ"
        say(
            f"Warning: the validation images of these runs {differ}, so they are matched by name. "
            "A run may have been trained on another run's validation images."
        )


def _compared(run: Run, name: str, val_accuracy: float, val_loss: float) -> Compared:
    status = run.status
    return Compared(
        run=run,
        letter=name,
        recipe=str(run.config["run"].get("recipe")),
        epochs=status.get("epoch"),
        val_accuracy=rounded(val_accuracy),
        val_loss=rounded(val_loss),
        seconds=status.get("seconds"),
    )


def _chance(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.{2 if p >= 0.1 else 3}f}"

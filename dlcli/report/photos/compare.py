"""Tell runs on photos apart by their probabilities for the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dlcli.evaluation.chance import LEVEL, Paired, holm, paired
from dlcli.inference.predictions import Predictions, different_classes
from dlcli.report.contrast import Contrast, Judge, about_difference, in_words
from dlcli.runs.run import Run
from dlcli.words import count


@dataclass(frozen=True)
class PhotosContrast(Contrast):
    """A contrast by log loss and by correctly predicted images.

    Args:
        test: their predictions, compared image by image; `best` is the first.
        loss_p, accuracy_p: the test's p-values, after Holm's correction for all tests of that
            score in the comparison.
        several: whether there are several tests, so that p-values were corrected.
    """

    test: Paired
    loss_p: float
    accuracy_p: float
    several: bool

    @property
    def outcome(self) -> Paired:
        return self.test

    @property
    def about_loss(self) -> str:
        """A sentence on the log loss."""
        images = count(self.test.images, "image")
        return about_difference(
            self.best,
            self.other,
            "log loss",
            self.test.loss,
            self.test.loss_interval,
            on=images,
            on_each=f"each of {images}",
            p=self.loss_p,
            several=self.several,
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
            f"{second:,} ({in_words(self.accuracy_p)}): {chance}."
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

    @property
    def values(self) -> dict[str, Any]:
        return {
            "loss_difference": self.test.loss,
            "loss_interval_95": self.test.loss_interval,
            "loss_p": self.test.loss_p,
            "loss_p_holm": self.loss_p,
            "correct_by_best_alone": self.test.first_alone,
            "correct_by_other_alone": self.test.second_alone,
            "accuracy_p": self.test.accuracy_p,
            "accuracy_p_holm": self.accuracy_p,
        }


def _require_same_classes(runs: Sequence[Run], each: Sequence[Predictions]) -> None:
    first = set(each[0].classes)
    for run, predictions in zip(runs[1:], each[1:], strict=True):
        if first != (classes := set(predictions.classes)):
            hint = "Compare runs with the same classes. `dl runs diff` shows their settings."
            raise different_classes(runs[0], first, run, classes, hint)


def _contrasts(
    letters: Sequence[str], best: int, each: Sequence[Predictions]
) -> list[PhotosContrast]:
    y_true = each[0].y_true
    others = [number for number in range(len(each)) if number != best]
    tests = [paired(y_true, each[best].y_prob, each[number].y_prob) for number in others]
    loss_p, accuracy_p = holm([t.loss_p for t in tests]), holm([t.accuracy_p for t in tests])
    return [
        PhotosContrast(
            best=letters[best],
            other=letters[number],
            test=test,
            loss_p=of_loss,
            accuracy_p=of_accuracy,
            several=len(tests) > 1,
        )
        for number, test, of_loss, of_accuracy in zip(
            others, tests, loss_p, accuracy_p, strict=True
        )
    ]


JUDGE = Judge[Predictions](_require_same_classes, _contrasts)

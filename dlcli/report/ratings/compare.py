"""Tell runs on ratings apart by their squared errors on the same ratings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dlcli.evaluation.chance import holm
from dlcli.evaluation.ratings import PairedErrors, paired_errors
from dlcli.inference.ratings.predictions import RatingPredictions
from dlcli.report.contrast import Contrast, Judge, about_difference
from dlcli.runs.run import Run
from dlcli.words import count


@dataclass(frozen=True)
class RatingsContrast(Contrast):
    """A contrast by the mean squared error.

    Args:
        test: their squared errors, compared rating by rating; `best` is the first.
        p: the test's p-value, after Holm's correction for all tests in the comparison.
        several: whether there are several tests, so that p-values were corrected.
    """

    test: PairedErrors
    p: float
    several: bool

    @property
    def outcome(self) -> PairedErrors:
        return self.test

    @property
    def sentences(self) -> list[str]:
        """A sentence on the MSE."""
        ratings = count(self.test.ratings, "rating")
        return [
            about_difference(
                self.best,
                self.other,
                "MSE",
                self.test.mse,
                self.test.mse_interval,
                on=f"{ratings} by {count(self.test.users, 'user')}",
                on_each=f"the ratings of each of {count(self.test.users, 'user')}",
                p=self.p,
                several=self.several,
            )
        ]

    @property
    def values(self) -> dict[str, Any]:
        return {
            "users": self.test.users,
            "mse_difference": self.test.mse,
            "mse_interval_95": self.test.mse_interval,
            "mse_p": self.test.mse_p,
            "mse_p_holm": self.p,
        }


def _require_nothing(runs: Sequence[Run], each: Sequence[RatingPredictions]) -> None:
    """Any two predictions of the same ratings can be compared."""


def _contrasts(
    letters: Sequence[str], best: int, each: Sequence[RatingPredictions]
) -> list[RatingsContrast]:
    first = each[best]
    valid = first.rated(sorted(set(first.users)), sorted(set(first.items)))
    others = [number for number in range(len(each)) if number != best]
    tests = [paired_errors(valid, first.predicted, each[number].predicted) for number in others]
    return [
        RatingsContrast(
            best=letters[best],
            other=letters[number],
            test=test,
            p=p,
            several=len(tests) > 1,
        )
        for number, test, p in zip(others, tests, holm([t.mse_p for t in tests]), strict=True)
    ]


JUDGE = Judge[RatingPredictions](_require_nothing, _contrasts)

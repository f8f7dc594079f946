"""The scores of each kind of dataset: what an epoch's predictions are judged by, and their names.

A run's history has a column of each name for training, and one with `val_` before it for
validation. Its `status.yaml` has `train_` and `val_`.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Scores:
    """The scores of a kind of dataset.

    Args:
        words: what people call each score, by its name; the loss first, which training minimises.
        higher: the names of those that are better if they are higher.
    """

    words: Mapping[str, str]
    higher: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """The names, the loss first."""
        return tuple(self.words)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the validation scores, the loss first."""
        return tuple(f"val_{name}" for name in self.words)

    @property
    def titles(self) -> dict[str, str]:
        """The titles of the validation scores in a table, the loss last: "valid accuracy"."""
        (name, words), *others = [*self.words.items()][::-1]
        return {name: f"valid {words}", **dict(others)}


SCORES: Mapping[str, Scores] = {
    "photos": Scores({"loss": "log loss", "accuracy": "accuracy"}, frozenset({"accuracy"})),
    "ratings": Scores({"loss": "MSE", "rmse": "RMSE"}),
}

# The names of all kinds, and those of them that are better if they are higher.
NAMES = tuple(dict.fromkeys(name for scores in SCORES.values() for name in scores.names))
HIGHER = frozenset(name for scores in SCORES.values() for name in scores.higher)
# What they are called in lists and curves of runs, where each kind's loss is its "loss".
TITLES: Mapping[str, str] = {
    name: words if place else name
    for scores in SCORES.values()
    for place, (name, words) in enumerate(scores.words.items())
}


def scores_of(values: Mapping[str, object]) -> Scores:
    """The scores of the kind that a run's values are of; those of photos if they don't tell.

    Args:
        values: as a run's `status.yaml` has them; those that are None count as missing.
    """
    told = scores_in({key for key, value in values.items() if value is not None})
    found = (each for each in SCORES.values() if told == each.columns)
    return next(found, next(iter(SCORES.values())))


def scores_in(columns: Container[str]) -> tuple[str, ...]:
    """The columns of the validation scores, the loss first; () if no kind has all of its own.

    Args:
        columns: the names that a history's row or a status has.
    """
    for scores in SCORES.values():
        if all(name in columns for name in scores.columns):
            return scores.columns
    return ()

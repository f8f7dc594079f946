"""A finished run's predicted ratings: read from their file, or made if they are missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.config import Config
from dlcli.data.ratings.pairs import read_test, require_test
from dlcli.data.ratings.ratings import Ratings, open_ratings
from dlcli.errors import DlError
from dlcli.files.paths import quoted, shown
from dlcli.inference.predictor import Predictor
from dlcli.inference.ratings.predictions import (
    RatingPredictions,
    aligned,
    mean_of,
    numbers_of,
    read_predictions,
    write_predictions,
)
from dlcli.inference.ratings.recommend import say_unknown
from dlcli.inference.ratings.serving import read_labels, start_serving
from dlcli.runs.run import Run

if TYPE_CHECKING:
    import numpy as np


class RatingsPredictor(Predictor[Ratings, RatingPredictions]):
    """Makes, reads and keeps predicted ratings."""

    def opened(self, root: Path) -> Ratings:
        """The dataset in a folder."""
        return open_ratings(root)

    def require(self, dataset: Ratings, split: str) -> None:
        """Refuse a split without ratings, or without pairs to predict."""
        if split == "test":
            require_test(dataset)
        elif not dataset.sizes[split]:
            raise DlError(
                f"No ratings of {shown(dataset.root)} are in `{split}`",
                why="there is nothing to predict",
                hint=f"Split them: `dl data split {quoted(dataset.root)}`.",
            )

    def require_labels(self, run: Run) -> None:
        """Refuse a run without its ids."""
        read_labels(run)

    def read(self, file: Path) -> RatingPredictions:
        """Read a file of predicted ratings."""
        return read_predictions(file)

    def write(self, file: Path, predictions: RatingPredictions) -> None:
        """Write a file of predicted ratings."""
        write_predictions(file, predictions)

    def predict(self, run: Run, config: Config, dataset: Ratings, split: str) -> RatingPredictions:
        """Predict the pairs of a split, by their ids: the run's numbers may be others."""
        users, items, ratings = _pairs(dataset, split)
        serving = start_serving(run)
        numbers = numbers_of(users, serving.labels.users), numbers_of(items, serving.labels.items)
        say_unknown(run, users, items, numbers)
        return RatingPredictions(users, items, ratings, serving.predict(*numbers))

    def aligned(
        self, run: Run, members: Sequence[RatingPredictions]
    ) -> tuple[list[RatingPredictions], int]:
        """The predictions of the pairs that all members have."""
        same = aligned(members)
        pairs = [set(zip(each.users, each.items, strict=True)) for each in (*members, same[0])]
        return same, len(set().union(*pairs)) - len(pairs[-1])

    def mean(self, members: Sequence[RatingPredictions]) -> RatingPredictions:
        """The mean predicted ratings."""
        return mean_of(members)


RATINGS = RatingsPredictor()
predictions_of = RATINGS.of


def _pairs(dataset: Ratings, split: str) -> tuple[tuple[str, ...], tuple[str, ...], np.ndarray]:
    """The ids of a split's users and items, and the ratings: float64, NaN in test."""
    import numpy as np

    if split == "test":
        pairs = read_test(dataset)
        return tuple(pairs.users), tuple(pairs.items), np.full(len(pairs.users), np.nan)
    rows = dataset.rows(split)
    user_ids, item_ids = dataset.user_ids, dataset.item_ids
    users = tuple(user_ids[number - 1] for number in dataset.users[rows].tolist())
    items = tuple(item_ids[number - 1] for number in dataset.items[rows].tolist())
    return users, items, dataset.values[rows].astype(np.float64)

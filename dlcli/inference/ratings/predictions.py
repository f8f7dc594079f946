"""Files of predicted ratings: user, item, rating if known, predicted rating.

Evaluation, reports and submissions read these files and never a model. To take the mean of several,
they are first brought to the same pairs in the same order.
"""

from __future__ import annotations

import csv
import dataclasses
import math
import os
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.errors import DlError
from dlcli.evaluation.metrics import rounded
from dlcli.evaluation.ratings import Rated
from dlcli.files.formats import damaged, opened, write_csv

if TYPE_CHECKING:
    import numpy as np

COLUMNS = ("user", "item", "rating", "predicted")


@dataclass(frozen=True)
class RatingPredictions:
    """A model's predicted ratings of some pairs of a user and an item.

    Args:
        users, items: the ids of each pair.
        ratings: the ratings themselves, float64 (n_pairs,); NaN where unknown.
        predicted: float64 (n_pairs,).
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    ratings: np.ndarray
    predicted: np.ndarray

    @property
    def examples(self) -> list[tuple[str, str]]:
        """The user and the item of each row."""
        return list(zip(self.users, self.items, strict=True))

    @property
    def scores(self) -> dict[str, float]:
        """MSE and RMSE.

        Raises:
            DlError: a pair has no rating.
        """
        import numpy as np

        self._require_ratings()
        mse = float(np.mean((self.ratings - self.predicted) ** 2))
        return {"loss": rounded(mse), "rmse": rounded(math.sqrt(mse))}

    @property
    def digest(self) -> str:
        """Sixteen hex digits that depend on the pairs and the predicted ratings."""
        from hashlib import sha256

        digest = sha256(self.predicted.astype("<f4").tobytes())
        for ids in (self.users, self.items):
            digest.update("\0".join([str(len(ids)), *ids]).encode(errors="surrogateescape"))
        return digest.hexdigest()[:16]

    def rated(self, users: Sequence[str], items: Sequence[str]) -> Rated:
        """The pairs and their ratings by number, as evaluation takes them.

        Args:
            users, items: ids in the order of their numbers, from 1; other ids get the number 0.

        Raises:
            DlError: a pair has no rating.
        """
        self._require_ratings()
        return Rated(numbers_of(self.users, users), numbers_of(self.items, items), self.ratings)

    def _require_ratings(self) -> None:
        import numpy as np

        if np.isnan(self.ratings).any():
            raise DlError(
                "Not all of these pairs have a rating",
                why="test pairs have none",
                hint="Use the predictions of valid.",
            )


def numbers_of(ids: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """The number of each id: int32 (n_ids,).

    Args:
        known: the ids in the order of their numbers, from 1; other ids get the number 0.
    """
    import numpy as np

    numbers = {name: number for number, name in enumerate(known, start=1)}
    return np.fromiter((numbers.get(name, 0) for name in ids), np.int32, len(ids))


def write_predictions(path: Path, predictions: RatingPredictions) -> None:
    """Write a file of predicted ratings atomically, each to the last digit of a float32."""
    import numpy as np

    path.parent.mkdir(exist_ok=True)
    values, which = np.unique(predictions.ratings.astype(np.float32), return_inverse=True)
    # the shortest text that gives the same float32: 3.6, not 3.5999999
    texts = ["" if np.isnan(value) else f"{value!s}".removesuffix(".0") for value in values]
    rows = zip(predictions.users, predictions.items, which, predictions.predicted, strict=True)
    lines = (
        [user, item, texts[number], f"{predicted:.9g}"] for user, item, number, predicted in rows
    )
    write_csv(path, (line for part in ([COLUMNS], lines) for line in part))


def read_predictions(path: Path) -> RatingPredictions:
    """Read a file of predicted ratings.

    Raises:
        DlError: the file is cut short, or is not a file of predicted ratings.
    """
    import numpy as np

    users: list[str] = []
    items: list[str] = []
    ratings, predicted = array("d"), array("d")
    ids: dict[str, str] = {}  # each id once in memory: it occurs in many rows
    try:
        with opened(path) as file:
            _require_end_of_line(file.fileno())
            text = TextIOWrapper(file, "utf-8", "surrogateescape", newline="")
            rows = csv.reader(text, strict=True)
            if tuple(next(rows, ())) != COLUMNS:
                raise ValueError("its columns are not those of a file of predicted ratings")
            for user, item, rating, value in rows:
                users.append(ids.setdefault(user, user))
                items.append(ids.setdefault(item, item))
                ratings.append(_finite(rating) if rating else math.nan)
                predicted.append(_finite(value))
    except (ValueError, csv.Error) as error:
        raise damaged(path, error, "Remove it: it is made again.") from error
    return RatingPredictions(tuple(users), tuple(items), np.array(ratings), np.array(predicted))


def _finite(text: str) -> float:
    """A rating.

    Raises:
        ValueError: it is not a number.
    """
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"it holds the rating {text!r}")
    return value


def _require_end_of_line(descriptor: int) -> None:
    """Refuse a file that was cut short within a line: a number may then be another.

    Raises:
        ValueError: it does not end with a line.
    """
    size = os.fstat(descriptor).st_size
    if not size or os.pread(descriptor, 1, size - 1) != b"\n":
        raise ValueError("it ends within a line")


def aligned(members: Sequence[RatingPredictions]) -> list[RatingPredictions]:
    """The members' predictions of the pairs that all of them have, in the order of the first's.

    Args:
        members: of one split. A pair that occurs twice is predicted the same both times.

    Raises:
        DlError: no pair is in all of them.
    """
    first, *others = members
    if all((first.users, first.items) == (other.users, other.items) for other in others):
        return [dataclasses.replace(first, predicted=member.predicted) for member in members]
    theirs = [_by_pair(other) for other in others]
    pairs = list(zip(first.users, first.items, strict=True))
    rows = [row for row, pair in enumerate(pairs) if all(pair in other for other in theirs)]
    if not rows:
        raise DlError(
            "The members have no rating in common",
            why="an ensemble predicts the pairs of a user and an item that all its members predict",
            hint="Use runs on the same split of the same ratings.",
        )
    same = RatingPredictions(
        tuple(first.users[row] for row in rows),
        tuple(first.items[row] for row in rows),
        first.ratings[rows],
        first.predicted[rows],
    )
    return [same, *(_with_predicted(same, other) for other in theirs)]


def _by_pair(predictions: RatingPredictions) -> dict[tuple[str, str], float]:
    pairs = zip(predictions.users, predictions.items, strict=True)
    return dict(zip(pairs, predictions.predicted.tolist(), strict=True))


def _with_predicted(
    same: RatingPredictions, by_pair: Mapping[tuple[str, str], float]
) -> RatingPredictions:
    import numpy as np

    pairs = zip(same.users, same.items, strict=True)
    return dataclasses.replace(same, predicted=np.array([by_pair[pair] for pair in pairs]))


def mean_of(members: Sequence[RatingPredictions]) -> RatingPredictions:
    """The mean predicted ratings of `aligned` members.

    Its squared error is at most the mean of theirs, because the square is convex (Jensen's
    inequality).
    """
    import numpy as np

    mean = np.mean([member.predicted for member in members], axis=0)
    return dataclasses.replace(members[0], predicted=mean)

"""The samples of a training on ratings: pairs of a user and an item, with their ratings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dlcli.data.ratings.ratings import Ratings
from dlcli.evaluation.ratings import Rated

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Pairs:
    """The pairs of one split, read from the dataset's arrays, which are mapped into memory.

    Args:
        users, items: the number of each rating's user and item, int32 (n_ratings,).
        rows: the split's rows in these, int (n,).
    """

    users: np.ndarray
    items: np.ndarray
    rows: np.ndarray
    from_disk = False  # the system keeps them in memory
    shape = (2,)

    def __len__(self) -> int:
        return len(self.rows)

    def start_epoch(self, epoch: int) -> None:
        """Nothing to prepare: pairs are the same in each epoch."""

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """The numbers of all pairs in a random order: int32 (n,), half of the usual memory."""
        import numpy as np

        return rng.permutation(np.arange(len(self), dtype=np.int32))

    def batches(
        self, order: np.ndarray, batch_size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The pairs in `order`, int32 (n, 2), and their numbers, int (n,)."""
        import numpy as np

        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            rows = self.rows[chosen]
            yield np.stack([self.users[rows], self.items[rows]], axis=1), chosen


@dataclass(frozen=True)
class Samples:
    """Pairs and their ratings.

    Args:
        dataset: the ratings.
        split: "train" or "valid".
    """

    dataset: Ratings
    split: str

    @cached_property
    def rows(self) -> np.ndarray:
        """The split's rows in the dataset, int (n,)."""
        return self.dataset.rows(self.split)

    @property
    def inputs(self) -> Pairs:
        """The pairs."""
        return Pairs(self.dataset.users, self.dataset.items, self.rows)

    @property
    def labelled(self) -> int:
        """All have a rating."""
        return len(self.rows)

    @cached_property
    def y_true(self) -> np.ndarray:
        """The ratings, float32 (n,)."""
        y_true: np.ndarray = self.dataset.values[self.rows]
        return y_true

    def rated(self, order: np.ndarray | slice = slice(None)) -> Rated:
        """The pairs with their ratings, as evaluation takes them; of some of them in order."""
        rows = self.rows[order]
        return Rated(self.dataset.users[rows], self.dataset.items[rows], self.y_true[order])


@dataclass(frozen=True)
class Targets:
    """The ratings, for the loss.

    Args:
        y_true: float32 (n,).
    """

    y_true: np.ndarray

    def of(
        self, x: np.ndarray, chosen: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, None]:
        """The pairs as they are, with their ratings, (n, 1)."""
        return x, self.y_true[chosen, None], None

"""Stored features to train on: in memory where they fit, else from disk; plain or seen anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dlcli.features.compute import Features
from dlcli.features.windows import read_in_windows, rows_per_window, shuffled_by_chunks

if TYPE_CHECKING:
    import numpy as np


class FeatureInputs:
    """Rows of the feature store.

    Args:
        passes: the features of one split's images: plain, and perhaps of the same images changed
            at random. The epochs take them in turn, so that an epoch remains one look at each
            image; the course showed all copies in each epoch.
        memory_bytes: features are held up to this size: all passes, or the one in use, or a part
            of it at a time.
    """

    def __init__(self, passes: Sequence[Features], memory_bytes: int) -> None:
        self.paths = passes[0].paths
        self._passes: list[Any] = [each.rows for each in passes]
        self._memory_bytes = memory_bytes
        self._one_fits = size_of(passes[:1]) <= memory_bytes
        self._all_fit = size_of(passes) <= memory_bytes
        self._held: dict[int, np.ndarray] = {}
        self._number = 0
        self.start_epoch(0)

    @property
    def from_disk(self) -> bool:
        """Whether they are read from disk in every epoch."""
        return not self._one_fits

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image's features."""
        return tuple(self._passes[0].shape[1:])

    def start_epoch(self, epoch: int) -> None:
        """Take the pass whose turn it is; 0: the plain one."""
        self._number = epoch % len(self._passes)
        if self._one_fits and self._number not in self._held:
            if not self._all_fit:
                self._held.clear()
            self._held[self._number] = self._passes[self._number][:]

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """The numbers of all rows, in random order; from disk one that keeps chunks together."""
        if self._one_fits:
            return rng.permutation(len(self.paths))
        return shuffled_by_chunks(self._passes[self._number], self._window_rows, rng)

    def batches(
        self, order: np.ndarray, batch_size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The rows in `order`, float32, and their numbers."""
        if not self._one_fits:
            rows = self._passes[self._number]
            yield from read_in_windows(rows, order, batch_size, self._window_rows)
            return
        held = self._held[self._number]
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            yield held[chosen], chosen

    @property
    def _window_rows(self) -> int:
        return rows_per_window(self._passes[self._number], self._memory_bytes)


def size_of(passes: Sequence[Features]) -> int:
    """What these take in memory, in bytes."""
    return sum(each.rows.dtype.itemsize * each.rows.size for each in passes)

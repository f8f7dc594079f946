"""What a network trains on: stored features, or the images themselves.

Both give batches for an order of samples, so that training is one loop. The order comes from the
seed and the epoch alone: a run that was stopped sees the same batches when it goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dlcli.dataset import Dataset
from dlcli.features import Features
from dlcli.images import (
    PixelRule,
    UnreadableImage,
    none_readable,
    read_batches,
    refuse_unreadable,
)
from dlcli.progress import say, track
from dlcli.settings import OnError

if TYPE_CHECKING:
    import numpy as np

# Decoded images are kept up to this size (1,602 photos at 224 are 241 MB); beyond it they are
# decoded anew in each epoch.
MAX_KEPT_BYTES = 1 << 30


class Inputs(Protocol):
    """One split, ready to train on. `y_true` holds the class numbers, int (n_samples,)."""

    paths: tuple[str, ...]
    y_true: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""

    def batches(self, order: np.ndarray, batch_size: int) -> Iterator[tuple[np.ndarray, ...]]:
        """(x, y) pairs, float32 and int, for the samples in `order`."""


def read_images(
    dataset: Dataset,
    splits: Sequence[str],
    rule: PixelRule,
    workers: int,
    on_error: OnError,
) -> list[ImageInputs]:
    """Some splits as images.

    Args:
        dataset: where they lie.
        splits: of "train" and "valid".
        rule: how files become pixels.
        workers: threads that decode.
        on_error: "stop" refuses unreadable images, those of all splits named at once; "skip"
            leaves them out, and says how many.

    Raises:
        DlError: unreadable images, or none that is readable.
    """
    read = {split: ImageInputs(dataset, split, dataset.classes, rule, workers) for split in splits}
    if on_error == "stop":
        refuse_unreadable([error for inputs in read.values() for error in inputs.unreadable])
    for split, inputs in read.items():
        if not inputs.paths:
            raise none_readable(split, inputs.unreadable[0])
        if inputs.unreadable:
            say(f"{len(inputs.unreadable):,} of {split} left out: they can't be read.")
    return list(read.values())


class FeatureInputs:
    """Rows of the feature store, in memory.

    Args:
        features: of one split.
        classes: class names in the order of the outputs.
    """

    def __init__(self, features: Features, classes: Sequence[str]) -> None:
        self.paths = features.paths
        self.y_true = class_numbers(features.paths, classes)
        self._rows = features.rows

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image's features."""
        return tuple(self._rows.shape[1:])

    def batches(self, order: np.ndarray, batch_size: int) -> Iterator[tuple[np.ndarray, ...]]:
        """(x, y) pairs, float32 and int, for the rows in `order`."""
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            yield self._rows[chosen], self.y_true[chosen]


class ImageInputs:
    """The images of one split, decoded on threads; kept in memory where they fit.

    Args:
        dataset: where they lie.
        split: "train" or "valid".
        classes: class names in the order of the outputs.
        rule: how files become pixels.
        workers: threads that decode.

    Attributes:
        unreadable: the images that are left out, because they can't be read.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        classes: Sequence[str],
        rule: PixelRule,
        workers: int,
    ) -> None:
        self._root, self._rule, self._workers = dataset.root, rule, workers
        every = dataset.splits[split]
        self._kept, self.unreadable = self._read_once(split, every)
        bad = {error.path for error in self.unreadable}
        self.paths = tuple(path for path in every if self._root / path not in bad)
        self.y_true = class_numbers(self.paths, classes)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return (self._rule.size, self._rule.size, 3)

    def batches(self, order: np.ndarray, batch_size: int) -> Iterator[tuple[np.ndarray, ...]]:
        """(x, y) pairs, pixels 0-255 as float32 and int, for the images in `order`."""
        import numpy as np

        if self._kept is not None:
            for start in range(0, len(order), batch_size):
                chosen = order[start : start + batch_size]
                yield self._kept[chosen].astype(np.float32), self.y_true[chosen]
            return
        paths = [self.paths[i] for i in order]
        for batch in read_batches(self._root, paths, self._rule, batch_size, self._workers):
            refuse_unreadable(batch.unreadable)  # readable a moment ago, damaged since
            chosen = order[batch.start : batch.start + batch.count]
            yield batch.pixels.astype(np.float32), self.y_true[chosen]

    def _read_once(
        self, split: str, paths: Sequence[str]
    ) -> tuple[np.ndarray | None, list[UnreadableImage]]:
        """Decode every image once: it shows which can't be, and fills the memory if they fit."""
        import numpy as np

        size = self._rule.size
        fits = len(paths) * size * size * 3 <= MAX_KEPT_BYTES
        kept = np.empty((len(paths) if fits else 0, size, size, 3), np.uint8)
        row = 0
        unreadable: list[UnreadableImage] = []
        batches = read_batches(self._root, paths, self._rule, 32, self._workers)
        with track(f"Reading {split}", len(paths), "images") as bar:
            for batch in batches:
                unreadable += batch.unreadable
                if fits:
                    kept[row : row + len(batch.pixels)] = batch.pixels
                row += len(batch.pixels)
                bar.advance(batch.count)
        return (kept[:row] if fits else None), unreadable


def class_numbers(paths: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Each image's class number, by the name of its folder: int array of shape (n,)."""
    import numpy as np

    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[Path(path).parts[1]] for path in paths], dtype=np.int64)

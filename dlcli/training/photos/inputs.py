"""Inputs of training: images, stored features, or either with unlabelled images added.

The order of samples depends on seed and epoch alone: a resumed run gets the same batches. Stored
features are held in memory if they fit, else read from disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dlcli.data.photos.photos import Photos
from dlcli.features.compute import Features
from dlcli.features.windows import read_in_windows, rows_per_window, shuffled_by_chunks
from dlcli.images.augmentation import epoch_place
from dlcli.images.pixels import (
    PixelRule,
    UnreadableImage,
    none_readable,
    read_batches,
    refuse_unreadable,
)
from dlcli.progress import say, track
from dlcli.settings.shared import OnError
from dlcli.training.network import Inputs as AnyInputs

if TYPE_CHECKING:
    import numpy as np

    from dlcli.images.augmentation import Augmenter


class Inputs(AnyInputs, Protocol):
    """One split of photos, ready to train on.

    Attributes:
        paths: the image of each sample.
    """

    paths: tuple[str, ...]


class ImageInputs:
    """The images of one split, decoded by threads; held in memory if they fit.

    Args:
        workers: threads that decode.
        in_memory: whether to keep the pixels; else they are decoded in each epoch.

    Attributes:
        unreadable: images that are left out, because they can't be read.
        augmenter: random augmentation in each epoch; None: none.
    """

    def __init__(
        self, dataset: Photos, split: str, rule: PixelRule, workers: int, *, in_memory: bool
    ) -> None:
        self._root, self._rule, self._workers = dataset.root, rule, workers
        every = dataset.splits[split]
        self._kept, self.unreadable = self._read_once(split, every, in_memory)
        bad = {error.path for error in self.unreadable}
        self.paths = tuple(path for path in every if self._root / path not in bad)
        self.augmenter: Augmenter | None = None
        self._changing = False

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.paths)

    @property
    def from_disk(self) -> bool:
        """Whether the images are decoded in every epoch."""
        return self._kept is None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return (self._rule.size, self._rule.size, 3)

    def start_epoch(self, epoch: int) -> None:
        """Augment the images as in that epoch; 0: no augmentation."""
        self._changing = self.augmenter is not None and epoch > 0
        if self.augmenter:
            self.augmenter.start_at(epoch_place(epoch))

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """The numbers of all images in a random order."""
        return rng.permutation(len(self.paths))

    def batches(
        self, order: np.ndarray, batch_size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The images in `order`: pixels 0-255 as float32, and their numbers."""
        import numpy as np

        for pixels, chosen in self._read(order, batch_size):
            x = pixels.astype(np.float32)
            yield (self.augmenter(x) if self.augmenter and self._changing else x), chosen

    def _read(self, order: np.ndarray, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if self._kept is not None:
            for start in range(0, len(order), batch_size):
                chosen = order[start : start + batch_size]
                yield self._kept[chosen], chosen
            return
        paths = [self.paths[i] for i in order]
        for batch in read_batches(self._root, paths, self._rule, batch_size, self._workers):
            refuse_unreadable(batch.unreadable)  # damaged since they were first read
            yield batch.pixels, order[batch.start : batch.start + batch.count]

    def _read_once(
        self, split: str, paths: Sequence[str], in_memory: bool
    ) -> tuple[np.ndarray | None, list[UnreadableImage]]:
        """Decode every image once, to find unreadable ones and to fill the memory."""
        import numpy as np

        size = self._rule.size
        kept = np.empty((len(paths) if in_memory else 0, size, size, 3), np.uint8)
        row = 0
        unreadable: list[UnreadableImage] = []
        batches = read_batches(self._root, paths, self._rule, 32, self._workers)
        with track(f"Reading {split}", len(paths), "images") as bar:
            for batch in batches:
                unreadable += batch.unreadable
                if in_memory:
                    kept[row : row + len(batch.pixels)] = batch.pixels
                row += len(batch.pixels)
                bar.advance(batch.count)
        return (kept[:row] if in_memory else None), unreadable


def read_images(
    dataset: Photos,
    splits: Sequence[str],
    rule: PixelRule,
    workers: int,
    memory_bytes: int,
    on_error: OnError,
) -> list[ImageInputs]:
    """Read some splits as images.

    Args:
        workers: threads that decode.
        memory_bytes: memory for all splits together; those that don't fit are decoded in each
            epoch.
        on_error: "stop" refuses unreadable images and names those of all splits at once; "skip"
            leaves them out, and prints how many.

    Raises:
        DlError: unreadable images, or no readable one.
    """
    kept = _kept(memory_bytes, {split: _bytes(rule, dataset.splits[split]) for split in splits})
    read = {
        split: ImageInputs(dataset, split, rule, workers, in_memory=split in kept)
        for split in splits
    }
    if on_error == "stop":
        refuse_unreadable([error for inputs in read.values() for error in inputs.unreadable])
    for split, inputs in read.items():
        if not inputs.paths:
            raise none_readable(split, inputs.unreadable[0])
        if inputs.unreadable:
            say(f"Left out {len(inputs.unreadable):,} of {split}: unreadable.")
    return list(read.values())


def _kept(memory_bytes: int, sizes: Mapping[str, int]) -> set[str]:
    """The splits that fit into memory as a whole, the smallest first."""
    kept = set()
    for split in sorted(sizes, key=lambda split: sizes[split]):
        if sizes[split] <= memory_bytes:
            memory_bytes -= sizes[split]
            kept.add(split)
    return kept


def _bytes(rule: PixelRule, paths: Sequence[str]) -> int:
    return len(paths) * rule.size * rule.size * 3


def class_numbers(paths: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Each image's class number, by its folder's name: int array of shape (n,)."""
    import numpy as np

    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[Path(path).parts[1]] for path in paths], dtype=np.int64)


def one_hot(y_true: np.ndarray, n_classes: int) -> np.ndarray:
    """Class numbers, int (n,), as one-hot probabilities, float32 (n, n_classes)."""
    import numpy as np

    rows: np.ndarray = np.eye(n_classes, dtype=np.float32)[y_true]
    return rows


class FeatureInputs:
    """Rows of the feature store.

    Args:
        passes: the features of one split's images, and perhaps of augmented copies. The epochs use
            them in turn, so that an epoch still has each image once; the course used all copies in
            each epoch.
        memory_bytes: memory for features: of all passes, of the one in use, or of a part of it.
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

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.paths)

    @property
    def from_disk(self) -> bool:
        """Whether features are read from disk in every epoch."""
        return not self._one_fits

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image's features."""
        return tuple(self._passes[0].shape[1:])

    def start_epoch(self, epoch: int) -> None:
        """Switch to the epoch's pass; 0: the one without augmentation."""
        self._number = epoch % len(self._passes)
        if self._one_fits and self._number not in self._held:
            if not self._all_fit:
                self._held.clear()
            self._held[self._number] = self._passes[self._number][:]

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """The numbers of all rows in random order; on disk one that keeps chunks together."""
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
    """The size of all passes in memory, in bytes."""
    return sum(each.rows.dtype.itemsize * each.rows.size for each in passes)


class JoinedInputs:
    """Labelled and unlabelled samples, in every batch at the same ratio.

    An epoch is one pass over the labelled samples; the unlabelled ones are cycled through.
    Source: Lee 2013, "Pseudo-Label"; the course's statefarm notebook mixes in a quarter.

    Args:
        labelled: the training samples, numbered first.
        unlabelled: the other samples.
        known: which unlabelled samples have a label from the run: bool (n_unlabelled,).
        share: share of unlabelled samples in each batch, above 0 and below 1.
    """

    def __init__(
        self, labelled: Inputs, unlabelled: Inputs, known: np.ndarray, share: float
    ) -> None:
        self._known = known
        self._labelled, self._unlabelled, self._share = labelled, unlabelled, share
        self.paths = (*labelled.paths, *unlabelled.paths)

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.paths)

    @property
    def from_disk(self) -> bool:
        """Whether the labelled samples are read from disk in every epoch."""
        return self._labelled.from_disk

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self._labelled.shape

    def start_epoch(self, epoch: int) -> None:
        """Prepare both for an epoch."""
        self._labelled.start_epoch(epoch)
        self._unlabelled.start_epoch(epoch)

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """All labelled samples in random order, then the unlabelled ones that join them."""
        import numpy as np

        first = self._labelled.shuffled(rng)
        count = round(len(first) * self._share / (1 - self._share))
        rounds = count // int(self._known.sum()) + 1
        others = np.concatenate([self._unlabelled.shuffled(rng) for _ in range(rounds)])
        others = others[self._known[others]]
        return np.concatenate([first, len(first) + others[:count]])

    def batches(
        self, order: np.ndarray, batch_size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Batches of labelled and unlabelled samples, at their shares."""
        import numpy as np

        offset = len(self._labelled.paths)
        mine, theirs = order[order < offset], order[order >= offset] - offset
        if not len(theirs):
            yield from self._labelled.batches(mine, batch_size)
            return
        beside = max(min(round(batch_size * self._share), batch_size - 1), 1)
        others = self._unlabelled.batches(theirs, beside)
        for x, chosen in self._labelled.batches(mine, max(batch_size - beside, 1)):
            more = next(others, None)
            if more is not None:
                x = np.concatenate([x, more[0]])
                chosen = np.concatenate([chosen, more[1] + offset])
            yield x, chosen

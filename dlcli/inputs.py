"""What a network trains on, whichever kind it is; here the images themselves.

Images, stored features, and labels of a model's own making give batches for an order of samples, so
that training is one loop. The order comes from the seed and the epoch alone: a run that was stopped
sees the same batches when it goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dlcli.data.dataset import Dataset
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

if TYPE_CHECKING:
    import numpy as np

    from dlcli.images.augmentation import Augmenter


class Inputs(Protocol):
    """One split, ready to train on.

    Attributes:
        paths: the image of each sample.
    """

    paths: tuple[str, ...]

    @property
    def from_disk(self) -> bool:
        """Whether they are read from disk in every epoch, because memory would not hold them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""

    def start_epoch(self, epoch: int) -> None:
        """Show the samples as that epoch sees them, numbered from 1; 0: as they are."""

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """The numbers of all samples in a random order that they can be read in quickly."""

    def batches(
        self, order: np.ndarray, batch_size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The samples in `order`: float32 (n, *shape), and their numbers, int (n,)."""


class ImageInputs:
    """The images of one split, decoded on threads; kept in memory where they fit.

    Args:
        dataset: where they lie.
        split: which of its splits.
        rule: how files become pixels.
        workers: threads that decode.
        in_memory: whether to keep the pixels; else they are decoded in each epoch.

    Attributes:
        unreadable: the images that are left out, because they can't be read.
        augmenter: what changes the images in each epoch; None: nothing.
    """

    def __init__(
        self, dataset: Dataset, split: str, rule: PixelRule, workers: int, *, in_memory: bool
    ) -> None:
        self._root, self._rule, self._workers = dataset.root, rule, workers
        every = dataset.splits[split]
        self._kept, self.unreadable = self._read_once(split, every, in_memory)
        bad = {error.path for error in self.unreadable}
        self.paths = tuple(path for path in every if self._root / path not in bad)
        self.augmenter: Augmenter | None = None
        self._changing = False

    @property
    def from_disk(self) -> bool:
        """Whether the images are decoded in every epoch."""
        return self._kept is None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return (self._rule.size, self._rule.size, 3)

    def start_epoch(self, epoch: int) -> None:
        """Change the images from here on as that epoch does; 0: not at all."""
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
            refuse_unreadable(batch.unreadable)  # readable a moment ago, damaged since
            yield batch.pixels, order[batch.start : batch.start + batch.count]

    def _read_once(
        self, split: str, paths: Sequence[str], in_memory: bool
    ) -> tuple[np.ndarray | None, list[UnreadableImage]]:
        """Decode every image once: it shows which can't be, and fills the memory if wanted."""
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
    dataset: Dataset,
    splits: Sequence[str],
    rule: PixelRule,
    workers: int,
    memory_bytes: int,
    on_error: OnError,
) -> list[ImageInputs]:
    """Some splits as images.

    Args:
        dataset: where they lie.
        splits: which.
        rule: how files become pixels.
        workers: threads that decode.
        memory_bytes: for all of them together; those that don't fit are decoded in each epoch.
        on_error: "stop" refuses unreadable images, those of all splits named at once; "skip"
            leaves them out, and says how many.

    Raises:
        DlError: unreadable images, or none that is readable.
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
            say(f"{len(inputs.unreadable):,} of {split} left out: they can't be read.")
    return list(read.values())


def _kept(memory_bytes: int, sizes: Mapping[str, int]) -> set[str]:
    """Which of several splits the memory holds, each whole; the smallest first."""
    kept = set()
    for split in sorted(sizes, key=lambda split: sizes[split]):
        if sizes[split] <= memory_bytes:
            memory_bytes -= sizes[split]
            kept.add(split)
    return kept


def _bytes(rule: PixelRule, paths: Sequence[str]) -> int:
    return len(paths) * rule.size * rule.size * 3


def class_numbers(paths: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Each image's class number, by the name of its folder: int array of shape (n,)."""
    import numpy as np

    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[Path(path).parts[1]] for path in paths], dtype=np.int64)

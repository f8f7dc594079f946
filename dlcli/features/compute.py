"""Compute a split's features chunk by chunk, and open stored ones.

    <dataset>/features/<backbone>-<layer>-<key>/
        manifest.yaml                     the function that made them
        train.csv, train.bc, train.done   the images, their rows, and the mark that all are stored

A stopped computation resumes from the last whole chunk. If images were added, removed, or moved to
another split, the rows of the other images are kept. No other module uses bcolz.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dlcli.data.dataset import FEATURES, SPLITS
from dlcli.data.photos.look_alikes import say_look_alikes
from dlcli.data.photos.photos import Photos
from dlcli.errors import DlError
from dlcli.features.rules import kept_as, rows_to_keep
from dlcli.features.split_log import (
    Listed,
    StoredSplit,
    array_path,
    begin_log,
    list_images,
    read_split,
    set_aside,
    write_listing,
)
from dlcli.features.store import (
    claim,
    forget_before,
    function_of,
    held,
    next_before,
    ready_split,
    require_own_store,
    skipped,
    store_folder,
    writing,
)
from dlcli.files.paths import quoted, shown
from dlcli.images.pixels import (
    PixelChange,
    PixelRule,
    UnreadableImage,
    is_readable,
    none_readable,
    refuse_unreadable,
)
from dlcli.models.engines import Engine, rows_of, start_engine
from dlcli.models.forward import Forward
from dlcli.progress import say, track
from dlcli.settings.shared import OnError

if TYPE_CHECKING:
    import bcolz
    import numpy as np

# Rows a chunk: a multiple of every engine's batch, read at 3 times the speed of bcolz's default.
CHUNK_ROWS = 64


@dataclass(frozen=True)
class Features:
    """One split's features.

    Args:
        rows: array of shape (n_samples, ...), float32; one on disk is read by slices of rows.
        paths: the image of each row, relative to the dataset's folder.
    """

    rows: np.ndarray | bcolz.carray
    paths: tuple[str, ...]


def compute_features(
    dataset: Photos,
    forward: Forward,
    weights: Path,
    *,
    workers: int,
    on_error: OnError,
    splits: Sequence[str] = SPLITS,
) -> Path:
    """Compute the features that aren't stored yet.

    Args:
        forward: network, cut, pixels, engine and precision.
        weights: the file of the network's weights.
        workers: threads that decode.
        on_error: "stop" fails and names every unreadable image; "skip" leaves them out and records
            which.

    Returns:
        the store's folder.

    Raises:
        DlError: unreadable images; no space or no permission; another process computes them.
    """
    wanted = [split for split in splits if dataset.splits[split]]
    forward = kept_as(dataset, forward, wanted)
    folder = store_folder(dataset, forward, wanted)
    missing = missing_splits(dataset, forward, splits)
    for split in wanted:
        if split not in missing and (left_out := skipped(folder, split)):
            say(f"Left out {len(left_out):,} of {split}: recorded earlier as unreadable.")
    if not missing:
        return folder
    if "train" in missing:
        say_look_alikes(dataset, once=True)
    if not folder.is_relative_to(dataset.root):
        inside = dataset.root / FEATURES
        why = f"{shown(inside)} is a link" if inside.is_symlink() else ""
        why = why or f"{shown(dataset.root)} is read-only"
        say(f"{why}: features go to {shown(folder.parent)}.")
    start = functools.cache(lambda: start_engine(forward, weights))
    unreadable: list[UnreadableImage] = []
    try:
        with writing(folder), held(folder):
            require_own_store(folder)
            if function_of(folder) != forward:
                start()  # it may fail, and should before the images are listed
                claim(folder, forward)
            for split in missing:
                if not features_ready(folder, dataset, split):  # or another process just made them
                    unreadable += _compute_split(
                        folder, dataset, split, forward, start, workers, on_error
                    )
            refuse_unreadable(unreadable)
            forget_before(folder, dataset)
    except KeyboardInterrupt:
        _say_kept(folder, dataset, wanted)
        raise
    return folder


def missing_splits(dataset: Photos, forward: Forward, splits: Sequence[str] = SPLITS) -> list[str]:
    """The splits with images whose features are not stored, or not of the images as they are."""
    with_images = [split for split in splits if dataset.splits[split]]
    folder = store_folder(dataset, kept_as(dataset, forward, with_images), with_images)
    return [split for split in with_images if not features_ready(folder, dataset, split)]


def _say_kept(folder: Path, dataset: Photos, splits: Sequence[str]) -> None:
    """Say how many images need not be computed again after Ctrl-C."""
    found = [each for split in splits if (each := read_split(folder, split))]
    kept = sum(each.images for each in found)
    total = sum(len(dataset.splits[split]) for split in splits)
    if kept:
        say(
            f"The features of {kept:,} of {total:,} images are kept in {shown(folder)}. The same "
            "command continues from there."
        )
    else:
        say("No features are stored yet. The same command starts again.")


def features_ready(folder: Path, dataset: Photos, split: str) -> bool:
    """Whether one split's features are complete and match its images as they are now."""
    return ready_split(folder, dataset, split) is not None


def open_features(folder: Path, dataset: Photos, split: str) -> Features:
    """Open one split's features on disk, without reading them into memory.

    Raises:
        DlError: they are missing, unfinished or damaged, or the split's images have changed.
    """
    stored = ready_split(folder, dataset, split)
    if stored is None:
        raise DlError(
            f"The features of {split} in {shown(folder)} are missing or out of date",
            hint=f"Run `dl features -d {quoted(dataset.root)}`.",
        )
    paths = tuple(listed.path for listed in stored.with_rows)
    return Features(_open(stored, "r"), paths)


def _compute_split(
    folder: Path,
    dataset: Photos,
    split: str,
    forward: Forward,
    start: Callable[[], Engine],
    workers: int,
    on_error: OnError,
) -> list[UnreadableImage]:
    """Compute one split from where it stopped; return the unreadable images that prevent it."""
    growing = _GrowingRows(folder, split, *_begin(folder, dataset, split, forward.pixels))
    begun, total = growing.images, len(growing.listing)
    if 0 < begun < total:
        say(f"Features of {split}: resuming after {begun:,} of {total:,} images.")
    known: dict[str, tuple[bcolz.carray, int, Sequence[PixelChange]]] = {}
    for stored, numbers, changed in rows_to_keep(dataset, forward, growing.listing[begun:]):
        array = _open(stored, "r")
        known |= {path: (array, row, changed.get(path, ())) for path, row in numbers.items()}
    if known:
        say(f"Features of {split}: {len(known):,} of {total:,} images are stored already.")
    paths = [listed.path for listed in growing.listing[begun:]]
    fresh = [path for path in paths if path not in known]
    with (
        closing(rows_of(dataset.root, fresh, forward, start, workers)) as computed,
        track(f"Features of {split}", total, "images", done=begun) as bar,
    ):
        for path in paths:
            if path in known:
                array, number, changes = known[path]
                growing.add(path, array[number], changes)
            elif isinstance(row := next(computed), UnreadableImage):
                growing.skip(path, row.reason)
            else:
                growing.add(path, *row)
            bar.advance()
    growing.flush()
    if on_error == "stop" and growing.skipped:
        return [UnreadableImage(dataset.root / path, why) for path, why in growing.skipped.items()]
    growing.finish()
    return []


def _begin(
    folder: Path, dataset: Photos, split: str, rule: PixelRule
) -> tuple[tuple[Listed, ...], StoredSplit | None]:
    """The images as they are now, and their rows that are stored already."""
    listing = list_images(dataset.root, dataset.splits[split])
    stored = read_split(folder, split)
    if stored is None:
        return listing, None
    if not stored.is_of(listing):
        say(f"The images of {split} have changed: updating their features.")
    elif not any(is_readable(dataset.root / path, rule) for path in stored.skipped):
        return listing, stored.believed()
    set_aside(folder, split, next_before(folder))
    return listing, None


class _GrowingRows:
    """One split's rows while they are being written; continues after those that are `kept`."""

    def __init__(
        self, folder: Path, split: str, listing: tuple[Listed, ...], kept: StoredSplit | None
    ) -> None:
        self.listing = listing
        self._folder, self._split = folder, split
        self._stored = kept if kept and kept.chunks else None
        self._array = _open(self._stored, "a") if self._stored else None
        if self._array is None or self._array.chunklen != CHUNK_ROWS:
            self._stored = self._array = None
            write_listing(folder, split, listing)
        # since the last chunk
        self._images = 0
        self._rows: list[np.ndarray] = []
        self._skipped: dict[str, str] = {}
        self._changed: dict[str, list[PixelChange]] = {}

    @property
    def images(self) -> int:
        """The number of images that are done."""
        return self._images + (self._stored.images if self._stored else 0)

    @property
    def skipped(self) -> dict[str, str]:
        """Path -> why, for the images without a row."""
        return self._skipped | (self._stored.skipped if self._stored else {})

    def skip(self, path: str, why: str) -> None:
        """Leave the next image out."""
        self._images += 1
        self._skipped[path] = why

    def add(self, path: str, row: np.ndarray, changes: Sequence[PixelChange]) -> None:
        """Add the next image's row; rows are written when they fill a chunk."""
        self._images += 1
        self._rows.append(row)
        if changes:
            self._changed[path] = list(changes)
        if len(self._rows) == CHUNK_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write the pending rows. Only the last chunk of a split may be partly filled."""
        import numpy as np

        if self._rows:
            rows = np.stack(self._rows)
            if self._array is None:
                self._array = _create(self._folder, self._split, rows)
                self._stored = begin_log(self._folder, self._split, self.listing, rows.shape[1:])
            self._array.append(rows)
            if len(rows) < CHUNK_ROWS:
                self._array.flush()
        if self._stored and self._images:
            self._stored = self._stored.plus(
                self._images, len(self._rows), self._skipped, self._changed
            )
            self._images, self._rows, self._skipped, self._changed = 0, [], {}, {}

    def finish(self) -> None:
        """Mark the array as finished.

        Raises:
            DlError: it has no row.
        """
        if self._stored is None:
            path, why = next(iter(self._skipped.items()))
            raise none_readable(self._split, UnreadableImage(Path(path), why))
        self._stored.finish()


def _create(folder: Path, split: str, rows: np.ndarray) -> bcolz.carray:
    """An empty array on disk for such rows."""
    import bcolz

    return bcolz.carray(
        rows[:0],
        rootdir=str(array_path(folder, split)),
        mode="w",
        chunklen=CHUNK_ROWS,
        # After a ReLU most numbers are 0, all four bytes of them: without bcolz's byte shuffle,
        # convolutions take a third less room and are read 2.5 times as fast.
        cparams=bcolz.cparams(clevel=5, cname="lz4", shuffle=bcolz.NOSHUFFLE),
    )


def _open(stored: StoredSplit, mode: Literal["r", "a"]) -> bcolz.carray:
    """Open the rows of these chunks, for reading or for adding more."""

    if mode == "a" or not stored.finished:
        stored.reopen()
    array = array_path(stored.folder, stored.split)
    # not `bcolz.open`, which opens a table where a file says that there is one
    try:
        return _rows_on_disk()(rootdir=str(array), mode=mode)
    except (RuntimeError, ValueError) as error:
        raise _damaged(array, error) from error


@functools.cache
def _rows_on_disk() -> type[bcolz.carray]:
    """The class of an array whose chunks may be damaged: each is decompressed when it is read."""
    import bcolz

    class Rows(bcolz.carray):  # type: ignore[misc]
        def __getitem__(self, rows: object) -> np.ndarray:
            try:
                read: np.ndarray = super().__getitem__(rows)
            except RuntimeError as error:
                raise _damaged(Path(self.rootdir), error) from error
            return read

    return Rows


def _damaged(array: Path, error: Exception) -> DlError:
    """The error of an array that bcolz can't read."""
    return DlError(
        f"The features of {array.stem} in {shown(array.parent)} are damaged",
        why=str(error),
        hint=f"Remove them: `dl features rm {array.parent.name}`.",
    )

"""What a pretrained network sees in each image, computed once and kept on disk.

    <dataset>/features/<backbone>-<layer>-<key>/
        manifest.yaml    the function that made them
        train.csv        path, size, time of each row's image, in order; written first
        train.bc/        the rows, a bcolz array
        train.done       how many rows, and which images were left out; written last

A stopped computation goes on from the last whole chunk; the arrays only ever grow. Here alone is
bcolz used.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dlcli.dataset import SPLITS, Dataset
from dlcli.errors import DlError
from dlcli.files import read_csv, read_text, read_yaml, write_csv, write_yaml
from dlcli.images import UnreadableImage, read_batches, refuse_unreadable
from dlcli.inference import Engine, Forward, start_engine
from dlcli.places import shown
from dlcli.progress import say, track

if TYPE_CHECKING:
    import bcolz
    import numpy as np

OnError = Literal["stop", "skip"]
FOLDER = "features"
MANIFEST = "manifest.yaml"
# Rows per chunk on disk: a multiple of every engine's batch. lz4 with chunks of this order reads
# at 3 times the speed of bcolz's own default.
CHUNK_ROWS = 64


@dataclass(frozen=True)
class Features:
    """One split's features.

    Args:
        rows: array of shape (n_samples, ...), float32.
        paths: the image of each row, relative to the dataset's folder.
        key: of the function that made them.
    """

    rows: np.ndarray
    paths: tuple[str, ...]
    key: str


def store_folder(dataset: Dataset, forward: Forward) -> Path:
    """Where a function's features of a dataset are kept."""
    name = f"{forward.backbone}-{forward.layer}-{forward.key}"
    return dataset.root / FOLDER / name


def compute_features(
    dataset: Dataset,
    forward: Forward,
    weights: Path,
    *,
    workers: int,
    on_error: OnError = "stop",
    splits: Sequence[str] = SPLITS,
) -> Path:
    """Compute the features that aren't there yet.

    Args:
        dataset: the images.
        forward: network, cut, pixels, engine and precision.
        weights: the file of the network's weights.
        workers: threads that decode.
        on_error: "stop" names every unreadable image and fails; "skip" leaves them out and
            records which.
        splits: which to compute.

    Returns:
        the store's folder.

    Raises:
        DlError: unreadable images, no images at all.
    """
    folder = store_folder(dataset, forward)
    missing = [s for s in splits if dataset.splits[s] and not features_ready(folder, dataset, s)]
    if not missing:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    write_yaml(folder / MANIFEST, forward.describe())
    engine = start_engine(forward, weights)
    unreadable: list[UnreadableImage] = []
    for split in missing:
        unreadable += _compute_split(folder, dataset, split, forward, engine, workers, on_error)
    if on_error == "stop":
        refuse_unreadable(unreadable)
    return folder


def features_ready(folder: Path, dataset: Dataset, split: str) -> bool:
    """Whether one split's features are finished and belong to its images as they are now."""
    return _is_done(folder, split) and _same_images(folder, dataset, split)


def load_features(folder: Path, dataset: Dataset, split: str) -> Features:
    """Read one split's features whole.

    Raises:
        DlError: they are not there, unfinished, or the split's images have changed since.
    """
    import bcolz

    if not features_ready(folder, dataset, split):
        raise DlError(
            f"The features of {split} in {shown(folder)} are missing or out of date",
            hint=f"Run `dl features -d {shown(dataset.root)}`.",
        )
    left_out = set(_done(folder, split)["skipped"])
    paths = tuple(path for path in dataset.splits[split] if path not in left_out)
    array = bcolz.open(str(folder / f"{split}.bc"), mode="r")
    return Features(array[:], paths, folder.name.rsplit("-", 1)[1])


def stored_rows(folder: Path) -> dict[str, int]:
    """How many rows each finished split of a store has."""
    return {s: int(_done(folder, s)["rows"]) for s in SPLITS if _is_done(folder, s)}


def skipped(folder: Path, split: str) -> tuple[str, ...]:
    """The images that were left out because they can't be read."""
    return tuple(_done(folder, split)["skipped"])


@dataclass(frozen=True)
class StoredFeatures:
    """What `dl features ls` says about one store.

    Args:
        folder: where it lies.
        rows: rows by split, finished ones.
        unfinished: splits whose computation was stopped.
        size_bytes: on disk.
        manifest: the function that made it.
    """

    folder: Path
    rows: dict[str, int]
    unfinished: tuple[str, ...]
    size_bytes: int
    manifest: dict[str, Any]


def stored_features(root: Path) -> list[StoredFeatures]:
    """Every store of a dataset, by name."""
    found = []
    for manifest in sorted((root / FOLDER).glob(f"*/{MANIFEST}")):
        folder = manifest.parent
        done = stored_rows(folder)
        begun = tuple(s for s in SPLITS if s not in done and (folder / f"{s}.bc").exists())
        size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        found.append(StoredFeatures(folder, done, begun, size, read_yaml(manifest) or {}))
    return found


def remove_features(folder: Path) -> None:
    """Remove one store; the manifest goes first, so that a half-removed one counts as gone."""
    (folder / MANIFEST).unlink(missing_ok=True)
    for split in SPLITS:
        _marker(folder, split).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _marker(folder: Path, split: str) -> Path:
    return folder / f"{split}.done"


def _is_done(folder: Path, split: str) -> bool:
    return _marker(folder, split).is_file() and (folder / f"{split}.bc").is_dir()


def _done(folder: Path, split: str) -> dict[str, Any]:
    return dict(read_yaml(_marker(folder, split)))


def _forget(folder: Path, split: str) -> None:
    """Remove one split's rows; the marker goes first."""
    for path in (_marker(folder, split), folder / f"{split}.csv", folder / f"{split}.skipped"):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / f"{split}.bc", ignore_errors=True)


def _listing(dataset: Dataset, split: str) -> Iterator[list[str]]:
    """Path, size in bytes, modification time in whole seconds of each image."""
    for path in dataset.splits[split]:
        status = os.stat(dataset.root / path)
        yield [path, str(status.st_size), str(int(status.st_mtime))]


def _same_images(folder: Path, dataset: Dataset, split: str) -> bool:
    listed = folder / f"{split}.csv"
    return listed.is_file() and read_csv(listed)[1:] == list(_listing(dataset, split))


def _compute_split(
    folder: Path,
    dataset: Dataset,
    split: str,
    forward: Forward,
    engine: Engine,
    workers: int,
    on_error: OnError,
) -> list[UnreadableImage]:
    """Fill one split's array, from where it stopped; returns the images that can't be read."""
    paths = dataset.splits[split]
    if _is_done(folder, split) or not _same_images(folder, dataset, split):
        if _is_done(folder, split):
            say(f"The images of {split} have changed: their features are computed again.")
        _forget(folder, split)
        listing = [["path", "size", "mtime"], *_listing(dataset, split)]
        write_csv(folder / f"{split}.csv", listing)
    store = _GrowingStore(folder, split)
    begun = store.images_done(paths)
    if begun:
        say(f"Features of {split}: going on after {begun:,} of {len(paths):,} images.")
    unreadable: list[UnreadableImage] = []
    batches = read_batches(dataset.root, paths[begun:], forward.pixels, engine.batch_size, workers)
    with track(f"Features of {split}", len(paths), "images", done=begun) as bar:
        for batch, rows in engine.run(batches):
            unreadable += batch.unreadable
            if on_error == "skip":
                store.skip(os.path.relpath(e.path, dataset.root) for e in batch.unreadable)
            if on_error == "skip" or not unreadable:
                store.append(rows)
            bar.advance(batch.count)
    if unreadable and on_error == "stop":
        return unreadable
    store.flush()
    if not store.rows:
        raise DlError(f"No image of {split} can be read", hint="Look at the files.")
    write_yaml(_marker(folder, split), {"rows": store.rows, "skipped": sorted(store.skipped)})
    return unreadable


class _GrowingStore:
    """One split's array on disk while it is being filled, whole chunks at a time."""

    def __init__(self, folder: Path, split: str) -> None:
        self._path = folder / f"{split}.bc"
        self._skipped_file = folder / f"{split}.skipped"
        self._waiting: list[np.ndarray] = []
        self._array: bcolz.carray | None = self._open()
        if self._array is None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._skipped_file.unlink(missing_ok=True)
        lines = read_text(self._skipped_file) if self._skipped_file.is_file() else ""
        self.skipped: set[str] = {json.loads(line) for line in lines.splitlines()}

    def _open(self) -> bcolz.carray | None:
        """What a stopped computation left; None where that is nothing, or not whole."""
        import bcolz

        try:
            return bcolz.open(str(self._path), mode="a") if self._path.is_dir() else None
        except (OSError, ValueError, KeyError, RuntimeError):
            return None

    @property
    def rows(self) -> int:
        """Rows on disk."""
        return 0 if self._array is None else len(self._array)

    def images_done(self, paths: Sequence[str]) -> int:
        """How many of the images, in order, the rows on disk stand for."""
        rows = 0
        for count, path in enumerate(paths):
            if rows == self.rows:
                return count
            rows += path not in self.skipped
        return len(paths)

    def skip(self, paths: Iterable[str]) -> None:
        """Record images that get no row, before any later row is written."""
        new = [path for path in paths if path not in self.skipped]
        if new:
            with self._skipped_file.open("a", encoding="ascii") as file:
                file.writelines(json.dumps(path) + "\n" for path in new)
            self.skipped.update(new)

    def append(self, rows: np.ndarray) -> None:
        """Take some rows; they reach the disk when a chunk is full."""
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= CHUNK_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        import bcolz
        import numpy as np

        if not sum(map(len, self._waiting)):
            return
        rows = np.concatenate(self._waiting)
        self._waiting = []
        if self._array is None:
            self._array = bcolz.carray(
                rows[:0],
                rootdir=str(self._path),
                mode="w",
                chunklen=CHUNK_ROWS,
                cparams=bcolz.cparams(clevel=5, cname="lz4"),
            )
        self._array.append(rows)
        self._array.flush()

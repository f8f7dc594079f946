"""Images of one colour each, and a network that sees their colour: a store without waiting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from dlcli.data.dataset import SPLITS
from dlcli.data.photos.photos import Photos, open_photos
from dlcli.features.compute import Features, compute_features, open_features
from dlcli.features.store import store_folder
from dlcli.images.pixels import Batch, PixelRule
from dlcli.models.forward import Forward
from dlcli.settings.shared import OnError

TINY = Forward("tiny", "0123456789abcdef", "pooled", PixelRule(4), "openvino", "f32")
CHUNK = 4


class TinyEngine:
    """Mean colour of each image: quick, and another for each image of `paint`."""

    batch_size = 3

    def __init__(self) -> None:
        self.started = 0
        self.seen = 0

    def start(self, forward: Forward, weights: Path) -> TinyEngine:
        self.started += 1
        return self

    def run(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, np.ndarray]]:
        for batch in batches:
            self.seen += len(batch.pixels)
            yield batch, batch.pixels.mean((1, 2)).astype(np.float32)


def load_features(folder: Path, dataset: Photos, split: str) -> Features:
    """One split's features, in memory."""
    features = open_features(folder, dataset, split)
    return Features(features.rows[:], features.paths)


def paint(path: Path, colour: int) -> None:
    """An image of one colour, 0-65535; all of them take the same number of bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (colour % 256, colour // 256, 77)).save(path)


def colours(root: Path, paths: Iterable[str]) -> np.ndarray:
    """What the tiny network sees in images."""
    pixels = [np.asarray(Image.open(root / path)) for path in paths]
    return np.array([each.mean((0, 1)) for each in pixels], np.float32)


def compute(root: Path, on_error: OnError = "stop", splits: tuple[str, ...] = SPLITS) -> Path:
    dataset = open_photos(root)
    return compute_features(
        dataset, TINY, Path("weights"), workers=2, on_error=on_error, splits=splits
    )


def check(root: Path, bad: Iterable[str] = (), splits: Iterable[str] = SPLITS) -> None:
    """Every image has its own row, those that can't be read have none."""
    dataset = open_photos(root)
    for split in splits:
        features = load_features(store_folder(dataset, TINY), dataset, split)
        assert features.paths == tuple(p for p in dataset.splits[split] if p not in set(bad))
        assert isinstance(features.rows, np.ndarray)
        assert np.array_equal(features.rows, colours(root, features.paths))


def state(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}

"""Small real pictures for tests: classes that a network, or a look, can tell apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def picture(kind: int, seed: int, size: int = 48) -> Image.Image:
    """Noise with stripes: upright ones for kind 0, level ones for 1, rings for 2."""
    rng = np.random.default_rng([kind, seed])
    y, x = np.mgrid[:size, :size]
    wave = (x, y, np.hypot(x - size / 2, y - size / 2))[kind % 3]
    pixels = 128 + 90 * np.sin(wave * rng.uniform(0.5, 0.7) + rng.uniform(0, 6))
    noisy = pixels[..., None] + rng.normal(0, 15, (size, size, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def make_pictures(
    folder: Path, kinds: tuple[str, ...] = ("cat", "dog"), each: int = 10, first: int = 0
) -> None:
    """Write `each` pictures of every kind into `folder/<kind>/<kind>.<n>.png`."""
    for number, kind in enumerate(kinds):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for seed in range(first, first + each):
            picture(number, seed).save(folder / kind / f"{kind}.{seed}.png")


def make_dataset(
    root: Path, *, train: int = 10, valid: int = 4, test: int = 5, classes: int = 2
) -> Path:
    """Write a whole dataset: images per class in train and valid, and in all in test."""
    kinds = ("cat", "dog", "fox")[:classes]
    make_pictures(root / "train", kinds, train)
    if valid:
        make_pictures(root / "valid", kinds, valid, first=1000)
    if test:
        (root / "test").mkdir(parents=True)
        for seed in range(1, test + 1):
            picture(seed % classes, 2000 + seed).save(root / "test" / f"{seed}.png")
        rows = "".join(f"{seed},0.5\n" for seed in range(1, test + 1))
        (root / "sample_submission.csv").write_text("id,label\n" + rows)
    return root

"""Convolutions on handwritten digits: what augmentation, batch normalisation and dropout give."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev

from bench.commands import fresh_home, run
from bench.report import Result

SEEDS = 5
STEPS = {
    "linear": ("linear",),
    "dense": ("dense",),
    "cnn": ("cnn",),
    "cnn +augment": ("cnn", "--augment"),
    "cnn +batchnorm": ("cnn", "--augment", "--batchnorm"),
    "cnn +dropout": ("cnn", "--augment", "--batchnorm", "--dropout", "0.5"),
}
# scikit-learn's 1,797 digits as pictures.
DIGITS = """
import sys
from pathlib import Path
from PIL import Image
from sklearn.datasets import load_digits
digits = load_digits()
for number, (values, digit) in enumerate(zip(digits.images, digits.target)):
    folder = Path(sys.argv[1]) / "train" / str(digit)
    folder.mkdir(parents=True, exist_ok=True)
    small = Image.fromarray((values * (255 / 16)).astype("uint8"))
    small.resize((32, 32), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
"""


def measure() -> Result:
    """The steps of the ladder up to dropout, seeds of split and training from 0 to 4."""
    accuracies: dict[str, list[float]] = {name: [] for name in STEPS}
    with fresh_home() as home:
        run(home, str(home / "data" / "digits"), python=("-c", DIGITS))
        for seed in map(str, range(SEEDS)):
            run(home, "data", "split", "digits", "--seed", seed)
            for name, words in STEPS.items():
                augmented = ("--preset", "mnist") if "--augment" in words else ()
                options = (*augmented, "--image-size", "32", "--seed", seed)
                run(home, "train", *words, *options)
                accuracies[name].append(_accuracy(home))
            run(home, "data", "undo")
    last = mean(accuracies["cnn +dropout"])
    return Result(
        "The course's steps on handwritten digits",
        f"scikit-learn's 1,797 digits at 32x32 pixels, a fifth put aside; {SEEDS} seeds of the "
        "split and of training; `--preset mnist`.",
        ["step", "valid accuracy", "spread", "lowest"],
        [
            [name, f"{mean(each):.4f}", f"{stdev(each):.4f}", f"{min(each):.4f}"]
            for name, each in accuracies.items()
        ],
        "0.985 for the last",
        last >= 0.985,
    )


def _accuracy(home: Path) -> float:
    return float(json.loads(run(home, "evaluate", "--json")[1])["accuracy"])

"""Predictions of a few test images of pets, and sample submissions to write them by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dlcli.inference.predictions import Predictions
from dlcli.kaggle.photos.sample import SampleSubmission


def predictions(
    paths: Sequence[str], y_prob: Sequence[Sequence[float]], classes: Sequence[str] = ("cat", "dog")
) -> Predictions:
    return Predictions(tuple(paths), tuple(classes), np.array(y_prob), ("",) * len(paths))


def sample(header: Sequence[str], ids: Sequence[str], example: str = "0.5") -> SampleSubmission:
    rows = tuple((each, *[example] * (len(header) - 1)) for each in ids)
    return SampleSubmission(Path("sample.csv"), tuple(header), rows)


DOG = predictions(["test/1.jpg", "test/2.jpg"], [[0.9, 0.1], [0.2, 0.8]])
PETS = predictions(
    ["test/1.jpg", "test/2.jpg"], [[0.7, 0.2, 0.1], [0.2, 0.3, 0.5]], ("cat", "dog", "fox")
)

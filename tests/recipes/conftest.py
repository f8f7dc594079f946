"""Weights of VGG16's true architecture, and runs of a recipe on tiny pictures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def vgg16_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG16 with weights at random: 528 MB, so in a process of its own."""
    path = tmp_path_factory.mktemp("weights") / "vgg16.weights.h5"
    script = (
        "import keras; keras.utils.set_random_seed(0); "
        f"keras.applications.VGG16(weights=None).save_weights({str(path)!r})"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    return path

"""VGG16 with weights at random, and built without drawing them all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.few_draws import few_draws

from dlcli.backend import start_backend


@pytest.fixture
def quick_to_build() -> Iterator[None]:
    """Networks of VGG16's size take no time to build; weights from a file then fill them."""
    start_backend()
    with few_draws():
        yield


@pytest.fixture(scope="session")
def vgg16_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of VGG16's weights: 528 MB."""
    start_backend()
    import keras

    path = tmp_path_factory.mktemp("weights") / "vgg16.weights.h5"
    keras.utils.set_random_seed(0)
    with few_draws():
        keras.applications.VGG16(weights=None).save_weights(path)
    return path

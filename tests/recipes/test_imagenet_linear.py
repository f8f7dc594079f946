"""A linear model on what a pretrained network answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.small_run import SMALL, only_run

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]


def test_it_trains_on_the_thousand_probabilities(dl: Dl, home: Path, tiny: Path) -> None:
    said = ok(dl("train", "imagenet-linear", "-d", tiny, "--schedule", "0.1x2", *SMALL)).stderr
    assert "on the stored features" in said
    (store,) = (tiny / "features").iterdir()
    assert store.name.startswith("efficientnet-lite0-imagenet-")
    ok(dl("submit"))

    import keras

    model = keras.saving.load_model(only_run(home).best_model)
    assert model.get_layer("head").input_shape == (None, 1000)
    assert model.output_shape == (None, 2)

"""One hidden layer on the pixels."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.small_run import only_run

pytestmark = pytest.mark.slow


def test_it_learns_by_heart_what_it_sees(dl: Dl, home: Path, tiny: Path) -> None:
    command = "train dense -d tiny --units 16 --image-size 16 --batch-size 4 --schedule 1e-3x12"
    ok(dl(*command.split()))
    run = only_run(home)
    assert run.name.endswith("-dense-e12-lr0.001-u16-b4")
    assert run.status["train_accuracy"] > 0.9
    normalize, hidden, classes = 4 * 3, (16 * 16 * 3 + 1) * 16, (16 + 1) * 2
    assert run.status["parameters"] == normalize + hidden + classes


def test_before_training_it_guesses_evenly(tiny: Path) -> None:
    import numpy as np

    from dlcli.backend import start_backend
    from dlcli.catalog import make_recipe

    start_backend()
    for name in ("linear", "dense"):
        head = make_recipe(name, {}).head((8, 8, 3), 4)
        assert np.allclose(head.predict_on_batch(np.full((2, 8, 8, 3), 99.0)), 0.25)

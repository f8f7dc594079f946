"""A small network of convolutions, and what makes it generalise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.small_run import only_run

from dlcli.catalog import make_recipe

pytestmark = pytest.mark.slow


def layers(**values: object) -> list[str]:
    from dlcli.backend import start_backend

    start_backend()
    head = make_recipe("cnn", values).head((28, 28, 3), 10)
    assert head.output_shape == (None, 10)
    return [type(layer).__name__ for layer in head.layers]


def test_it_is_two_blocks_of_two_convolutions_then_a_hidden_layer() -> None:
    block = ["Conv2D", "Conv2D", "MaxPooling2D"]
    assert layers() == ["Rescaling", *block, *block, "Flatten", "Dense", "Dense"]


def test_batchnorm_stands_on_the_pixels_and_after_every_layer() -> None:
    pair = ["Conv2D", "BatchNormalization"]
    block = [*pair, *pair, "MaxPooling2D"]
    hidden = ["Dense", "BatchNormalization"]
    expected = ["BatchNormalization", *block, *block, "Flatten", *hidden, "Dropout", "Dense"]
    assert layers(batchnorm=True, dropout=0.5) == expected


def test_the_statefarm_variant_is_the_courses() -> None:
    block = ["Conv2D", "BatchNormalization", "MaxPooling2D"]
    hidden = ["Dense", "BatchNormalization", "Dense"]
    expected = ["BatchNormalization", *block, *block, "Flatten", *hidden]
    assert layers(variant="statefarm") == expected
    assert layers(variant="statefarm", batchnorm=True) == expected


def test_it_trains_with_all_of_it_and_its_name_says_so(dl: Dl, home: Path, tiny: Path) -> None:
    command = "train cnn -d tiny --augment --batchnorm --dropout 0.5 --image-size 16"
    said = ok(dl(*command.split(), "--schedule", "1e-3x2")).stderr
    assert "Training model on the images" in said
    run = only_run(home)
    assert run.name.endswith("-cnn-e2-lr0.001-aug-bn-d0.5")
    assert run.config["augmentation"]["rotation"] == 15.0


def test_copies_of_features_are_refused_where_there_are_no_features(dl: Dl, tiny: Path) -> None:
    result = dl("train", "cnn", "-d", tiny, "--augment", "--augment-passes", "2")
    assert result.exit_code == 2
    assert "no effect without a pretrained network" in result.stderr


@pytest.mark.parametrize("dropout", ["1", "-0.1", "1.5", "half"])
def test_a_dropout_outside_its_bounds_is_refused(dl: Dl, tiny: Path, dropout: str) -> None:
    result = dl("train", "cnn", "-d", tiny, "--dropout", dropout)
    assert result.exit_code == 2
    assert "at least 0 and below 1" in result.stderr
    assert "Traceback" not in result.stderr


def test_augmenting_from_the_start_says_nothing_but_what_is_dls(tiny: Path, home: Path) -> None:
    command = "train cnn -d tiny --augment --image-size 16 --schedule 1e-3"
    done = subprocess.run(
        [sys.executable, "-m", "dlcli", *command.split()],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stderr.startswith("Dataset ~/data/tiny (named)\nTraining model on the images")

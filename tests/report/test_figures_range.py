"""The plot of a range test: of one that fell, one that did not, one that broke at once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcli.experiments.lr_finder import RangeTest, RunningMean
from dlcli.report.figures import draw_range

RED = (181, 69, 44)


def shaped(losses: list[float]) -> RangeTest:
    mean = RunningMean(0.9)
    rates = np.geomspace(1e-7, 10, 100)[: len(losses)]
    return RangeTest(rates, np.array(losses), np.array([mean.add(loss) for loss in losses]), 100)


def draw(path: Path, title: str, test: RangeTest) -> None:
    arrays = (test.learning_rates, test.losses, test.smoothed)
    draw_range(path, title, *arrays, marked=test.marked, suggestion=test.suggestion)


@pytest.mark.parametrize(
    ("losses", "marked"),
    [
        ([*np.full(40, 1.0), *np.linspace(1, 0.2, 20), *np.linspace(0.2, 1e6, 20)], True),
        ([1.0] * 100, False),
        ([0.0] * 100, False),
        ([1.0, float("inf")], False),
        ([float("nan")], False),
    ],
    ids=["falls", "level", "nothing to learn", "breaks", "broken"],
)
def test_the_suggestion_is_marked_where_there_is_one(
    tmp_path: Path, losses: list[float], marked: bool
) -> None:
    draw(tmp_path / "a.png", "finetune on dogs", shaped(losses))
    image = Image.open(tmp_path / "a.png").convert("RGB")
    assert image.size == (960, 600)
    assert ((np.asarray(image) == RED).all(axis=-1).sum() > 100) == marked


def test_the_validation_loss_of_a_phase_on_features_is_drawn_in_place_of_the_mean(
    tmp_path: Path,
) -> None:
    test = shaped([*np.linspace(4.2, 0, 100)])
    arrays = (test.learning_rates, test.losses, test.losses)
    draw_range(
        tmp_path / "a.png",
        "finetune on dogs",
        *arrays,
        label="validation images",
        marked=50,
        mark="half of the fall",
        suggestion=0.01,
    )
    image = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    assert (image == RED).all(axis=-1).sum() > 100


def test_a_datasets_odd_name_is_no_formula_and_no_control_character(tmp_path: Path) -> None:
    name = "$\\frac{$ a\nb" + os.fsdecode(b"\xff")
    draw(tmp_path / "a.png", f"linear on {name}", shaped([1.0] * 20))
    assert (tmp_path / "a.png").is_file()

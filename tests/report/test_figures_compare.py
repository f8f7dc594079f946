"""The picture of several runs' curves: a colour, a dash and a marker for each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.report.figures import COLOURS, DASHES, MARKERS, draw_comparison

pytestmark = pytest.mark.slow


ODD = ["$\\frac{$", "a\nb", "猫😀", os.fsdecode(b"\xff"), "x" * 300]


def history(start: float, epochs: int = 6) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "phase": "head",
            "loss": start / epoch,
            "val_loss": 1.1 * start / epoch,
            "accuracy": 0.9,
            "val_accuracy": 0.8 + start / 100 + epoch / 100,
        }
        for epoch in range(1, epochs + 1)
    ]


def pixels(path: Path) -> np.ndarray:
    image = Image.open(path)
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def share_of(colour: str, picture: np.ndarray) -> int:
    """How many pixels are of a colour."""
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((picture == rgb).all(axis=-1).sum())


def test_each_run_has_its_colour_in_every_panel(tmp_path: Path) -> None:
    runs = [(f"run {n}", history(1 + n)) for n in range(4)]
    draw_comparison(tmp_path / "a.png", runs)
    picture = pixels(tmp_path / "a.png")
    assert picture.shape[1] == 1800
    for panel in np.array_split(picture[: -picture.shape[0] // 5], 3, axis=1):
        assert all(share_of(colour, panel) > 100 for colour in COLOURS[:4])
        assert share_of(COLOURS[4], panel) == 0


def test_runs_can_be_told_apart_without_colour() -> None:
    styles = {(n % len(DASHES), n % len(MARKERS)) for n in range(30)}
    assert len(styles) == 30
    lightness = [
        np.dot([int(c[i : i + 2], 16) for i in (1, 3, 5)], (0.3, 0.6, 0.1)) for c in COLOURS
    ]
    assert abs(lightness[0] - lightness[1]) > 40


@pytest.mark.parametrize("count", [1, 2, 9, 40])
def test_any_number_of_runs_of_any_name_is_drawn(tmp_path: Path, count: int) -> None:
    draw_comparison(tmp_path / "a.png", [(ODD[n % 5], history(1 + n)) for n in range(count)])
    assert share_of(COLOURS[0], pixels(tmp_path / "a.png")) > 100


@pytest.mark.parametrize(
    "rows",
    [
        history(1.0, epochs=1),
        history(1.0, epochs=300),
        [{"epoch": 1, "loss": 0.0, "val_loss": 0.0}, {"epoch": 2, "loss": 50.0, "val_loss": 0.5}],
        [{"epoch": 1, "loss": float("nan"), "val_loss": "", "val_accuracy": 0.5}],
        [{"epoch": 1}],
        [{"epoch": 1, "loss": 1e30, "val_loss": 1e-30}],
    ],
    ids=["one epoch", "many epochs", "zeros", "gaps", "nothing", "extremes"],
)
def test_any_history_is_drawn(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    draw_comparison(tmp_path / "a.png", [("one", rows), ("two", history(2.0))])
    assert share_of(COLOURS[1], pixels(tmp_path / "a.png")) > 100


def test_the_same_histories_give_the_same_picture(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_comparison(tmp_path / name, [("one", history(1.0))])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()

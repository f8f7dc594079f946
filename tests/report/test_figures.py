"""Figures as PNGs, of few classes and of many, whatever their names."""

import os

import numpy as np
import pytest
from PIL import Image

from dlcli.evaluation.history import curves
from dlcli.report import figures
from dlcli.report.thumbnails import Thumbnail

ODD = ["$\\frac{$", "a\nb", "猫😀", os.fsdecode(b"\xff"), "x" * 300]


def picture(path):
    image = Image.open(path)
    image.load()
    assert image.format == "PNG"
    return image.convert("RGB")


@pytest.mark.parametrize("classes", [2, 5, 31, 120, 200])
def test_a_confusion_matrix_grows_with_its_classes(tmp_path, classes):
    names = [f"{ODD[i % len(ODD)]}{i}" for i in range(classes)]
    figures.draw_confusion(tmp_path / "a.png", np.eye(classes, dtype=int) * 9, names)
    image = picture(tmp_path / "a.png")
    assert 400 <= image.width <= 2600
    blue = np.asarray(image)[..., :] == (43, 96, 149)
    assert blue.all(axis=-1).sum() > 100  # the diagonal, at full strength


def test_curves_take_gaps_phases_and_a_single_epoch(tmp_path):
    rows = [
        {"loss": 1.0, "val_loss": 0.9, "accuracy": 0.5, "phase": "$x"},
        {"loss": float("nan"), "accuracy": 0.6, "phase": "unfrozen\n"},
    ]
    figures.draw_curves(tmp_path / "a.png", curves(rows))
    figures.draw_curves(tmp_path / "b.png", curves(rows[:1]))
    assert picture(tmp_path / "a.png").size == picture(tmp_path / "b.png").size == (1380, 480)


@pytest.mark.parametrize("count", [0, 1, 6, 7])
def test_a_gallery_has_rows_of_six(tmp_path, count):
    pictures = {i: Thumbnail(Image.new("RGB", (10, 1 + 40 * i), "red"), True) for i in range(7)}
    captions = {i: (f"is {name}", f"called {name}, 99.9 %") for i, name in enumerate(ODD + ODD[:2])}
    figures.draw_gallery(tmp_path / "a.png", "Title", list(range(count)), captions, pictures)
    image = picture(tmp_path / "a.png")
    rows = -(-count // 6)
    assert image.size == (1104, 88 + 212 * rows)
    reddest = np.asarray(image)[..., 0].astype(int) - np.asarray(image)[..., 1]
    assert (reddest.max() > 200) == (count > 0)

"""Figures of photos as PNGs, of few classes and of many, whatever their names."""

import os

import numpy as np
import pytest
from PIL import Image

from dlcli.report.photos import figures
from dlcli.report.photos.thumbnails import Thumbnail

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


@pytest.mark.parametrize("classes", [2, 4, 10, 60, 120])
@pytest.mark.parametrize(
    "name", ["{}", "cat {}", "a very long name of a breed {}", "{} 🦄 猫", "W" * 20 + "{}"]
)
def test_the_texts_of_a_confusion_matrix_never_lie_over_each_other(
    tmp_path, monkeypatch, classes, name
):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    drawn = []
    monkeypatch.setattr(figures, "save", lambda path, figure: drawn.append(figure))
    names = [name.format(i) for i in range(classes)]
    confusion = np.diag(np.full(classes, 12_345))
    figures.draw_confusion(tmp_path / "a.png", confusion, names)
    (figure,) = drawn
    labels = {text.get_text() for text in figure.axes[0].texts}
    assert len(labels) == classes + (classes <= figures.MOST_COUNTED)  # told apart
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [*figure.texts, *figure.axes[0].texts]
    boxes = np.array([text.get_window_extent(renderer).extents for text in texts])
    assert boxes.min() >= 0
    assert (boxes[:, 2:] <= figure.bbox.size).all()
    left, low, right, high = (boxes[:, i] for i in range(4))
    # a pixel, because the boxes of letters include what surrounds their ink
    wide = np.minimum.outer(right, right) - np.maximum.outer(left, left) > 1
    tall = np.minimum.outer(high, high) - np.maximum.outer(low, low) > 1
    assert (wide & tall).sum() == len(texts)  # each with itself alone


def test_a_caption_keeps_its_percentage_and_has_no_boxes_for_letters(tmp_path, monkeypatch):
    drawn = []

    def text(self, where, words, colour, font):
        drawn.append(words)
        assert font.getlength(words) <= figures.TILE

    monkeypatch.setattr("PIL.ImageDraw.ImageDraw.text", text)
    names = ["猫", "🦄" * 30, "x" * 300, "W" * 40, "cat"]
    captions = {i: (f"true: {each}", f"not: {each}", "99.1 %") for i, each in enumerate(names)}
    pictures = dict.fromkeys(captions, Thumbnail(Image.new("RGB", (8, 8)), True))
    figures.draw_gallery(tmp_path / "a.png", "Wrong", list(captions), captions, pictures)
    _, *lines = drawn
    assert lines[2::3] == ["99.1 %"] * len(names)
    assert lines[:2] == ["true: \\u732b", "not: \\u732b"]
    assert lines[6].startswith("true: xx")
    assert lines[6].endswith("…xxxxxxxxx")
    assert lines[-2] == "not: cat"


@pytest.mark.parametrize("count", [0, 1, 6, 7])
def test_a_gallery_has_rows_of_six(tmp_path, count):
    pictures = {i: Thumbnail(Image.new("RGB", (10, 1 + 40 * i), "red"), True) for i in range(7)}
    captions = {
        i: (f"is {name}", f"called {name}", "99.9 %") for i, name in enumerate(ODD + ODD[:2])
    }
    figures.draw_gallery(tmp_path / "a.png", "Title", list(range(count)), captions, pictures)
    image = picture(tmp_path / "a.png")
    rows = -(-count // 6)
    assert image.size == (1104, 88 + 230 * rows)
    reddest = np.asarray(image)[..., 0].astype(int) - np.asarray(image)[..., 1]
    assert (reddest.max() > 200) == (count > 0)

"""Figures of a photo run as PNGs: confusion matrix, galleries, sheets of one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.files.atomic import atomic
from dlcli.report.charts import strengths
from dlcli.report.figures import (
    GROUND,
    INK,
    MUTED,
    QUICK,
    VALID,
    WRONG,
    fitting,
    font_of,
    plain_style,
    save,
)
from dlcli.report.photos.thumbnails import TINY, Thumbnail

if TYPE_CHECKING:
    from PIL import Image, ImageFont

    from dlcli.evaluation.metrics import Ints

MOST_COUNTED = 30  # classes; with more, a matrix has no room for its counts
MOST_LABELLED = 130  # classes; with more, names would be too small to read
LONGEST_LABEL = 14.4  # ems; room for 24 characters
EM = 100  # pixels of the font in which labels are measured
GALLERY_COLUMNS, TILE, GAP, MARGIN = 6, 160, 16, 32  # of a gallery: tiles, then pixels
NARROWEST = 160  # pixels; the least width of a sheet's column, so that its title fits


@plain_style()
def draw_confusion(path: Path, confusion: Ints, classes: Sequence[str]) -> None:
    """Draw the confusion matrix: rows are the true classes, colour is the root of a row's share.

    Args:
        path: the PNG to write.
        confusion: int array of shape (n_classes, n_classes).
    """
    import numpy as np

    # not `import matplotlib.colors`: if another thread imports matplotlib meanwhile, each waits
    # for the other, and Python then returns a half-initialised module
    from matplotlib import colors
    from matplotlib.figure import Figure

    n = len(classes)
    labelled = n <= MOST_LABELLED
    side = max(1.5, min(0.62 * n, 5 + 0.055 * n, 12))  # inches: 120 classes get a larger sheet
    size = max(3.5, min(9.0, side * 72 / n * 0.75))  # points
    font = font_of(EM)
    names = [fitting(name, font, LONGEST_LABEL * EM) for name in classes] if labelled else []
    # inches; a tenth of an em for what hinting adds
    longest = max((font.getlength(name) / EM + 0.1 for name in names), default=0) * size / 72
    left = 0.4 + longest
    above = 0.75 + (longest if (turned := longest > 0.95 * side / n) else size / 72)
    # own layout: matplotlib's layout and ticks take a second for 120 classes
    width, height = max(left + side + 0.25, 2.8), above + side + 0.25
    figure = Figure(figsize=(width, height))
    figure.text(0.12 / width, 1 - 0.3 / height, "Confusion matrix", fontsize=10, color=INK)
    axes = figure.add_axes((left / width, 0.25 / height, side / width, side / height))
    axes.set_axis_off()

    strength = strengths(confusion)[..., None]
    hue = np.where(np.eye(n, dtype=bool)[..., None], colors.to_rgb(VALID), colors.to_rgb(WRONG))
    ground = np.array(colors.to_rgb(GROUND))
    colours = 255 * (ground + strength * (hue - ground))
    axes.imshow(colours.round().astype(np.uint8), interpolation="nearest")
    if n <= MOST_COUNTED:
        for (i, j), count in np.ndenumerate(confusion):
            if count:
                colour = "white" if strength[i, j, 0] > 0.6 else INK
                axes.text(
                    j, i, f"{count:,}", ha="center", va="center", color=colour,
                    fontsize=max(4.0, 11 - 0.25 * n),
                )  # fmt: skip
    gap = 0.06 * n / side  # 0.06 inches, in cells
    for i, name in enumerate(names):
        label: dict[str, Any] = {"fontsize": size, "color": INK, "parse_math": False}
        axes.text(-0.5 - gap, i, name, ha="right", va="center", **label)
        axes.text(i, -0.5 - gap, name, ha="center", va="bottom", rotation=90 * turned, **label)
    figure.text(
        (left + side / 2) / width, 1 - 0.5 / height, "predicted", ha="center", color=MUTED,
        fontsize=8,
    )  # fmt: skip
    figure.text(
        0.2 / width, (0.25 + side / 2) / height, "true", va="center", ha="center", rotation=90,
        color=MUTED, fontsize=8,
    )  # fmt: skip
    save(path, figure)


def draw_gallery(
    path: Path,
    title: str,
    samples: Sequence[int],
    captions: Mapping[int, tuple[str, str, str]],
    pictures: Mapping[int, Thumbnail],
) -> None:
    """Draw images in rows of six, with their true and predicted classes below.

    Args:
        path: the PNG to write.
        samples: the samples to show, in order; may be empty.
        captions: three lines for each sample; one that is too long loses its middle.
        pictures: a thumbnail for each sample.
    """
    from PIL import Image, ImageDraw

    rows = -(-len(samples) // GALLERY_COLUMNS)
    step_x, step_y, top = TILE + GAP, TILE + 70, 72
    inside = GALLERY_COLUMNS * step_x - GAP
    size = (2 * MARGIN + inside, top + rows * step_y + MARGIN // 2)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    large = font_of(20)
    draw.text((MARGIN, 26), fitting(title, large, inside), INK, large)
    bold, small = font_of(13, "DejaVuSans-Bold"), font_of(13)
    for place, sample in enumerate(samples):
        x, y = MARGIN + place % GALLERY_COLUMNS * step_x, top + place // GALLERY_COLUMNS * step_y
        picture = pictures[sample].image
        scale = TILE / max(picture.size)
        how = Image.Resampling.NEAREST if pictures[sample].tiny else Image.Resampling.LANCZOS
        width, height = (max(1, round(side * scale)) for side in picture.size)
        sheet.paste(picture.resize((width, height), how), (x, y + TILE - height))
        for number, line in enumerate(captions[sample]):
            font, colour = (small, MUTED) if number else (bold, INK)
            where = x, y + TILE + 6 + 18 * number
            draw.text(where, fitting(line, font, TILE), colour, font)
    with atomic(path) as temporary:
        sheet.save(temporary, compress_level=QUICK)


def draw_sheet(
    path: Path, title: str, note: str, pictures: Sequence[Image.Image], captions: Sequence[str]
) -> None:
    """Draw versions of one image in rows of three, at their own size; tiny ones are enlarged.

    Args:
        path: the PNG to write.
        note: below the title, in several lines if needed.
        pictures: all of one size; at least one.
    """
    from PIL import Image, ImageDraw

    longest = max(pictures[0].size)
    scale = max(1, 2 * NARROWEST // longest) if longest <= TINY else 1
    width, height = (scale * side for side in pictures[0].size)
    column = max(width, NARROWEST)
    step_x, step_y = column + GAP, height + 40
    inside = 3 * step_x - GAP
    large, small = font_of(20), font_of(13)
    lines = _lines(note, small, inside)
    top = 72 + 20 * len(lines)
    rows = -(-len(pictures) // 3)
    size = (2 * MARGIN + inside, top + rows * step_y + MARGIN // 2)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 26), fitting(title, large, inside), INK, large)
    for number, line in enumerate(lines):
        draw.text((MARGIN, 60 + 20 * number), fitting(line, small, inside), MUTED, small)
    for place, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = MARGIN + place % 3 * step_x, top + place // 3 * step_y
        sheet.paste(picture.resize((width, height), Image.Resampling.NEAREST), (x, y))
        draw.text((x, y + height + 6), fitting(caption, small, column), MUTED, small)
    with atomic(path) as temporary:
        sheet.save(temporary, compress_level=QUICK)


def _lines(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """The text broken into lines of at most `width` pixels."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines

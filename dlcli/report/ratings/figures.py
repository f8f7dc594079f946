"""Figures of a run of ratings as PNGs: residuals, and the map of items."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.report.figures import (
    GROUND,
    INK,
    MUTED,
    RULE,
    TRAIN,
    VALID,
    WRONG,
    calm,
    drawable,
    plain_style,
    save,
)
from dlcli.report.ratings.charts import MAP_HEIGHT, MAP_WIDTH, MapChart, by_rating
from dlcli.words import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dlcli.evaluation.ratings import Floats

# The map's width, and the height of the lines that name the ends of its axes.
MAP_INCHES, LEGEND = 11.0, 1.0
LONGEST_NAME = 48  # of an item at an axis' end, in characters


@plain_style()
def draw_residuals(
    path: Path, residuals: Mapping[str, Any], y_true: Floats, y_pred: Floats
) -> None:
    """Draw the residuals' histogram, and the predictions by rating.

    Args:
        path: the PNG to write.
        residuals: `evaluation.ratings.summary`.
        y_true, y_pred: float arrays of shape (n_ratings,).
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.2, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    calm(left, "Residuals")
    edges, counts = residuals["histogram"]["edges"], residuals["histogram"]["counts"]
    bars = [*pairwise(edges)]
    colours = [WRONG if low + high < 0 else VALID for low, high in bars]
    widths = [high - low for low, high in bars]
    left.bar(edges[:-1], counts, width=widths, align="edge", color=colours)
    left.axvline(0, color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
    left.set_xlabel("rating minus prediction", color=MUTED, fontsize=8)
    calm(right, "Predictions by rating")
    _draw_predictions(right, y_true, y_pred)
    for axes in (left, right):
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
    save(path, figure)


def _draw_predictions(axes: Axes, y_true: Floats, y_pred: Floats) -> None:
    groups = by_rating(y_true, y_pred)
    places = range(len(groups))
    for place, group in zip(places, groups, strict=True):
        low, quarter, middle, upper, high = group.quantiles
        axes.plot([place, place], [low, high], color=VALID, linewidth=1)
        axes.plot(
            [place, place], [quarter, upper], color=VALID, linewidth=9, alpha=0.35,
            solid_capstyle="butt",
        )  # fmt: skip
        axes.plot([place], [middle], "o", color=VALID, markersize=4)
    axes.plot(places, [group.value for group in groups], color=TRAIN, linestyle=(0, (5, 4)))
    axes.set_xticks(places, [group.name.split(" to ")[0] for group in groups])
    axes.set_xlabel("rating", color=MUTED, fontsize=8)
    axes.text(
        0.02, 0.98, "dot: median; box: half; line: nine of ten",
        transform=axes.transAxes, va="top", fontsize=7, color=MUTED,
    )  # fmt: skip


@plain_style()
def draw_map(path: Path, chart: MapChart) -> None:
    """Draw the map of items with their names, and the items at the ends of its axes.

    Args:
        path: the PNG to write.
    """
    from matplotlib import colors
    from matplotlib.figure import Figure

    height = MAP_INCHES * MAP_HEIGHT / MAP_WIDTH
    whole = height + LEGEND
    figure = Figure(figsize=(MAP_INCHES, whole))
    axes = figure.add_axes((0.01, LEGEND / whole, 0.98, height / whole - 0.01))
    axes.set_facecolor(GROUND)
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlim(0, MAP_WIDTH)
    axes.set_ylim(MAP_HEIGHT, 0)
    points_per_unit = MAP_INCHES * 0.98 * 72 / MAP_WIDTH
    colours = {True: VALID, False: WRONG, None: TRAIN}
    axes.scatter(
        [point.x for point in chart.points],
        [point.y for point in chart.points],
        s=[(2 * point.radius * points_per_unit) ** 2 for point in chart.points],
        c=[
            colors.to_rgba(colours[point.liked], 0.2 + 0.8 * point.strength)
            for point in chart.points
        ],
        linewidths=0,
    )
    for label in chart.labels:
        axes.text(
            label.x, label.y, drawable(label.text), color=INK, fontsize=12.5 * points_per_unit,
            ha="left" if label.anchor == "start" else "right", parse_math=False,
        )  # fmt: skip
    across, up = chart.axes
    sides = {"left": across.low, "right": across.high, "up": up.high, "down": up.low}
    for line, (side, ends) in enumerate(sides.items()):
        names = ", ".join(short(drawable(name), LONGEST_NAME) for name in ends)
        y = (LEGEND - 0.25 - 0.2 * line) / whole
        figure.text(0.01, y, side, fontsize=8, color=INK)
        figure.text(0.05, y, names, fontsize=8, color=MUTED, parse_math=False)
    save(path, figure)

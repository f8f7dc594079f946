"""The curves of several runs in one picture, as a PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.evaluation.history import curves
from dlcli.files.paths import shown
from dlcli.report.figures import INK, MUTED, RULE, calm, save
from dlcli.words import NBSP, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from dlcli.evaluation.history import Curves

# Eight colours that differ in lightness too, five dashes, seven markers: no two of the first 280
# runs are drawn alike, and the first five differ in each of the three, so in print without colour.
COLOURS = (
    *("#2b6095", "#d98c1f", "#7a3b69", "#3f9b78", "#b5452c", "#1d1f23", "#8b9098", "#8fb4d9"),
)
DASHES = ((), (5, 2), (1, 1.5), (7, 2, 1, 2), (3, 1, 1, 1, 1, 1))
MARKERS = "os^DvPX"
# More epochs than these have markers at some of them only.
MOST_MARKED = 20
RING: dict[str, Any] = {"marker": "o", "fillstyle": "none", "markersize": 10, "linestyle": "none"}
BEST = "the best epoch, whose model was kept"
PANELS = (("loss", "valid"), ("loss", "train"), ("accuracy", "valid"))
# Losses that span more than this are drawn on a logarithmic scale.
WIDE = 10
WIDTH = 12.0  # inches
LEGEND_CHARACTERS = 165  # of its font, in that width


def draw_comparison(path: Path, runs: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> None:
    """Valid and train loss and valid accuracy by epoch, a line for each run.

    Args:
        path: the PNG to write.
        runs: for each its name and its history, see `history.curves`; at least one.
    """
    from matplotlib.figure import Figure

    lines = {i: {each.metric: each for each in curves(rows)} for i, (_, rows) in enumerate(runs)}
    names = [short(shown(name), 60) for name, _ in runs]
    columns = max(1, LEGEND_CHARACTERS // (max(map(len, [*names, BEST])) + 10))
    rows = -(-(len(runs) + 1) // columns)
    figure = Figure(figsize=(WIDTH, 3.6 + 0.2 * rows), layout="constrained")
    valid_loss, train_loss, accuracy = figure.subplots(1, 3)
    train_loss.sharey(valid_loss)
    for axes, (metric, side) in zip((valid_loss, train_loss, accuracy), PANELS, strict=True):
        for number, found in lines.items():
            if curve := found.get(metric):
                _draw(axes, curve, side, number)
    losses = [each.values for found in lines.values() if (each := found.get("loss"))]
    scale = _scale_losses((valid_loss, train_loss), [value for each in losses for value in each])
    calm(valid_loss, f"Valid loss{scale}")
    calm(train_loss, f"Train loss{scale}")
    calm(accuracy, "Valid accuracy")
    _finish((valid_loss, train_loss, accuracy))
    handles = [*(_key(**_style(number)) for number in lines), _key(**RING, color=MUTED)]
    names = [*(name.replace("$", r"\$") for name in names), BEST]
    figure.legend(
        handles, names, loc="outside lower left",
        ncols=columns, frameon=False, fontsize=8, labelcolor=INK, handlelength=5,
    )  # fmt: skip
    save(path, figure)


def _style(number: int) -> dict[str, Any]:
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": (0, DASHES[number % len(DASHES)] or None),
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 4,
        "linewidth": 1.5,
    }


def _key(**style: Any) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], **style)


def _draw(axes: Axes, curve: Curves, side: str, number: int) -> None:
    """One run's line, and a ring around the epoch whose model was kept."""
    values = curve.valid if side == "valid" else curve.train
    style = _style(number)
    every = max(1, len(curve.epochs) // MOST_MARKED)
    axes.plot(curve.epochs, values, markevery=every, **style)
    if curve.best is not None:
        best = values[curve.epochs.index(curve.best)]
        axes.plot([curve.best], [best], **RING, color=style["color"])


def _scale_losses(both: Sequence[Axes], losses: Sequence[float]) -> str:
    """Make the scale of the losses logarithmic where they span much; the words for it."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    above = [value for value in losses if value > 0 and math.isfinite(value)]
    if not above or max(above) < WIDE * min(above):
        return ""
    for axes in both:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    return " (logarithmic scale)"


def _finish(panels: Sequence[Axes]) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    for axes in panels:
        axes.set_xlabel("epoch", color=MUTED, fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", color=RULE, linewidth=0.6)
    panels[-1].yaxis.set_major_formatter(PercentFormatter(1.0, symbol=f"{NBSP}%"))

"""The plot of a learning-rate range test as a PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.report.figures import INK, MUTED, RULE, TRAIN, VALID, WRONG, calm, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dlcli.lr_finder import RangeTest

FAINT = 0.45


def draw_range(path: Path, title: str, test: RangeTest) -> None:
    """The loss over the learning rate: each batch's faint, their running mean strong.

    Args:
        path: the PNG to write.
        title: above the plot.
        test: what to show; its suggestion is marked if it has one.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    calm(axes, title)
    axes.tick_params(which="minor", length=0)
    axes.set_xscale("log")
    rates = test.learning_rates
    axes.plot(rates, test.losses, color=TRAIN, alpha=FAINT, linewidth=1, label="each batch")
    axes.plot(rates, test.smoothed, color=VALID, linewidth=2, label="running mean")
    axes.set_xlim(rates[0] / 1.5, rates[-1] * 1.5)
    axes.set_ylim(*_loss_range(test))
    _mark(axes, test)
    axes.set_xlabel("learning rate", color=MUTED, fontsize=8)
    axes.set_ylabel("loss", color=MUTED, fontsize=8)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower left")
    save(path, figure)


def _loss_range(test: RangeTest) -> tuple[float, float]:
    """Where the fall is, and as much above it: the rise at the end would dwarf it."""
    import numpy as np

    finite = test.smoothed[np.isfinite(test.smoothed)]
    if not len(finite):
        return 0.0, 1.0
    lowest = int(np.argmin(finite))
    bottom, top = float(finite[lowest]), float(finite[: lowest + 1].max())
    room = max(top - bottom, 0.02 * abs(top), 1e-3)
    return bottom - 0.4 * room, top + 0.8 * room


def _mark(axes: Axes, test: RangeTest) -> None:
    """The suggestion, and where the running mean is lowest, from which it comes."""
    if test.lowest is None or test.suggestion is None:
        return
    lowest = test.learning_rates[test.lowest]
    axes.plot([lowest], [test.smoothed[test.lowest]], "o", color=VALID, markersize=6)
    axes.annotate(
        f"lowest: {lowest:.2g}", (lowest, test.smoothed[test.lowest]), (0, -14),
        textcoords="offset points", ha="center", fontsize=8, color=VALID,
    )  # fmt: skip
    axes.axvline(test.suggestion, color=WRONG, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.annotate(
        f"suggested: {test.suggestion:g} ", (test.suggestion, 1), (0, -4),
        xycoords=("data", "axes fraction"), textcoords="offset points", ha="right", va="top",
        fontsize=9, color=WRONG, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )  # fmt: skip

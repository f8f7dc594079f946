"""Figures as PNGs: curves, comparisons, range tests, and the style of all figures.

They do not use pyplot, whose global state keeps figures in memory and may open windows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.evaluation.history import Curves, curves
from dlcli.evaluation.scores import HIGHER, NAMES, TITLES
from dlcli.files.atomic import atomic
from dlcli.files.paths import shown
from dlcli.report.charts import WIDE
from dlcli.words import NBSP, escaped, short

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from PIL import ImageFont


# the page's light colours
INK, MUTED, RULE, GROUND = "#1d1f23", "#62666e", "#dfdcd5", "#f3f1ec"
TRAIN, VALID, WRONG = "#8b9098", "#2b6095", "#b5452c"
DPI = 150
QUICK = 3  # PNG compression: 3 times faster than the default, 6 % larger

# The comparison of runs

# Eight colours that also differ in lightness, five dashes, seven markers. The first 280 runs all
# look different, and the first five differ in each of the three, even without colour.
COLOURS = (
    "#2b6095",
    "#d98c1f",
    "#7a3b69",
    "#3f9b78",
    "#b5452c",
    "#1d1f23",
    "#8b9098",
    "#8fb4d9",
)
DASHES = ((), (5, 2), (1, 1.5), (7, 2, 1, 2), (3, 1, 1, 1, 1, 1))
MARKERS = "os^DvPX"
# With more epochs than this, only some have markers.
MOST_MARKED = 20
RING: dict[str, Any] = {"marker": "o", "fillstyle": "none", "markersize": 10, "linestyle": "none"}
BEST = "best epoch, whose model was kept"
COMPARISON_INCHES = 12.0
LEGEND_CHARACTERS = 165  # of its font, in that width

# The range test

FAINT = 0.45  # of each batch's own line


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw in matplotlib's own style: a `matplotlibrc` in the current folder may be others'."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


@plain_style()
def draw_curves(path: Path, metrics: Sequence[Curves]) -> None:
    """Draw loss and accuracy of training and validation, with the best epoch marked.

    Args:
        path: the PNG to write.
        metrics: the curves of each; at least one.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = Figure(figsize=(4.6 * len(metrics), 3.2), layout="constrained")
    dot = "o" if len(metrics[0].epochs) <= 40 else None
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axes, curve in zip(panels, metrics, strict=True):
        calm(axes, curve.title)
        for name, values, colour in (
            ("train", curve.train, TRAIN),
            ("valid", curve.valid, VALID),
        ):
            axes.plot(curve.epochs, values, color=colour, marker=dot, markersize=3.5, label=name)
        if curve.best is not None:
            axes.axvline(curve.best, color=VALID, linewidth=0.8, linestyle=(0, (2, 3)))
            axes.plot(
                [curve.best], [curve.best_value], "o", color=VALID, fillstyle="none",
                markersize=9, label=f"best: epoch {curve.best}",
            )  # fmt: skip
        for epoch, name in curve.phases:
            axes.axvline(epoch - 0.5, color=RULE, linewidth=0.8, zorder=0)
            axes.text(
                epoch - 0.5, 1.01, f" {drawable(name)}", transform=axes.get_xaxis_transform(),
                fontsize=7, color=MUTED, parse_math=False,
            )  # fmt: skip
        axes.set_xlabel("epoch", color=MUTED, fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if curve.metric == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=f"{NBSP}%"))
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    save(path, figure)


def calm(axes: Axes, title: str) -> None:
    """Set a plot's title, and remove its frame and ticks."""
    axes.set_title(drawable(title), loc="left", fontsize=10, color=INK, pad=14, parse_math=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(labelsize=8, labelcolor=MUTED, length=0)


def save(path: Path, figure: Figure) -> None:
    """Write a figure as a PNG in one step."""
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=DPI, facecolor="white", pil_kwargs={"compress_level": QUICK})


def drawable(text: str) -> str:
    """The text, with escapes for characters that the font lacks, such as 猫 and most emoji.

    The page shows them: browsers look for them in all fonts of the computer.
    """
    return "".join(_pieces(text))


def font_of(pixels: int, name: str = "DejaVuSans") -> ImageFont.FreeTypeFont:
    """The font of figures, at a size."""
    from PIL import ImageFont

    return ImageFont.truetype(_font_file(name), pixels)


def _font_file(name: str) -> Path:
    """A font that comes with matplotlib."""
    import matplotlib

    return Path(matplotlib.get_data_path(), "fonts/ttf", f"{name}.ttf")


@cache
def _characters() -> frozenset[int]:
    """The characters that are in the font and in its bold form."""
    from matplotlib.ft2font import FT2Font

    plain, bold = (FT2Font(_font_file(name)) for name in ("DejaVuSans", "DejaVuSans-Bold"))
    return frozenset(plain.get_charmap()) & frozenset(bold.get_charmap())


def _pieces(text: str) -> list[str]:
    """The characters of a text; escapes for those that the font lacks."""
    return [c if ord(c) in _characters() else escaped(c) for c in shown(text)]


def fitting(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """The text, its middle left out where it is wider than a width in pixels.

    The ends tell names apart.
    """
    pieces = _pieces(text)
    fitted = "".join(pieces)
    share = width / max(width, font.getlength(fitted))
    # a start from which few tries are left; escapes in the middle are wider than the ends
    kept = min(len(pieces), 40 + int(share * len(pieces)))
    while font.getlength(fitted) > width and kept > 1:
        kept -= 1
        end = kept // 2
        fitted = "".join([*pieces[: kept - end], "…", *pieces[len(pieces) - end :]])
    return fitted


@plain_style()
def draw_comparison(path: Path, runs: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> None:
    """Draw valid loss, train loss and the other valid score by epoch, a line for each run.

    Args:
        path: the PNG to write.
        runs: name and history of each, see `history.curves`; at least one.
    """
    from matplotlib.figure import Figure

    lines = {i: {each.metric: each for each in curves(rows)} for i, (_, rows) in enumerate(runs)}
    names = [short(drawable(name), 60) for name, _ in runs]
    columns = max(1, LEGEND_CHARACTERS // (max(map(len, [*names, BEST])) + 10))
    rows = -(-(len(runs) + 1) // columns)
    figure = Figure(figsize=(COMPARISON_INCHES, 3.6 + 0.2 * rows), layout="constrained")
    panels = valid_loss, train_loss, other = figure.subplots(1, 3)
    score = next((n for n in NAMES[1:] if any(n in found for found in lines.values())), NAMES[1])
    train_loss.sharey(valid_loss)
    drawn = (("loss", "valid"), ("loss", "train"), (score, "valid"))
    for axes, (metric, side) in zip(panels, drawn, strict=True):
        for number, found in lines.items():
            if curve := found.get(metric):
                _draw_run(axes, curve, side, number)
    losses = [each.values for found in lines.values() if (each := found.get("loss"))]
    scale = _scale_losses((valid_loss, train_loss), [value for each in losses for value in each])
    calm(valid_loss, f"Valid loss{scale}")
    calm(train_loss, f"Train loss{scale}")
    calm(other, f"Valid {TITLES[score]}")
    _finish_comparison(panels, as_shares=score in HIGHER)
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


def _draw_run(axes: Axes, curve: Curves, side: str, number: int) -> None:
    """Draw a run's line, and a ring around the epoch whose model was kept."""
    values = curve.valid if side == "valid" else curve.train
    style = _style(number)
    every = max(1, len(curve.epochs) // MOST_MARKED)
    axes.plot(curve.epochs, values, markevery=every, **style)
    if curve.best is not None:
        best = values[curve.epochs.index(curve.best)]
        axes.plot([curve.best], [best], **RING, color=style["color"])


def _scale_losses(both: Sequence[Axes], losses: Sequence[float]) -> str:
    """Make the scale of losses logarithmic if their range is wide; returns a note for the title."""
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


def _finish_comparison(panels: Sequence[Axes], *, as_shares: bool) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    for axes in panels:
        axes.set_xlabel("epoch", color=MUTED, fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", color=RULE, linewidth=0.6)
    if as_shares:
        panels[-1].yaxis.set_major_formatter(PercentFormatter(1.0, symbol=f"{NBSP}%"))


@plain_style()
def draw_range(
    path: Path,
    title: str,
    learning_rates: np.ndarray,
    losses: np.ndarray,
    curve: np.ndarray,
    *,
    label: str = "running mean",
    marked: int | None = None,
    mark: str = "lowest",
    suggestion: float | None = None,
) -> None:
    """Draw the loss by learning rate: each batch faintly, and the curve that decides.

    Args:
        path: the PNG to write.
        learning_rates: of each step, float (n_steps,), rising.
        losses: of each step's batch, float (n_steps,).
        curve: their running mean, or the validation loss, float (n_steps,).
        label: what the curve is.
        marked: the step from which the suggestion is computed, marked with it.
        mark: what that step is.
        suggestion: a rate to train with; None where the test suggests none.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    calm(axes, title)
    axes.tick_params(which="minor", length=0)
    axes.set_xscale("log")
    axes.plot(learning_rates, losses, color=TRAIN, alpha=FAINT, linewidth=1, label="each batch")
    axes.plot(learning_rates, curve, color=VALID, linewidth=2, label=label)
    axes.set_xlim(learning_rates[0] / 1.5, learning_rates[-1] * 1.5)
    axes.set_ylim(*_loss_range(curve))
    if marked is not None and suggestion is not None:
        rate = learning_rates[marked]
        _mark_suggestion(axes, rate, curve[marked], f"{mark}: {rate:.2g}", suggestion)
    axes.set_xlabel("learning rate", color=MUTED, fontsize=8)
    axes.set_ylabel("loss", color=MUTED, fontsize=8)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower left")
    save(path, figure)


def _loss_range(curve: np.ndarray) -> tuple[float, float]:
    """The range of the axis: the fall, and a little above; the final rise is cut off."""
    import numpy as np

    finite = curve[np.isfinite(curve)]
    if not len(finite):
        return 0.0, 1.0
    lowest = int(np.argmin(finite))
    bottom, top = float(finite[lowest]), float(finite[: lowest + 1].max())
    room = max(top - bottom, 0.02 * abs(top), 1e-3)
    return bottom - 0.4 * room, top + 0.8 * room


def _mark_suggestion(axes: Axes, rate: float, loss: float, text: str, suggestion: float) -> None:
    """Mark the suggestion, and the point from which it is computed."""
    axes.plot([rate], [loss], "o", color=VALID, markersize=6)
    axes.annotate(
        text, (rate, loss), (-8, -14),
        textcoords="offset points", ha="right", fontsize=8, color=VALID,
    )  # fmt: skip
    axes.axvline(suggestion, color=WRONG, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.annotate(
        f"suggested: {suggestion:g} ", (suggestion, 1), (0, -4),
        xycoords=("data", "axes fraction"), textcoords="offset points", ha="right", va="top",
        fontsize=9, color=WRONG, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )  # fmt: skip

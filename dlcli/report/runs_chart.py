"""The geometry of the chart that holds several runs: numbers in, coordinates out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dlcli import words
from dlcli.evaluation.history import Curves
from dlcli.report.charts import BOTTOM, LEFT, RIGHT, TOP, Mark, epoch_ticks, nice_ticks
from dlcli.report.compare_figure import WIDE

LABEL_GAP = 15  # between two letters at the lines' ends
# In print without colour the dashes still tell the lines apart; SVG's `stroke-dasharray`.
DASHES = ("none", "7 4", "1.5 3.5", "10 4 2 4", "4 2.5")


@dataclass(frozen=True)
class RunLine:
    """The validation curve of one run.

    Args:
        number: its place among the runs, from 0: decides on its colour.
        points: every epoch's place, with its value in words.
        best: the epoch whose model was kept; None where it isn't known.
        end: where its letter goes, right of the last value.
    """

    number: int
    points: tuple[Mark, ...]
    best: Mark | None
    end: Mark

    @property
    def path(self) -> str:
        """An SVG point list."""
        return " ".join(f"{point.x},{point.y}" for point in self.points)

    @property
    def dash(self) -> str:
        """What its line is made of."""
        return DASHES[self.number % len(DASHES)]


@dataclass(frozen=True)
class RunsChart:
    """A chart ready to draw in a box of `charts.WIDTH` by `charts.HEIGHT`."""

    title: str
    lines: tuple[RunLine, ...]
    x_ticks: tuple[Mark, ...]
    y_ticks: tuple[Mark, ...]

    @property
    def description(self) -> str:
        """What it shows, for those who can't see it."""
        return "; ".join(line.points[-1].text for line in self.lines)


def runs_chart(metric: str, runs: Sequence[tuple[int, str, Curves]]) -> RunsChart | None:
    """Lay out the validation curves of several runs; None where there is no value.

    Args:
        metric: "loss" or "accuracy".
        runs: of each its place, its letter, and its curves of that metric.
    """
    known = [
        (number, letter, curve, points)
        for number, letter, curve in runs
        if (points := [*_finite(curve)])
    ]
    if not known:
        return None
    values = [value for _, _, _, points in known for _, value in points]
    epochs = [epoch for _, _, _, points in known for epoch, _ in points]
    first, last = min(epochs), max(epochs)
    y, y_ticks, scale = _scale(metric, values)

    def x(epoch: float) -> float:
        if first == last:
            return (LEFT + RIGHT) / 2
        return round(LEFT + (epoch - first) / (last - first) * (RIGHT - LEFT), 1)

    write = words.percent if metric == "accuracy" else words.loss
    lines = []
    for number, letter, curve, points in known:
        marks = tuple(
            Mark(x(epoch), y(value), f"{letter}, epoch {epoch}: {write(value)}")
            for epoch, value in points
        )
        kept = [mark for mark, (epoch, _) in zip(marks, points, strict=True) if epoch == curve.best]
        end = Mark(marks[-1].x, marks[-1].y, letter)
        lines.append(RunLine(number, marks, kept[0] if kept else None, end))
    return RunsChart(
        title=f"Validation {metric}{scale}",
        lines=_apart(lines),
        x_ticks=tuple(Mark(x(epoch), BOTTOM, str(epoch)) for epoch in epoch_ticks((first, last))),
        y_ticks=y_ticks,
    )


def _finite(curve: Curves) -> list[tuple[int, float]]:
    pairs = zip(curve.epochs, curve.valid, strict=True)
    return [(epoch, value) for epoch, value in pairs if math.isfinite(value)]


def _scale(
    metric: str, values: Sequence[float]
) -> tuple[Callable[[float], float], tuple[Mark, ...], str]:
    """Where a value goes, the ticks, and words for the scale; losses far apart are logarithmic."""
    if metric == "loss" and min(values) > 0 and max(values) > WIDE * min(values):
        return _logarithmic(values)
    highest = 1.0 if metric == "accuracy" and max(values) <= 1 else math.inf
    step, ticks = nice_ticks(values, highest)
    low, high = min(ticks[0], *values), max(ticks[-1], *values)

    def y(value: float) -> float:
        return round(BOTTOM - (value - low) / (high - low) * (BOTTOM - TOP), 1)

    digits = max(0, -math.floor(math.log10(step) + 1e-9) - (2 if metric == "accuracy" else 0))
    texts = [
        f"{100 * tick:.{digits}f}{words.NBSP}%" if metric == "accuracy" else f"{tick:.{digits}f}"
        for tick in ticks
    ]
    return y, tuple(Mark(LEFT, y(t), text) for t, text in zip(ticks, texts, strict=True)), ""


def _logarithmic(
    values: Sequence[float],
) -> tuple[Callable[[float], float], tuple[Mark, ...], str]:
    low, high = math.log10(min(values)), math.log10(max(values))

    def y(value: float) -> float:
        return round(BOTTOM - (math.log10(value) - low) / (high - low) * (BOTTOM - TOP), 1)

    steps = (1, 2, 5) if high - low < 3 else (1,)  # with more decades they would crowd
    ticks = [
        float(f"{step}e{power}")
        for power in range(math.floor(low), math.ceil(high) + 1)
        for step in steps
        if low <= math.log10(step) + power <= high
    ]
    return y, tuple(Mark(LEFT, y(t), f"{t:g}") for t in ticks), " (logarithmic scale)"


def _apart(lines: Sequence[RunLine]) -> tuple[RunLine, ...]:
    """Move letters that would cover each other apart, and not out of the chart."""
    places: dict[int, float] = {}
    rising = sorted(lines, key=lambda line: line.end.y)
    for number, line in enumerate(rising):
        above = [places[other.number] + LABEL_GAP for other in _near(line, rising[:number])]
        places[line.number] = max([line.end.y, *above])
    for number, line in reversed([*enumerate(rising)]):
        below = [places[other.number] - LABEL_GAP for other in _near(line, rising[number + 1 :])]
        places[line.number] = min([places[line.number], BOTTOM, *below])
    return tuple(
        replace(line, end=replace(line.end, y=round(places[line.number], 1))) for line in lines
    )


def _near(line: RunLine, others: Sequence[RunLine]) -> list[RunLine]:
    """Those of some lines that end about as far to the right."""
    return [other for other in others if abs(other.end.x - line.end.x) < LABEL_GAP]

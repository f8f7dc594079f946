"""The coordinates of the pages' inline SVG charts; the page templates draw them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dlcli import words
from dlcli.evaluation.history import Curves
from dlcli.evaluation.scores import TITLES

if TYPE_CHECKING:
    from dlcli.evaluation.metrics import Floats, Ints


WIDTH, HEIGHT = 440, 268  # SVG user units; about pixels on a wide screen
LEFT, RIGHT, TOP, BOTTOM = 50, 350, 26, 222
LABEL_GAP = 17  # between the two labels at the lines' ends
LETTER_GAP = 15  # between two letters at the lines' ends
# SVG's `stroke-dasharray`: dashes distinguish the lines even without colour.
DASHES = ("none", "7 4", "1.5 3.5", "10 4 2 4", "4 2.5")
# Losses whose largest exceeds the least by this factor are drawn on a logarithmic scale.
WIDE = 10


@dataclass(frozen=True)
class Mark:
    """A point and its text."""

    x: float
    y: float
    text: str = ""


@dataclass(frozen=True)
class Line:
    """One series.

    Args:
        name: "train" or "valid".
        runs: SVG point lists, one per stretch without gaps.
        points: a point per epoch, with its value in words.
        end: the label's point, at the last value.
    """

    name: str
    runs: tuple[str, ...]
    points: tuple[Mark, ...]
    end: Mark


@dataclass(frozen=True)
class Chart:
    """A line chart, ready to draw in a box of `WIDTH` by `HEIGHT`."""

    title: str
    description: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Mark, ...]
    y_ticks: tuple[Mark, ...]
    best: Mark | None
    phases: tuple[Mark, ...]


def line_chart(curves: Curves) -> Chart:
    """Lay out a metric's two curves."""
    write = words.percent if curves.metric == "accuracy" else words.loss
    highest = 1.0 if curves.metric == "accuracy" and max(curves.values) <= 1 else math.inf
    step, ticks = nice_ticks(curves.values, highest)
    low, high = min(ticks[0], *curves.values), max(ticks[-1], *curves.values)
    first, last = curves.epochs[0], curves.epochs[-1]

    def x(epoch: float) -> float:
        if first == last:
            return (LEFT + RIGHT) / 2
        return round(LEFT + (epoch - first) / (last - first) * (RIGHT - LEFT), 1)

    def y(value: float) -> float:
        return round(BOTTOM - (value - low) / (high - low) * (BOTTOM - TOP), 1)

    lines = []
    for name, values in (("train", curves.train), ("valid", curves.valid)):
        points = [
            Mark(x(epoch), y(value), f"epoch {epoch}, {name}: {write(value)}")
            if math.isfinite(value)
            else None
            for epoch, value in zip(curves.epochs, values, strict=True)
        ]
        known = [point for point in points if point]
        if known:
            ending = next(value for value in reversed(values) if math.isfinite(value))
            end = Mark(known[-1].x, known[-1].y, f"{name} {write(ending)}")
            lines.append(Line(name, _unbroken(points), tuple(known), end))
    best = None
    if curves.best is not None and math.isfinite(curves.best_value):
        text = f"best: epoch {curves.best}, {write(curves.best_value)}"
        best = Mark(x(curves.best), y(curves.best_value), text)
    return Chart(
        title=curves.title,
        description="; ".join([line.end.text for line in lines] + ([best.text] if best else [])),
        lines=_apart(lines),
        x_ticks=tuple(Mark(x(e), BOTTOM, str(e)) for e in epoch_ticks(curves.epochs)),
        y_ticks=tuple(Mark(LEFT, y(t), _tick(t, step, curves.metric)) for t in ticks),
        best=best,
        phases=tuple(Mark(x(max(first, e - 0.5)), TOP, name) for e, name in curves.phases),
    )


def nice_ticks(values: Sequence[float], top: float = math.inf) -> tuple[float, list[float]]:
    """Round tick values around the data: steps of 1, 2 or 5 times a power of ten.

    Returns:
        the step, and 2 to 7 multiples of it, rising; none is above `top`.
    """
    low, high = min(values), max(values)
    spread = high - low
    most = max(abs(low), abs(high))
    if spread < 1e-6 * most or most < 1e-30:  # practically one value
        spread = 0.1 * abs(high) if most >= 1e-30 else 1.0
    power = 10.0 ** math.floor(math.log10(spread / 4))
    step = next(power * m for m in (1, 2, 5, 10) if spread / (power * m) <= 5)
    start, stop = math.floor(low / step), math.ceil(high / step)
    if stop == start:
        start, stop = max(start - 1, 0) if low >= 0 else start - 1, stop + 1
    ticks = [float(f"{i * step:.12g}") for i in range(start, stop + 1)]
    return step, [tick for tick in ticks if tick <= top + step / 1e6]


def epoch_ticks(epochs: Sequence[int]) -> list[int]:
    """At most nine evenly spaced epochs for the labels below a chart."""
    span = epochs[-1] - epochs[0]
    step = next(m * 10**p for p in range(9) for m in (1, 2, 5) if span <= 8 * m * 10**p)
    return [e for e in range(epochs[0], epochs[-1] + 1) if e % step == 0 or step == 1]


@dataclass(frozen=True)
class Heat:
    """One cell of a confusion matrix.

    Args:
        count: samples.
        strength: of its colour, 0 to 1.
    """

    count: int
    strength: float


@dataclass(frozen=True)
class Matrix:
    """The sizes of a drawn confusion matrix, in SVG user units, about pixels.

    Args:
        classes: the number of classes.
    """

    classes: int

    @property
    def cell(self) -> int:
        """A cell's side; a hundred classes fill a wide screen."""
        return min(30, max(8, 900 // self.classes))

    @property
    def font(self) -> float:
        """The font size of the names, at most a cell's side."""
        return min(11, self.cell - 1.5)

    @property
    def gutter(self) -> int:
        """The room for names, left and above."""
        return round(8 * self.font + 10)

    @property
    def side(self) -> int:
        """The whole side."""
        return self.gutter + self.classes * self.cell + 1


def strengths(confusion: Ints) -> Floats:
    """The colour strength of each cell of a confusion matrix, 0 to 1.

    It is the square root of the cell's share of its row, so that a mistake of one in a hundred is
    visible.
    """
    totals: Floats = confusion.sum(axis=1, keepdims=True).clip(1)
    return (confusion / totals) ** 0.5


def heat(confusion: Ints) -> list[list[Heat]]:
    """The cells of a confusion matrix, row by row."""
    return [
        [Heat(count, round(strength, 3)) for count, strength in zip(*row, strict=True)]
        for row in zip(confusion.tolist(), strengths(confusion).tolist(), strict=True)
    ]


def _unbroken(points: Sequence[Mark | None]) -> tuple[str, ...]:
    runs: list[list[str]] = [[]]
    for point in points:
        if point:
            runs[-1].append(f"{point.x},{point.y}")
        elif runs[-1]:
            runs.append([])
    return tuple(" ".join(run) for run in runs if len(run) > 1)


def _apart(lines: list[Line]) -> tuple[Line, ...]:
    """Separate the labels of two lines that end close together."""
    if len(lines) < 2 or abs(lines[0].end.y - lines[1].end.y) >= LABEL_GAP:
        return tuple(lines)
    upper, lower = sorted(lines, key=lambda line: line.end.y)
    middle = (upper.end.y + lower.end.y) / 2
    places = {upper.name: middle - LABEL_GAP / 2, lower.name: middle + LABEL_GAP / 2}
    return tuple(
        replace(line, end=replace(line.end, y=round(places[line.name], 1))) for line in lines
    )


def _tick(value: float, step: float, metric: str) -> str:
    if metric == "accuracy":
        digits = max(0, -math.floor(math.log10(step) + 1e-9) - 2)
        return f"{100 * value:.{digits}f}{words.NBSP}%"
    return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


@dataclass(frozen=True)
class RunLine:
    """The validation curve of one run.

    Args:
        number: its place among the runs, from 0, which chooses the colour.
        points: a point per epoch, with its value in words.
        best: the epoch whose model was kept; None if unknown.
        end: the letter's point, at the last value.
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
        """The dashes of its line."""
        return DASHES[self.number % len(DASHES)]


@dataclass(frozen=True)
class RunsChart:
    """A chart ready to draw in a box of `WIDTH` by `HEIGHT`."""

    title: str
    lines: tuple[RunLine, ...]
    x_ticks: tuple[Mark, ...]
    y_ticks: tuple[Mark, ...]

    @property
    def description(self) -> str:
        """A description for readers who can't see it."""
        return "; ".join(line.points[-1].text for line in self.lines)


def runs_chart(metric: str, runs: Sequence[tuple[int, str, Curves]]) -> RunsChart | None:
    """Lay out the validation curves of several runs; None if there is no value.

    Args:
        metric: a name in `scores.NAMES`.
        runs: place, letter and curves of each.
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
        title=f"Validation {TITLES[metric]}{scale}",
        lines=_letters_apart(lines),
        x_ticks=tuple(Mark(x(epoch), BOTTOM, str(epoch)) for epoch in epoch_ticks((first, last))),
        y_ticks=y_ticks,
    )


def _finite(curve: Curves) -> list[tuple[int, float]]:
    pairs = zip(curve.epochs, curve.valid, strict=True)
    return [(epoch, value) for epoch, value in pairs if math.isfinite(value)]


def _scale(
    metric: str, values: Sequence[float]
) -> tuple[Callable[[float], float], tuple[Mark, ...], str]:
    """The function from values to y, the ticks, and a note for the title if logarithmic."""
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

    steps = (1, 2, 5) if high - low < 3 else (1,)  # more decades leave less room for ticks
    ticks = [
        float(f"{step}e{power}")
        for power in range(math.floor(low), math.ceil(high) + 1)
        for step in steps
        if low <= math.log10(step) + power <= high
    ]
    return y, tuple(Mark(LEFT, y(t), f"{t:g}") for t in ticks), " (logarithmic scale)"


def _letters_apart(lines: Sequence[RunLine]) -> tuple[RunLine, ...]:
    """Separate letters that would overlap, within the chart."""
    places: dict[int, float] = {}
    rising = sorted(lines, key=lambda line: line.end.y)
    for number, line in enumerate(rising):
        above = [places[other.number] + LETTER_GAP for other in _near(line, rising[:number])]
        places[line.number] = max([line.end.y, *above])
    for number, line in reversed([*enumerate(rising)]):
        below = [places[other.number] - LETTER_GAP for other in _near(line, rising[number + 1 :])]
        places[line.number] = min([places[line.number], BOTTOM, *below])
    return tuple(
        replace(line, end=replace(line.end, y=round(places[line.number], 1))) for line in lines
    )


def _near(line: RunLine, others: Sequence[RunLine]) -> list[RunLine]:
    """The lines that end at about the same x."""
    return [other for other in others if abs(other.end.x - line.end.x) < LETTER_GAP]

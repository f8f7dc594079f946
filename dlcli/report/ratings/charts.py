"""The coordinates of a rating run's inline SVG charts: residuals, predictions, the map of items."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

from dlcli.report.charts import BOTTOM, LEFT, TOP, WIDTH, Mark, nice_ticks
from dlcli.words import short

if TYPE_CHECKING:
    from dlcli.evaluation.ratings import Floats
    from dlcli.report.ratings.items import ItemMap, Items

# The right end of these charts, which have no labels beside them.
END = WIDTH - 10
# Of ratings in finer steps than these many, ranges are drawn in place of values.
MOST_VALUES, RANGES = 12, 10
# Shares of the predictions below the marks of a rating: of the line, of the box, of the dot.
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Of the map, in SVG user units, about pixels on a wide screen.
MAP_WIDTH, MAP_HEIGHT, MAP_MARGIN = 1_000, 640, 26
SMALLEST, LARGEST = 2.5, 7.0  # of the points' radii
# Of the labels: on a narrow screen the map is drawn at about a third of its size, so only some of
# them are shown, in a larger font. Widths are of a letter on average, in ems.
FONT, LARGE_FONT, LETTER = 12.5, 33.0, 0.56
MOST_LABELS, MOST_LARGE, LONGEST_LABEL = 70, 9, 28


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram, with its text."""

    x: float
    y: float
    width: float
    height: float
    text: str
    below: bool  # whether its residuals are below 0


@dataclass(frozen=True)
class Histogram:
    """The residuals' histogram, ready to draw."""

    bars: tuple[Bar, ...]
    zero: float
    x_ticks: tuple[Mark, ...]
    y_ticks: tuple[Mark, ...]
    description: str


def histogram(residuals: Mapping[str, Any]) -> Histogram:
    """Lay out the histogram of residuals.

    Args:
        residuals: `evaluation.ratings.summary`.
    """
    edges, counts = residuals["histogram"]["edges"], residuals["histogram"]["counts"]
    x = scale((edges[0], edges[-1]), LEFT, END)
    _, ticks = nice_ticks([0, max(counts)])
    y = scale((0, ticks[-1]), BOTTOM, TOP)
    bars = [
        Bar(
            x=x(left),
            y=y(count),
            width=round(max(x(right) - x(left) - 0.7, 0.3), 2),
            height=round(BOTTOM - y(count), 1),
            text=f"{left:.2f} to {right:.2f}: {count:,}",
            below=(left + right) / 2 < 0,
        )
        for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    step, across = nice_ticks([edges[0], edges[-1]])
    inside = [tick for tick in across if edges[0] <= tick <= edges[-1]]
    return Histogram(
        bars=tuple(bars),
        zero=x(min(max(0.0, edges[0]), edges[-1])),
        x_ticks=tuple(Mark(x(tick), BOTTOM, _text(tick, step)) for tick in inside),
        y_ticks=tuple(Mark(LEFT, y(tick), f"{tick:,.0f}") for tick in ticks),
        description=f"Mean {residuals['mean']:.3f}, standard deviation "
        f"{residuals['deviation']:.3f}.",
    )


@dataclass(frozen=True)
class Spread:
    """The predictions of the ratings of one value, as y coordinates of their quantiles."""

    x: float
    low: float
    quarter: float
    middle: float
    upper: float
    high: float
    name: str
    text: str


@dataclass(frozen=True)
class Predicted:
    """Predictions by rating, ready to draw.

    Args:
        width: of a box.
        ideal: an SVG point list, where a prediction equals its rating.
    """

    spreads: tuple[Spread, ...]
    width: float
    ideal: str
    y_ticks: tuple[Mark, ...]
    description: str


@dataclass(frozen=True)
class OfRating:
    """The predictions of the ratings of one value, or within a range.

    Args:
        value: the rating, or the middle of the range.
        quantiles: the predictions at `SHARES`.
    """

    name: str
    value: float
    count: int
    quantiles: tuple[float, ...]


def by_rating(y_true: Floats, y_pred: Floats) -> list[OfRating]:
    """How the predictions of each rating are distributed.

    Args:
        y_true, y_pred: ratings and predictions, float arrays of shape (n_ratings,).
    """
    import numpy as np

    values, which = np.unique(y_true, return_inverse=True)
    names = [f"{value:g}" for value in values]
    if len(values) > MOST_VALUES:
        edges = np.linspace(values[0], values[-1], RANGES + 1)
        # a value at an edge belongs to the range that begins there, the last one to the last range
        ranges = np.clip(np.searchsorted(edges, y_true, side="right") - 1, 0, RANGES - 1)
        found, which = np.unique(ranges, return_inverse=True)
        values = ((edges[1:] + edges[:-1]) / 2)[found]
        names = [f"{edges[i]:.3g} to {edges[i + 1]:.3g}" for i in found]
    groups = []
    for number, (name, value) in enumerate(zip(names, values.tolist(), strict=True)):
        chosen = y_pred[which == number]
        quantiles = tuple(np.quantile(chosen, SHARES).tolist())
        groups.append(OfRating(name, value, len(chosen), quantiles))
    return groups


def predicted_by_rating(y_true: Floats, y_pred: Floats) -> Predicted:
    """Lay out how the predictions of each rating are distributed; see `by_rating`."""
    groups = by_rating(y_true, y_pred)
    reach = [
        value for each in groups for value in (each.value, each.quantiles[0], each.quantiles[-1])
    ]
    step, ticks = nice_ticks(reach)
    y = scale((min(ticks[0], *reach), max(ticks[-1], *reach)), BOTTOM, TOP)
    band = (END - LEFT) / len(groups)
    spreads = []
    for number, each in enumerate(groups):
        low, quarter, middle, upper, high = map(y, each.quantiles)
        medium, (_, least, _, most, _) = each.quantiles[2], each.quantiles
        text = f"rated {each.name} ({each.count:,}): median prediction {medium:.2f}, "
        text += f"half of them {least:.2f} to {most:.2f}"
        spreads.append(
            Spread(
                x=round(LEFT + (number + 0.5) * band, 1),
                low=low,
                quarter=quarter,
                middle=middle,
                upper=upper,
                high=high,
                name=each.name.partition(" to ")[0],
                text=text,
            )
        )
    ideal = zip(spreads, groups, strict=True)
    return Predicted(
        spreads=tuple(spreads),
        width=round(min(band * 0.5, 26), 1),
        ideal=" ".join(f"{spread.x},{y(each.value)}" for spread, each in ideal),
        y_ticks=tuple(Mark(LEFT, y(tick), _text(tick, step)) for tick in ticks),
        description="; ".join(spread.text for spread in spreads),
    )


@dataclass(frozen=True)
class Point:
    """An item on the map.

    Args:
        name: the item's, whole.
        facts: about it, in words.
        liked: whether its bias is above 0; None if unknown.
        strength: of its colour, 0 to 1.
        near: the numbers of the nearest points, the nearest first.
    """

    x: float
    y: float
    radius: float
    name: str
    facts: str
    liked: bool | None
    strength: float
    near: tuple[int, ...]


@dataclass(frozen=True)
class Label:
    """A point's name on the map.

    Args:
        large: whether it is also shown on a narrow screen.
    """

    x: float
    y: float
    anchor: str
    text: str
    large: bool


@dataclass(frozen=True)
class Axis:
    """An axis of the map: its share of the variance, and the items at its ends."""

    share: float
    low: tuple[str, ...]
    high: tuple[str, ...]


@dataclass(frozen=True)
class MapChart:
    """The map, ready to draw in a box of `MAP_WIDTH` by `MAP_HEIGHT`."""

    points: tuple[Point, ...]
    labels: tuple[Label, ...]
    axes: tuple[Axis, Axis]


def map_chart(found: ItemMap, items: Items) -> MapChart:
    """Lay out the map of items: one scale for both axes, so that distances can be compared."""
    import numpy as np

    xy = _placed(found.points)
    number_of = {row: number for number, row in enumerate(found.items.tolist())}
    share = np.sqrt(items.counts[found.items] / items.counts[found.items].max())
    strongest = 1.0
    if items.biases is not None:
        strongest = float(np.abs(items.biases[found.items]).max()) or 1.0
    points = []
    for row, (x, y), size, near in zip(
        found.items.tolist(), xy.tolist(), share.tolist(), found.nearest.tolist(), strict=True
    ):
        bias = None if items.biases is None else float(items.biases[row])
        points.append(
            Point(
                x=round(x, 1),
                y=round(y, 1),
                radius=round(SMALLEST + (LARGEST - SMALLEST) * size, 1),
                name=items.names[row],
                facts=facts_of(items, row),
                liked=None if bias is None else bias > 0,
                strength=1.0 if bias is None else round(math.sqrt(abs(bias) / strongest), 2),
                near=tuple(number_of[other] for other in near),
            )
        )
    first, second = (
        Axis(
            share=each,
            low=tuple(items.names[row] for row in low),
            high=tuple(items.names[row] for row in high),
        )
        for each, (low, high) in zip(found.shares, found.ends, strict=True)
    )
    return MapChart(tuple(points), tuple(labels(points)), (first, second))


def facts_of(items: Items, row: int) -> str:
    """An item's number of ratings, their mean, and its bias, in words."""
    n = int(items.counts[row])
    text = f"{n:,} rating" if n == 1 else f"{n:,} ratings"
    if n:
        text += f", mean {items.means[row]:.2f}"
    if items.biases is not None:
        text += f", bias {items.biases[row]:+.2f}"
    return text


def _placed(points: Floats) -> Floats:
    """The points in the box; the vertical axis points up."""
    import numpy as np

    low, high = points.min(axis=0), points.max(axis=0)
    inside = np.array([MAP_WIDTH - 2 * MAP_MARGIN, MAP_HEIGHT - 2 * MAP_MARGIN])
    # where all are on one line, the other direction has no extent
    factor = float((inside / np.maximum(high - low, 1e-12)).min())
    middle = np.array([MAP_WIDTH, MAP_HEIGHT]) / 2
    placed: Floats = middle + (points - (low + high) / 2) * factor * (1, -1)
    return placed


def labels(points: Sequence[Point]) -> list[Label]:
    """Names beside as many points as have room, the first points first."""
    taken: list[tuple[float, float, float, float]] = []
    found: list[Label] = []
    for large, font, most in ((True, LARGE_FONT, MOST_LARGE), (False, FONT, MOST_LABELS)):
        if not large:
            # those of the first round are as small as the others on a wide screen
            taken = [box_of(label.x, label.y, label.text, FONT, label.anchor) for label in found]
        named = {label.text for label in found}
        for point in points:
            if len(found) >= most:
                break
            text = short(point.name, LONGEST_LABEL)
            if text in named:
                continue
            for anchor, side in (("start", 1), ("end", -1)):
                x, y = point.x + side * (point.radius + 3), point.y + 0.35 * FONT
                box = box_of(x, y, text, font, anchor)
                if _inside(box) and not any(overlap(box, other) for other in taken):
                    taken.append(box)
                    named.add(text)
                    found.append(Label(round(x, 1), round(y, 1), anchor, text, large))
                    break
    return found


def box_of(
    x: float, y: float, text: str, font: float, anchor: str
) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a text."""
    width = font * sum(1 if east_asian_width(each) in "WF" else LETTER for each in text)
    left = x if anchor == "start" else x - width
    return left, y - font, left + width, y + 0.25 * font


def _inside(box: tuple[float, float, float, float]) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= MAP_WIDTH and box[3] <= MAP_HEIGHT


def overlap(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> bool:
    """Whether two boxes cover each other somewhere."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def scale(reach: tuple[float, float], start: float, stop: float) -> Callable[[float], float]:
    """The function from values to coordinates: `reach` lies between `start` and `stop`."""
    low, high = reach
    span = (high - low) or 1.0
    return lambda value: round(start + (value - low) / span * (stop - start), 1)


def _text(value: float, step: float) -> str:
    return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"

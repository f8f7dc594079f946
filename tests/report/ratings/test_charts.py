"""Where the charts of ratings put what they draw."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.rating_report import rating_report

from dlcli.report.charts import BOTTOM, LEFT, TOP
from dlcli.report.ratings import charts
from dlcli.report.ratings.charts import END, MAP_HEIGHT, MAP_WIDTH, Label
from dlcli.report.ratings.items import map_of


def test_the_histograms_bars_fill_their_box() -> None:
    bars = {"edges": [-1, 0, 1, 2], "counts": [1, 4, 2]}
    drawn = charts.histogram({"mean": 0.1, "deviation": 0.5, "histogram": bars})
    assert [bar.below for bar in drawn.bars] == [True, False, False]
    assert drawn.bars[0].x == LEFT
    assert drawn.bars[-1].x + drawn.bars[-1].width == pytest.approx(END, abs=1)
    assert drawn.bars[1].height == pytest.approx(BOTTOM - TOP)
    assert drawn.bars[2].height == pytest.approx((BOTTOM - TOP) / 2)
    assert drawn.zero == drawn.bars[1].x


@pytest.mark.parametrize("edges", [[1.0, 2.0], [-2.0, -1.0], [0.0, 0.0]])
def test_the_line_at_0_stays_in_the_box(edges: list[float]) -> None:
    bars = {"edges": edges, "counts": [3]}
    drawn = charts.histogram({"mean": 0, "deviation": 0, "histogram": bars})
    assert LEFT <= drawn.zero <= END


def test_predictions_are_grouped_by_rating() -> None:
    y_true = np.repeat([1.0, 2.0, 5.0], 100)
    y_pred = np.tile(np.linspace(2, 4, 100), 3)
    groups = charts.by_rating(y_true, y_pred)
    assert [(each.name, each.count) for each in groups] == [("1", 100), ("2", 100), ("5", 100)]
    assert groups[0].quantiles == pytest.approx((2.1, 2.5, 3.0, 3.5, 3.9))
    for each in charts.predicted_by_rating(y_true, y_pred).spreads:
        heights = [BOTTOM, each.low, each.quarter, each.middle, each.upper, each.high, TOP]
        assert heights == sorted(heights, reverse=True)


def test_ratings_in_fine_steps_are_grouped_in_ranges() -> None:
    y_true = np.linspace(-10, 10, 500)
    groups = charts.by_rating(y_true, y_true)
    assert [each.name for each in groups[:2]] == ["-10 to -8", "-8 to -6"]
    assert sum(each.count for each in groups) == 500
    assert [each.value for each in groups] == pytest.approx(range(-9, 10, 2))


def test_a_single_rating_is_drawn() -> None:
    (spread,) = charts.predicted_by_rating(np.array([3.0]), np.array([3.0])).spreads
    assert TOP <= spread.low == spread.high <= BOTTOM


def test_the_map_keeps_distances_and_its_names_apart() -> None:
    report = rating_report(items=300, ratings=9_000)
    assert report.items is not None
    found = map_of(report.items)
    assert found is not None
    drawn = charts.map_chart(found, report.items)
    places = np.array([(point.x, point.y) for point in drawn.points])
    assert places.min() > 0
    assert (places < (MAP_WIDTH, MAP_HEIGHT)).all()
    near, far = (np.ptp(each, axis=0) for each in (places, found.points))
    assert near / far == pytest.approx([(near / far)[0]] * 2, rel=0.01)
    assert drawn.points[0].radius == max(point.radius for point in drawn.points)
    assert len(drawn.labels) > 20
    require_apart(drawn.labels, charts.FONT)
    large = [label for label in drawn.labels if label.large]
    assert 3 <= len(large) <= charts.MOST_LARGE
    require_apart(large, charts.LARGE_FONT)


def require_apart(labels: list[Label] | tuple[Label, ...], font: float) -> None:
    """Refuse labels that cover each other."""
    boxes = [charts.box_of(each.x, each.y, each.text, font, each.anchor) for each in labels]
    assert not any(charts.overlap(*pair) for pair in itertools.combinations(boxes, 2))


def test_a_bias_above_0_is_liked() -> None:
    report = rating_report()
    assert report.items is not None
    assert report.items.biases is not None
    found = map_of(report.items)
    assert found is not None
    points = charts.map_chart(found, report.items).points
    for point, row in zip(points, found.items.tolist(), strict=True):
        assert point.liked == (report.items.biases[row] > 0)
        assert point.name == report.items.names[row]

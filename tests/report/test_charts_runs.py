"""The chart that holds several runs: every value in its place, no letter on another."""

from __future__ import annotations

import math
from itertools import pairwise

from dlcli.evaluation.history import curves
from dlcli.report.charts import BOTTOM, DASHES, LEFT, LETTER_GAP, RIGHT, TOP, RunsChart, runs_chart


def chart(metric: str, *runs: list[float]) -> RunsChart | None:
    """The chart of some runs' validation values by epoch."""
    found = []
    for number, values in enumerate(runs):
        column = {"loss": "val_loss", "accuracy": "val_accuracy"}[metric]
        history = [{"epoch": n, column: value} for n, value in enumerate(values, start=1)]
        found += [(number, chr(65 + number), curve) for curve in curves(history)]
    return runs_chart(metric, found)


def drawn(metric: str, *runs: list[float]) -> RunsChart:
    made = chart(metric, *runs)
    assert made is not None
    return made


def test_epochs_go_right_and_less_is_lower() -> None:
    made = drawn("loss", [0.5, 0.3, 0.4], [0.6, 0.2])
    first, second = made.lines
    assert [point.x for point in first.points] == [LEFT, (LEFT + RIGHT) / 2, RIGHT]
    assert [point.x for point in second.points] == [LEFT, (LEFT + RIGHT) / 2]
    heights = [point.y for point in (*first.points, *second.points)]
    assert all(TOP <= y <= BOTTOM for y in heights)
    assert min(heights) == second.points[0].y
    assert max(heights) == second.points[1].y
    assert made.title == "Validation loss"
    assert made.description == "A, epoch 3: 0.400; B, epoch 2: 0.200"


def test_the_kept_epoch_is_that_of_the_lowest_validation_loss() -> None:
    (line,) = drawn("loss", [0.5, 0.3, 0.4]).lines
    assert line.best == line.points[1]


def test_losses_far_apart_are_on_a_logarithmic_scale() -> None:
    made = drawn("loss", [2.0, 0.02], [0.2])
    assert made.title == "Validation loss (logarithmic scale)"
    (one, other), (half,) = (line.points for line in made.lines)
    assert math.isclose(half.y, (one.y + other.y) / 2)
    assert [tick.text for tick in made.y_ticks] == ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"]
    assert len(drawn("loss", [2.0, 2e-5]).y_ticks) == 5


def test_accuracies_are_shares_and_never_above_all() -> None:
    made = drawn("accuracy", [0.9, 1.0])
    assert made.y_ticks[-1].text == "100\N{NO-BREAK SPACE}%"
    assert made.title == "Validation accuracy"


def test_letters_at_one_height_stand_apart_and_within_the_chart() -> None:
    made = drawn("loss", *([0.5, 0.1 + step / 1000] for step in range(5)))
    ends = sorted(line.end.y for line in made.lines)
    assert all(b - a >= LETTER_GAP - 0.2 for a, b in pairwise(ends))
    assert ends[-1] <= BOTTOM


def test_a_letter_stays_at_its_line_where_the_others_end_elsewhere() -> None:
    short, long = drawn("loss", [0.5, 0.2], [0.5] * 9 + [0.2]).lines
    assert short.end.y == short.points[-1].y
    assert long.end.y == long.points[-1].y


def test_values_that_are_no_numbers_leave_gaps_and_none_at_all_no_chart() -> None:
    (line,) = drawn("loss", [math.nan, 0.5, math.inf]).lines
    assert len(line.points) == 1
    assert chart("loss") is None
    assert chart("loss", [math.nan]) is None


def test_the_lines_differ_without_colour() -> None:
    made = drawn("loss", *([0.5, 0.1] for _ in range(5)))
    assert len({line.dash for line in made.lines}) == 5 == len(DASHES)

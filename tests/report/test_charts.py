"""Histories become points, points become places."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlcli.evaluation.history import best_epoch, curves
from dlcli.report import charts

ROWS = [
    {"epoch": 1, "phase": "head", "loss": 0.5, "accuracy": 0.8, "val_loss": 0.3},
    {"epoch": 2, "phase": "head", "loss": 0.3, "accuracy": 0.9, "val_loss": 0.2},
    {"epoch": 3, "phase": "unfrozen", "loss": 0.2, "accuracy": 0.95, "val_loss": 0.2},
]


def test_a_history_gives_the_curves_that_it_holds():
    loss, accuracy = curves(ROWS)
    assert (loss.metric, loss.epochs) == ("loss", (1, 2, 3))
    assert (loss.train, loss.valid) == ((0.5, 0.3, 0.2), (0.3, 0.2, 0.2))
    assert (loss.best, loss.best_value) == (2, 0.2)
    assert loss.phases == ((1, "head"), (3, "unfrozen"))
    assert accuracy.metric == "accuracy"
    assert all(map(math.isnan, accuracy.valid))
    assert curves([{"epoch": 1, "learning_rate": 0.1}]) == []
    assert curves([]) == []


def test_one_phase_alone_is_not_marked():
    assert curves(ROWS[:2])[0].phases == ()


def test_epochs_without_a_finite_loss_are_gaps_and_never_the_best():
    rows = [{"loss": 1.0, "val_loss": value} for value in (0.4, "", math.nan, -math.inf, "0.1")]
    assert best_epoch(rows) == 5
    chart = charts.line_chart(curves(rows)[0])
    _, valid = chart.lines
    assert [point.text for point in valid.points] == [
        "epoch 1, valid: 0.400",
        "epoch 5, valid: 0.100",
    ]
    assert valid.runs == ()  # two lone points, no line through the gap


def test_no_validation_loss_means_no_best():
    (loss,) = curves([{"loss": 1.0}])
    assert loss.best is None
    assert charts.line_chart(loss).best is None


@given(
    st.lists(st.tuples(*4 * [st.floats(0, 1) | st.floats(0, 1e30) | st.just(math.nan)]), min_size=1)
)
def test_whatever_the_history_all_points_stand_in_the_chart(values):
    keys = ("loss", "accuracy", "val_loss", "val_accuracy")
    for curve in curves([dict(zip(keys, row, strict=True)) for row in values]):
        chart = charts.line_chart(curve)
        for mark in (*chart.y_ticks, *(point for line in chart.lines for point in line.points)):
            assert charts.LEFT <= mark.x <= charts.RIGHT
            assert charts.TOP - 0.1 <= mark.y <= charts.BOTTOM + 0.1
        ends = sorted(line.end.y for line in chart.lines)
        assert ends[-1] - ends[0] >= charts.LABEL_GAP - 0.2 or len(ends) == 1


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
@example([0.0, 5e-324])
def test_ticks_are_few_and_round(values):
    step, ticks = charts.nice_ticks(values)
    assert 2 <= len(ticks) <= 7
    assert ticks[0] <= min(values) + step / 1e6
    assert ticks[-1] >= max(values) - step / 1e6
    assert f"{step:e}"[0] in "125"


def test_accuracy_has_no_tick_above_all():
    assert charts.nice_ticks([0.97, 1.0], top=1.0)[1][-1] == 1.0
    assert charts.nice_ticks([1.0, 1.0], top=1.0)[1][-1] == 1.0


@pytest.mark.parametrize(
    ("epochs", "ticks"),
    [((1,), [1]), ((1, 2, 3), [1, 2, 3]), (range(1, 31), [5, 10, 15, 20, 25, 30])],
)
def test_epochs_are_named_at_even_steps(epochs, ticks):
    assert charts.epoch_ticks(tuple(epochs)) == ticks


def test_a_cell_is_as_strong_as_the_root_of_its_share_of_the_row():
    cells = charts.heat(np.array([[81, 19], [0, 0]]))
    assert cells[0][0] == charts.Heat(81, 0.9)
    assert cells[1] == [charts.Heat(0, 0.0)] * 2


@pytest.mark.parametrize("classes", [17, 60, 120])
def test_a_drawn_matrix_fits_a_wide_screen(classes):
    assert charts.Matrix(classes).side <= 1056  # the page's text column, in pixels

"""Learning-rate schedules as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli.settings.fields import Refused
from dlcli.settings.schedule import Schedule

RATES = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
SCHEDULES = st.lists(st.tuples(RATES, st.integers(1, 1000)), min_size=1).map(
    lambda steps: Schedule(tuple(steps))
)


def test_each_rate_is_held_for_its_epochs_in_order() -> None:
    schedule = Schedule.parse("1e-3x2, 1E-4X1 ,1e-5")
    assert schedule.steps == ((1e-3, 2), (1e-4, 1), (1e-5, 1))
    assert schedule.epochs == 4
    assert schedule.rates() == [1e-3, 1e-3, 1e-4, 1e-5]


@pytest.mark.parametrize(
    "text",
    ["", ",", "1e-3x2,", "1e-3x", "x2", "fast", "1e-3x1.5", "1e-3xx2", "1e-3 2", "[1e-3x2]"],
)
def test_a_part_that_is_not_rate_and_epochs_is_named(text: str) -> None:
    with pytest.raises(Refused, match="is not RATExEPOCHS, such as 1e-3x2"):
        Schedule.parse(text)


@pytest.mark.parametrize("text", ["0x2", "-1e-3x2", "nanx2", "infx2", "1e-3x0", "1e-3x-1"])
def test_a_rate_or_a_number_of_epochs_that_trains_nothing_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="needs a rate above 0 and at least one epoch"):
        Schedule.parse(text)


@given(SCHEDULES)
def test_a_schedule_is_read_back_from_its_text_to_the_last_digit(schedule: Schedule) -> None:
    assert Schedule.parse(str(schedule)) == schedule


def test_a_tenth_of_a_schedule_is_written_as_people_would() -> None:
    assert str(Schedule.parse("1e-3x8,3e-4x4").scaled(0.1)) == "0.0001x8,3e-05x4"


@given(SCHEDULES)
def test_a_scaled_schedule_keeps_its_epochs(schedule: Schedule) -> None:
    scaled = schedule.scaled(0.1)
    assert [epochs for _, epochs in scaled.steps] == [epochs for _, epochs in schedule.steps]


# Rates that somebody may train at: far from where a float ends.
USUAL_RATES = st.floats(min_value=1e-8, max_value=10)
USUAL_SCHEDULES = st.lists(st.tuples(USUAL_RATES, st.integers(1, 50)), min_size=1, max_size=6).map(
    lambda steps: Schedule(tuple(steps))
)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (12, "0.003x8,0.0003x4"),
        (6, "0.003x4,0.0003x2"),
        (5, "0.003x3,0.0003x2"),
        (2, "0.003x1,0.0003x1"),
        (1, "0.003x1"),
    ],
)
def test_another_number_of_epochs_is_divided_as_the_schedule_is(epochs: int, expected: str) -> None:
    assert str(Schedule.parse("3e-3x8,3e-4x4").with_epochs(epochs)) == expected


@given(USUAL_SCHEDULES, st.integers(1, 200))
def test_a_schedule_with_so_many_epochs_has_them_and_no_empty_step(
    schedule: Schedule, epochs: int
) -> None:
    made = schedule.with_epochs(epochs)
    assert made.epochs == epochs
    assert all(count >= 1 for _, count in made.steps)
    rates = [rate for rate, _ in schedule.steps]
    assert [rate for rate, _ in made.steps] == rates[:epochs]


def one_by_one(schedule: Schedule, epochs: int) -> list[int]:
    """The epochs of each step: one each, then each further one to the step that lacks most."""
    usual = [count for _, count in schedule.steps][:epochs]
    counts = [1] * len(usual)
    for _ in range(epochs - len(usual)):
        lacks = [epochs * u - sum(usual) * c for u, c in zip(usual, counts, strict=True)]
        counts[lacks.index(max(lacks))] += 1
    return counts


@given(USUAL_SCHEDULES, st.integers(1, 500))
def test_epochs_are_divided_as_if_they_were_handed_out_one_by_one(
    schedule: Schedule, epochs: int
) -> None:
    made = schedule.with_epochs(epochs)
    assert [count for _, count in made.steps] == one_by_one(schedule, epochs)


def test_a_slip_of_the_keyboard_is_divided_at_once() -> None:
    assert Schedule.parse("3e-3x8,3e-4x4").with_epochs(10**15).epochs == 10**15


@given(USUAL_SCHEDULES, st.integers(max_value=0))
def test_no_epochs_are_no_steps(schedule: Schedule, epochs: int) -> None:
    assert schedule.with_epochs(epochs).steps == ()


@pytest.mark.parametrize(
    ("name", "value", "made"),
    [
        ("lr", "0.01", "0.01x8,0.001x4"),
        ("learning_rate", "1e-4", "0.0001x8,1e-05x4"),
        ("epochs", "4", "0.003x3,0.0003x1"),
    ],
)
def test_what_other_tools_call_a_rate_and_epochs_changes_a_schedule(
    name: str, value: str, made: str
) -> None:
    assert str(Schedule.parse("3e-3x8,3e-4x4").asked(name, value)) == made


@given(
    USUAL_SCHEDULES,
    st.sampled_from(["lr", "epochs"]),
    st.text() | st.sampled_from(["0", "-1", "nan", "inf", "-inf", "1e999", "5e-324", ""]),
)
def test_whatever_is_asked_a_schedule_comes_of_it(
    schedule: Schedule, name: str, value: str
) -> None:
    made = schedule.asked(name, value)
    assert Schedule.parse(str(made)) == made
    assert made.epochs >= 1


@given(USUAL_SCHEDULES)
def test_its_own_number_of_epochs_changes_nothing(schedule: Schedule) -> None:
    assert schedule.with_epochs(schedule.epochs) == schedule


@given(USUAL_SCHEDULES, st.integers(1, 20))
def test_a_multiple_of_the_epochs_multiplies_every_step(schedule: Schedule, factor: int) -> None:
    counts = [factor * epochs for _, epochs in schedule.steps]
    made = schedule.with_epochs(factor * schedule.epochs)
    assert [epochs for _, epochs in made.steps] == counts


@given(USUAL_SCHEDULES, USUAL_RATES)
def test_another_highest_rate_is_kept_to_the_last_digit_and_the_ratios_stay(
    schedule: Schedule, rate: float
) -> None:
    made = schedule.with_highest_rate(rate)
    assert made.highest_rate == pytest.approx(rate, rel=1e-5)
    assert rate in [each for each, _ in made.steps]
    for (old, epochs), (new, same) in zip(schedule.steps, made.steps, strict=True):
        assert same == epochs
        assert new / rate == pytest.approx(old / schedule.highest_rate, rel=1e-5)

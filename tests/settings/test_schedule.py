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

"""Durations as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli.settings.aws import Duration
from dlcli.settings.fields import Refused


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("4h", 14400), ("1h30m", 5400), ("2d", 172800), ("90s", 90), (" 1 H ", 3600)],
)
def test_a_number_with_its_unit_is_a_duration(text: str, seconds: int) -> None:
    assert Duration.parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "30", "-5m", "0m", "soon", "1.5h", "m", "366d", "9" * 20 + "d"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        Duration.parse(text)


@given(st.integers(1, 365 * 86400))
def test_what_is_written_is_read_as_the_same(seconds: int) -> None:
    assert Duration.parse(str(Duration(seconds=seconds))) == timedelta(seconds=seconds)

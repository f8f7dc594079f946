"""Each reader bears a damaged file; `make torture` tries as many more as there is time for."""

from __future__ import annotations

from pathlib import Path

import pytest
from torture.formats import FORMATS
from torture.fuzz import try_input

# A run's files are read by a dozen commands and functions each.
TRIES = {name: 2 if "runs/" in format.file else 8 for name, format in FORMATS.items()}


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_an_error_in_words(name: str, tmp_path: Path) -> None:
    for number in range(TRIES[name]):
        try_input(name, number, tmp_path / "home")

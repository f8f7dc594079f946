"""Each reader bears a damaged file; `formats.fuzz` tries as many more as there is time for."""

from __future__ import annotations

from pathlib import Path

import pytest
from torture.formats import FORMATS, fuzz

# A run's files are read by a dozen commands and functions each.
TRIES = {name: 2 if "runs/" in format.file else 8 for name, format in FORMATS.items()}


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_an_error_in_words(name: str, tmp_path: Path) -> None:
    assert fuzz(name, seed=1, count=TRIES[name], folder=tmp_path / "home") == TRIES[name]

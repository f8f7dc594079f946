"""What tests of commands about runs get: runs that nobody trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from listed import last_named_dataset, three_runs

from dlcli.run import Run


@pytest.fixture
def dataset(home: Path) -> Path:
    """The dataset of the runs, the one last named."""
    return last_named_dataset()


@pytest.fixture
def three(dataset: Path) -> list[Run]:
    """A finished run, one that failed, and an ensemble."""
    return three_runs()

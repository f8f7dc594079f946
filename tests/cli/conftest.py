"""What tests of commands get: runs that nobody trained, and a competition that takes one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.competition_entry import finished_run, hold_competition, make_pets
from support.kaggle_package import kaggle_serving
from support.kaggle_server import KaggleServer
from support.listed_runs import last_named_dataset, three_runs

from dlcli.runs.run import Run


@pytest.fixture
def dataset(home: Path) -> Path:
    """The dataset of the runs, the one last named."""
    return last_named_dataset()


@pytest.fixture
def three(dataset: Path) -> list[Run]:
    """A finished run, one that failed, and an ensemble."""
    return three_runs()


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    """Kaggle on this machine, with one competition."""
    with kaggle_serving(monkeypatch) as server:
        hold_competition(server, monkeypatch)
        yield server


@pytest.fixture
def root(home: Path) -> Path:
    """The dataset of the competition."""
    return make_pets(home)


@pytest.fixture
def run(root: Path) -> Run:
    """A finished run that may be submitted."""
    return finished_run(root)

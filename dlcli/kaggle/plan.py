"""A planned submission, and a written one: what those of every kind of dataset have."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.config import Config
from dlcli.data.dataset import SETTINGS, dataset_settings
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.kaggle.competitions import Metric, slug_of
from dlcli.runs.run import Run

if TYPE_CHECKING:
    from dlcli.kaggle.record import Entry

COMPETITION = "kaggle.competition"


@dataclass(frozen=True)
class Expected:
    """An expected score and its 95 % interval."""

    score: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """A written submission file.

    Args:
        content: its checked bytes.
        rows: the number of ids in it.
        notes: decisions that the user should know, one sentence each.
        metric: the competition's metric; None if unknown.
        valid_score: a score of the file's values on the validation examples, with its name.
        expected: the expected score and its 95 % interval; None if the metric is unknown.
        competition: the competition's name, if one is set.
        bound: the least distance of probabilities from 0 and 1; 0 without clipping.
        entry: its record on Kaggle; None if it was not sent.
    """

    file: Path
    content: bytes
    rows: int
    notes: tuple[str, ...]
    metric: Metric | None
    valid_score: tuple[str, float]
    expected: Expected | None
    competition: str | None
    bound: float = 0.0
    entry: Entry | None = None


@dataclass(frozen=True, kw_only=True)
class SubmissionPlan(ABC):
    """A submission that the files here show to be possible.

    Args:
        root: the dataset's folder; None if it is gone.
        config: the settings, with the dataset's competition.
        metric: the competition's metric; None if unknown.
    """

    root: Path | None
    config: Config
    metric: Metric | None

    @property
    def competition(self) -> str | None:
        """The competition's name, if one is set."""
        return self.config.settings().kaggle.competition

    @property
    def is_of_dataset(self) -> bool:
        """Whether the dataset's own file sets the competition."""
        origin = self.config.get(COMPETITION).origin
        return self.root is not None and origin == shown(self.root / SETTINGS)

    @abstractmethod
    def submit(self, run: Run) -> Submitted:
        """Write a run's `submission.csv` and check it.

        Args:
            run: a finished run.

        Raises:
            DlError: the run can't predict, or ids or columns do not match.
        """


def with_competition(config: Config, root: Path | None) -> Config:
    """The settings with a dataset's competition, which only options override."""
    if root is not None:
        config = config.with_defaults(dataset_settings(root), shown(root / SETTINGS))
    named = config.get(COMPETITION)
    if named.value is None:
        return config
    # a page's URL is reduced to the name
    named = dataclasses.replace(named, value=slug_of(named.value))
    return config.with_values(config.values | {COMPETITION: named})


def require_sample(named: Path | None) -> None:
    """Refuse a sample submission that the user names, and that does not exist.

    Raises:
        DlError: it does not exist.
    """
    if named is not None and not named.is_file():
        raise DlError(f"{shown(named)} does not exist", hint="Check `--sample-submission`.")

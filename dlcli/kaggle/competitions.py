"""What is known of competitions: how they score, which class a single column is for.

And what Kaggle tells of one: its files, how many submissions are left, how each did.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dlcli.settings.shared import MetricName

State = Literal["pending", "complete", "error"]


@dataclass(frozen=True)
class Metric:
    """How a competition scores.

    Args:
        name: the word for it in settings.
        words: the words for it in sentences.
        falls: whether less is better.
        clipped: whether keeping probabilities away from 0 and 1 changes the score: the others ask
            for the likeliest class, or for an order.
    """

    name: str
    words: str
    falls: bool
    clipped: bool


METRICS = {
    metric.name: metric
    for metric in (
        Metric("log_loss", "log loss", falls=True, clipped=True),
        Metric("accuracy", "accuracy", falls=False, clipped=False),
        Metric("auc", "area under the ROC curve", falls=False, clipped=False),
        Metric("f1", "F1 score", falls=False, clipped=False),
    )
}


@dataclass(frozen=True)
class Competition:
    """A competition that `dl` knows.

    Args:
        slug: its name in its URL.
        metric: the name of its metric.
        positive: the class whose probability a single column holds, if there is a single one.
    """

    slug: str
    metric: MetricName
    positive: str | None = None


# The course's. Each one's page on Kaggle, under Evaluation.
COMPETITIONS = {
    known.slug: known
    for known in (
        Competition("dogs-vs-cats-redux-kernels-edition", "log_loss", positive="dog"),
        Competition("dog-breed-identification", "log_loss"),
        Competition("state-farm-distracted-driver-detection", "log_loss"),
        Competition("digit-recognizer", "accuracy"),
    )
}


@dataclass(frozen=True)
class DataFile:
    """One file of a competition's data."""

    name: str
    bytes: int


@dataclass(frozen=True)
class Limits:
    """How many submissions are left today, and were made."""

    left: int
    today: int


@dataclass(frozen=True)
class Sent:
    """A submission as Kaggle tells of it.

    Args:
        file_name: the name that it was uploaded under.
        state: pending while it is scored.
        public_score: None until it is scored.
        reason: why it could not be scored.
        date: when Kaggle took it, by Kaggle's clock.
        message: what was said with it.
    """

    ref: int
    file_name: str
    state: State
    public_score: float | None
    private_score: float | None
    reason: str
    date: datetime | None
    message: str


@dataclass(frozen=True)
class Standing:
    """One team on the leaderboard."""

    team: str
    score: float


def metric_of(slug: str | None, named: str | None) -> Metric | None:
    """How a competition scores: as it is named, or as it is known; None where it is neither."""
    known = COMPETITIONS.get(slug or "")
    name = named or (known.metric if known else None)
    return METRICS[name] if name else None


def positive_of(slug: str | None, classes: tuple[str, ...]) -> str | None:
    """The class that a competition's single column is for, by its own name among the classes.

    Kaggle says "dog", a folder may be called "Dog" or "dogs".
    """
    known = COMPETITIONS.get(slug or "")
    if known is None or known.positive is None:
        return None
    wanted = known.positive.lower()
    near = [name for name in classes if name.lower() in (wanted, f"{wanted}s")]
    return near[0] if len(near) == 1 else None


def slug_of(named: str) -> str:
    """A competition's name, of the URL of any of its pages as well."""
    found = re.match(r"https?://(?:www\.)?kaggle\.com/(?:c|competitions)/([^/?#\s]+)", named)
    return found[1] if found else named


def rules_page(slug: str) -> str:
    """Where one accepts a competition's rules."""
    return f"https://www.kaggle.com/c/{slug}/rules"

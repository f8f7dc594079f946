"""Competitions: metrics, the ones that `dl` knows, and records of what Kaggle tells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dlcli.settings.shared import MetricName

State = Literal["pending", "complete", "error"]


@dataclass(frozen=True)
class Metric:
    """A competition's metric.

    Args:
        name: its name in settings.
        words: its name in sentences.
        falls: whether less is better.
        clipped: whether clipping probabilities changes the score; other metrics use only the
            likeliest class or the order.
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
        Metric("rmse", "RMSE", falls=True, clipped=False),
        Metric("mse", "MSE", falls=True, clipped=False),
        Metric("mae", "MAE", falls=True, clipped=False),
    )
}


@dataclass(frozen=True)
class Competition:
    """A competition that `dl` knows.

    Args:
        slug: its name in its URL.
        metric: the name of its metric.
        positive: the class whose probability its single column holds; None for several columns.
    """

    slug: str
    metric: MetricName
    positive: str | None = None


# The course's competitions. Source: each one's page on Kaggle, under Evaluation.
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
    """The number of submissions that are left today, and that were made today."""

    left: int
    today: int


@dataclass(frozen=True)
class Sent:
    """A submission as Kaggle lists it.

    Args:
        file_name: the name of the uploaded file.
        state: "pending" while it is being scored.
        public_score: None until it is scored.
        reason: why it could not be scored.
        date: when Kaggle received it, by Kaggle's clock.
        message: the text that was sent with it.
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
    """A competition's metric: the given one, else the known one; None if there is neither."""
    known = COMPETITIONS.get(slug or "")
    name = named or (known.metric if known else None)
    return METRICS[name] if name else None


def positive_of(slug: str | None, classes: tuple[str, ...]) -> str | None:
    """The class whose probability a competition's single column holds.

    Kaggle says "dog"; the class folder may be "Dog" or "dogs".
    """
    known = COMPETITIONS.get(slug or "")
    if known is None or known.positive is None:
        return None
    wanted = known.positive.lower()
    near = [name for name in classes if name.lower() in (wanted, f"{wanted}s")]
    return near[0] if len(near) == 1 else None


def slug_of(named: str) -> str:
    """A competition's name, from its name or the URL of any of its pages."""
    found = re.match(r"https?://(?:www\.)?kaggle\.com/(?:c|competitions)/([^/?#\s]+)", named)
    return found[1] if found else named


def rules_page(slug: str) -> str:
    """The page for accepting a competition's rules."""
    return f"https://www.kaggle.com/c/{slug}/rules"

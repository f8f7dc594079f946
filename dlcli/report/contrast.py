"""Whether a run differs from another by more than chance explains, for runs of any kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dlcli.evaluation.chance import LEVEL
from dlcli.runs.run import Run

P = TypeVar("P")


@dataclass(frozen=True)
class Contrast(ABC):
    """Whether the best run of a comparison differs from another by more than chance explains.

    Args:
        best, other: their letters; `best` has the lower loss.
    """

    best: str
    other: str

    @property
    @abstractmethod
    def outcome(self) -> Hashable:
        """What the test found; the same for runs with the same predictions."""

    @property
    @abstractmethod
    def sentences(self) -> list[str]:
        """What was found, in words."""

    @property
    @abstractmethod
    def values(self) -> dict[str, Any]:
        """The numbers of the test, by the names that JSON has."""


@dataclass(frozen=True)
class Judge(Generic[P]):
    """How runs of a kind of dataset are told apart.

    Args:
        require_comparable: refuse runs whose predictions can't be compared, given both.
        contrasts: the best run against each other one, given the runs' letters, the place of the
            best, and the aligned predictions of all.
    """

    require_comparable: Callable[[Sequence[Run], Sequence[P]], None]
    contrasts: Callable[[Sequence[str], int, Sequence[P]], Sequence[Contrast]]


def about_difference(
    best: str,
    other: str,
    score: str,
    difference: float,
    interval: tuple[float, float] | None,
    *,
    on: str,
    on_each: str,
    p: float,
    several: bool,
) -> str:
    """A sentence on the difference of two losses.

    Args:
        score: what people call the loss.
        interval: the 95 % interval of the difference; None if it is not known.
        on: what it was measured on: "40 images".
        on_each: the same, one by one: "each of 40 images".
        p: the p-value.
        several: whether it is one of several that were corrected for that, so that it is said.
    """
    within = ""
    if interval is not None:
        low, high = interval
        within = f"95 % interval {low:.4f} to {high:.4f}, "
        if low == high == 0:
            return f"{best} and {other} have the same {score} on {on_each}."
    holms = f", {in_words(p)}" if several else ""
    more = "more" if p < LEVEL else "no more"
    return (
        f"{best}'s {score} is lower than {other}'s by {abs(difference):.4f} "
        f"({within}{on}{holms}): {more} than chance explains."
    )


def in_words(p: float) -> str:
    """A p-value: "p < 0.001", "p = 0.042"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.{2 if p >= 0.1 else 3}f}"

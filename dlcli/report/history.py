"""One training's history as series of points, for charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Curves:
    """A metric over the epochs, while training and on the validation set.

    Args:
        metric: "loss" or "accuracy".
        epochs: their numbers.
        train: a value per epoch; NaN where there is none.
        valid: the same.
        best: the best epoch's number, None where it isn't known.
        phases: (first epoch, name) of each stretch of training, empty where there is just one.
    """

    metric: str
    epochs: tuple[int, ...]
    train: tuple[float, ...]
    valid: tuple[float, ...]
    best: int | None
    phases: tuple[tuple[int, str], ...]

    @property
    def values(self) -> list[float]:
        """Every finite value, train and valid."""
        return [value for value in self.train + self.valid if math.isfinite(value)]

    @property
    def best_value(self) -> float:
        """The validation value at the best epoch; NaN where it isn't known."""
        return self.valid[self.epochs.index(self.best)] if self.best is not None else math.nan


def curves(history: Sequence[Mapping[str, Any]]) -> list[Curves]:
    """Loss and accuracy of a history, those that it holds.

    Args:
        history: one mapping per epoch, with some of epoch, loss, accuracy, val_loss,
            val_accuracy, phase. Values that are missing, not numbers or not finite leave gaps.
    """
    epochs = tuple(int(row.get("epoch", i)) for i, row in enumerate(history, start=1))
    found = [
        Curves(
            metric,
            epochs,
            tuple(_number(row.get(metric)) for row in history),
            tuple(_number(row.get(f"val_{metric}")) for row in history),
            best_epoch(history),
            _phases(epochs, history),
        )
        for metric in ("loss", "accuracy")
    ]
    return [curve for curve in found if curve.values]


def best_epoch(history: Sequence[Mapping[str, Any]]) -> int | None:
    """The number of the epoch with the lowest validation loss, the first of equals."""
    losses = {
        int(row.get("epoch", i)): _number(row.get("val_loss"))
        for i, row in enumerate(history, start=1)
    }
    finite = {epoch: value for epoch, value in losses.items() if math.isfinite(value)}
    return min(finite, key=finite.__getitem__) if finite else None


def _phases(
    epochs: Sequence[int], history: Sequence[Mapping[str, Any]]
) -> tuple[tuple[int, str], ...]:
    names = [str(row.get("phase", "")) for row in history]
    starts = [i for i in range(len(names)) if i == 0 or names[i] != names[i - 1]]
    return tuple((epochs[i], names[i]) for i in starts) if len(starts) > 1 else ()


def _number(value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan

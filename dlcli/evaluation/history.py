"""One training's history: as series of points, and what it shows of the way training went."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Random batches alone move an epoch's training loss by a few per cent.
NOTABLE_CHANGE = 1.1
# A rise is weighed against where it began: from 0.45 to 0.52 is no cause for other remedies.
NOTABLE_RISE = 1.25


@dataclass(frozen=True)
class Curves:
    """A metric over the epochs, while training and on the validation set.

    Args:
        metric: "loss" or "accuracy".
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
            metric=metric,
            epochs=epochs,
            train=tuple(_number(row.get(metric)) for row in history),
            valid=tuple(_number(row.get(f"val_{metric}")) for row in history),
            best=best_epoch(history),
            phases=_phases(epochs, history),
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


@dataclass(frozen=True)
class Trends:
    """A history's movements around the epoch whose model was kept; losses as (from, to).

    Args:
        best: the kept epoch's number; 0 where the history names none.
        train_loss, train_accuracy: averages over that epoch while it trained; NaN if unknown.
        before: the training loss of the epoch before in the same phase; NaN without one.
        to_the_end: whether that epoch was the last of all.
        rose: the validation loss of that epoch and of the phase's last, where it rose by more
            than noise while the training loss fell.
        diverged: the training loss of that epoch and of the phase's last, where it rose notably.
        single: there was but one epoch.
    """

    best: int = 0
    train_loss: float = math.nan
    train_accuracy: float = math.nan
    before: float = math.nan
    to_the_end: bool = False
    rose: tuple[float, float] | None = None
    diverged: tuple[float, float] | None = None
    single: bool = False

    @property
    def fell(self) -> tuple[float, float] | None:
        """The training loss before and in the last epoch, if that was the best and it fell."""
        falls = self.to_the_end and self.train_loss < self.before
        return (self.before, self.train_loss) if falls else None

    @property
    def falls_markedly(self) -> bool:
        """Whether the training loss fell in the last epoch by more than random batches explain."""
        return self.fell is not None and self.fell[0] > NOTABLE_CHANGE * self.fell[1]


def trends(history: Sequence[Mapping[str, Any]], noise: float, trifle: float) -> Trends:
    """Read a history.

    Only the kept epoch's own phase is compared with it: in others, other layers train. A rise
    has to show in both of the phase's last two epochs, since one alone may be an outlier.

    Args:
        history: rows of `history.csv`; what is missing or not a number is passed over.
        noise: a rise of the validation loss up to this is none; infinite if unknown.
        trifle: nor is a rise of either loss up to this.
    """
    found = {curve.metric: curve for curve in curves(history)}
    single = len(history) == 1
    if "loss" not in found or found["loss"].best is None:
        return Trends(single=single)
    losses, best = found["loss"], found["loss"].best
    train, valid = losses.train, losses.valid
    k, phases = losses.epochs.index(best), [row.get("phase") for row in history]
    last = k
    while last + 1 < len(phases) and phases[last + 1] == phases[k]:
        last += 1
    before = train[k - 1] if k and phases[k - 1] == phases[k] else math.nan
    rose = diverged = None
    if last >= k + 2:
        ends = (last - 1, last)
        if all(train[i] > max(NOTABLE_CHANGE * train[k], train[k] + trifle) for i in ends):
            diverged = (train[k], train[last])
        bound = max(NOTABLE_RISE * valid[k], valid[k] + max(noise, trifle))
        if all(train[i] < train[k] and valid[i] > bound for i in ends):
            rose = (valid[k], valid[last])
    return Trends(
        best=best,
        train_loss=train[k],
        train_accuracy=found["accuracy"].train[k] if "accuracy" in found else math.nan,
        before=before,
        to_the_end=k == len(history) - 1,
        rose=rose,
        diverged=diverged,
        single=single,
    )

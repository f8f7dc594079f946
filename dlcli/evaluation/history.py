"""A training's history: its curves, and the trends around the kept epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from dlcli.evaluation.scores import NAMES

# Random batches change an epoch's training loss by a few per cent.
NOTABLE_CHANGE = 1.1
# A rise by less than this factor, such as from 0.45 to 0.52, does not change the remedies.
NOTABLE_RISE = 1.25
# A training is unfinished if its best epoch is among its last fifth, and the validation loss fell
# by 3 % or more since half-way. Sixty dog breeds: after 60 epochs with a fall of 5 %, 120 epochs
# gave 0.502 in place of 0.527, but augmentation 0.563.
LATE = 5
CLEAR_FALL = 1.03
# Of metrics that are not words.
TITLES = {"rmse": "RMSE"}


@dataclass(frozen=True)
class Curves:
    """A metric by epoch, on the training and the validation images.

    Args:
        metric: a name in `scores.NAMES`.
        train: a value per epoch; NaN if missing.
        valid: a value per epoch; NaN if missing.
        best: the best epoch's number; None if unknown.
        phases: (first epoch, name) of each phase; empty if there is only one.
    """

    metric: str
    epochs: tuple[int, ...]
    train: tuple[float, ...]
    valid: tuple[float, ...]
    best: int | None
    phases: tuple[tuple[int, str], ...]

    @property
    def title(self) -> str:
        """The metric as a chart's title."""
        return TITLES.get(self.metric, self.metric.capitalize())

    @property
    def values(self) -> list[float]:
        """Every finite value, train and valid."""
        return [value for value in self.train + self.valid if math.isfinite(value)]

    @property
    def best_value(self) -> float:
        """The validation value at the best epoch; NaN if unknown."""
        return self.valid[self.epochs.index(self.best)] if self.best is not None else math.nan


def curves(history: Sequence[Mapping[str, Any]]) -> list[Curves]:
    """The curves of the loss and other scores, those that the history has.

    Args:
        history: one mapping per epoch, with some of epoch, phase, and `scores.NAMES`, alone and
            with `val_` before them. Values that are missing or not finite numbers leave gaps.
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
        for metric in NAMES
    ]
    return [curve for curve in found if curve.values]


def best_epoch(history: Sequence[Mapping[str, Any]]) -> int | None:
    """The number of the epoch with the lowest validation loss; the first of equal ones."""
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
    """How the losses changed around the epoch whose model was kept; pairs are (from, to).

    Args:
        best: the kept epoch's number; 0 if unknown.
        train_loss, train_accuracy: averages over the kept epoch while it trained; NaN if unknown.
        before: the training loss of the previous epoch of the same phase; NaN without one.
        fell: the validation loss of the epoch half-way through the last phase and of the kept
            epoch, if that is among the last ones and the loss fell clearly; else None.
        fell_at_all: the same, however small the fall is beside the loss of guessing.
        rose: the validation loss of the kept epoch and of its phase's last epoch, if it rose by
            more than noise while the training loss fell; else None.
        diverged: the training loss of the same two epochs, if it rose notably; else None.
        single: whether there was only one epoch.
    """

    best: int = 0
    train_loss: float = math.nan
    train_accuracy: float = math.nan
    before: float = math.nan
    fell: tuple[float, float] | None = None
    fell_at_all: tuple[float, float] | None = None
    rose: tuple[float, float] | None = None
    diverged: tuple[float, float] | None = None
    single: bool = False


def trends(
    history: Sequence[Mapping[str, Any]],
    noise: float,
    trifle: float,
    *,
    rise: float = NOTABLE_RISE,
) -> Trends:
    """Find the trends in a history.

    The kept epoch is compared only within its own phase, because other layers train in others. A
    rise must show in both of the phase's last two epochs, because a single one may be an outlier.

    Args:
        history: rows of `history.csv`; missing values are ignored.
        noise: a smaller rise of the validation loss does not count; infinite if unknown.
        trifle: a smaller rise of either loss does not count.
        rise: a rise of the validation loss by less than this factor does not count.
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
    first = phases.index(phases[k])
    before = train[k - 1] if k and phases[k - 1] == phases[k] else math.nan
    rose = diverged = None
    if last >= k + 2:
        ends = (last - 1, last)
        if all(train[i] > max(NOTABLE_CHANGE * train[k], train[k] + trifle) for i in ends):
            diverged = (train[k], train[last])
        bound = max(rise * valid[k], valid[k] + max(noise, trifle))
        if all(train[i] < train[k] and valid[i] > bound for i in ends):
            rose = (valid[k], valid[last])
    fell = fell_at_all = None
    if last == len(phases) - 1:
        fell, fell_at_all = (_fall(valid[first:], k - first, least) for least in (trifle, 0.0))
    return Trends(
        best=best,
        train_loss=train[k],
        train_accuracy=found["accuracy"].train[k] if "accuracy" in found else math.nan,
        before=before,
        fell=fell,
        fell_at_all=fell_at_all,
        rose=rose,
        diverged=diverged,
        single=single,
    )


def _fall(losses: Sequence[float], kept: int, trifle: float) -> tuple[float, float] | None:
    """The loss half-way and in the kept epoch, if that is late and the fall is no chance.

    All are measured on the same images, so chance shows as rises between epochs.

    Args:
        losses: the validation loss of each epoch of a phase.
        kept: the index of its lowest.
        trifle: a fall below a quarter of it does not count: more of it may follow.
    """
    half, last = max(len(losses) // 2 - 1, 0), len(losses) - 1
    if kept <= half or last - kept > len(losses) // LATE:
        return None
    wavered = max(after - before for before, after in pairwise(losses[half : kept + 1]))
    fell = losses[half] - losses[kept]
    if losses[half] > CLEAR_FALL * losses[kept] and fell > max(trifle / 4, 2 * wavered):
        return losses[half], losses[kept]
    return None

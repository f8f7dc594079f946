"""Changes of a run by `dl resume`: epochs, learning rate, batch size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from dlcli.errors import DlError
from dlcli.recipe import Phase
from dlcli.settings.schedule import MOST_EPOCHS, Schedule
from dlcli.words import count


@dataclass(frozen=True)
class Change:
    """One change, applied at the end of an epoch.

    Args:
        after: number of epochs finished at that time.
        phase: the number of the phase at that time, from 0.
        phase_epochs: finished epochs of that phase.
        epochs: total number of epochs; None: as before.
        learning_rate: learning rate of all later epochs; None: as before.
        batch_size: batch size of all later epochs; None: as before.
        optimizer_anew: the optimizer started fresh, because a finished run has no checkpoint.
        when: time of the change in UTC.
    """

    after: int
    phase: int
    phase_epochs: int
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    optimizer_anew: bool = False
    when: str = ""

    def describe(self) -> dict[str, Any]:
        """The change as plain values, without unchanged ones."""
        # by identity: 0 is kept, although it equals False
        unsaid = (None, False, "")
        said = asdict(self).items()
        return {name: value for name, value in said if not any(value is each for each in unsaid)}

    @classmethod
    def from_description(cls, values: Mapping[str, Any]) -> Change:
        """Read back the result of `describe`."""
        return cls(**values)

    def without(self, epochs: int | None, lr: float | None) -> Change | None:
        """The change in a rerun with other epochs or another rate; None if nothing is left of it.

        Args:
            epochs, lr: what the rerun was asked for, which this change must not override.
        """
        kept = self
        if epochs is not None:  # trained in one go, so that the optimizer continues
            kept = replace(kept, epochs=None, optimizer_anew=False)
        if lr is not None:
            kept = replace(kept, learning_rate=None)
        does = (kept.epochs, kept.learning_rate, kept.batch_size, kept.optimizer_anew)
        return kept if any(does) else None

    def __str__(self) -> str:
        """In words: "from epoch 4 on: 20 epochs in all, batches of 32"."""
        said = [
            f"{count(self.epochs, 'epoch')} in all" if self.epochs else "",
            f"a learning rate of {self.learning_rate:g}" if self.learning_rate else "",
            f"batches of {self.batch_size}" if self.batch_size else "",
            "a fresh optimizer" if self.optimizer_anew else "",
        ]
        return f"from epoch {self.after + 1} on: {', '.join(filter(None, said))}"


def change_lines(changes: Any) -> list[str]:
    """The changes in a run's record, one line each.

    Args:
        changes: results of `describe`; values of another form are printed as they are.
    """
    said = []
    for each in changes if isinstance(changes, list) else ():
        try:
            said.append(str(Change.from_description(each)))
        except (TypeError, ValueError):  # from a newer version, or edited by hand
            said.append(str(each))
    return said


def changed_phases(phases: Sequence[Phase], changes: Sequence[Change]) -> tuple[Phase, ...]:
    """A recipe's phases after some changes, applied in order.

    More epochs extend the last phase at its last rate. Fewer epochs shorten the end, which may
    remove the last phases.
    """
    rates = [phase.schedule.rates() for phase in phases]
    for change in changes:
        if change.epochs is not None:
            _resize(rates, change, change.epochs - change.after)
        if change.learning_rate is not None:
            for phase, epoch in _left(rates, change):
                rates[phase][epoch] = change.learning_rate
    return tuple(
        replace(phase, schedule=Schedule.of(each))
        for phase, each in zip(phases, rates, strict=True)
        if each
    )


def batch_size_at(epoch: int, first: int, changes: Sequence[Change]) -> int:
    """The batch size of an epoch, numbered from 1; `first` is the initial one."""
    asked = [change.batch_size for change in changes if change.batch_size and change.after < epoch]
    return asked[-1] if asked else first


def _left(rates: Sequence[Sequence[float]], change: Change) -> Iterator[tuple[int, int]]:
    """The epochs left at a change: number of the phase and of the epoch in it, from 0."""
    for phase, each in enumerate(rates):
        for epoch in range(len(each)):
            if (phase, epoch) >= (change.phase, change.phase_epochs):
                yield phase, epoch


def _resize(rates: list[list[float]], change: Change, left: int) -> None:
    """Set the number of epochs after a change, 0 or more."""
    if left > MOST_EPOCHS:
        raise DlError(
            f"{left:,} more epochs are too many",
            why=f"a schedule has at most {MOST_EPOCHS:,}",
            hint="Use `--epochs` with fewer.",
        )
    planned = list(_left(rates, change))
    for phase, epoch in reversed(planned[left:]):
        del rates[phase][epoch]
    if more := left - len(planned):
        last = max(phase for phase, each in enumerate(rates) if each)
        rates[last] += [rates[last][-1]] * max(more, 0)

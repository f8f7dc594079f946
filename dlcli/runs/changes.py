"""What was asked of a run while it was under way: more epochs, another rate, another batch size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from dlcli.recipe import Phase
from dlcli.settings.schedule import Schedule
from dlcli.words import count


@dataclass(frozen=True)
class Change:
    """One change, at the end of an epoch.

    Args:
        after: epochs that were finished then.
        phase: the number of the phase that training was in, from 0.
        phase_epochs: finished epochs of that phase.
        epochs: how many there are to be in all; None: as before.
        learning_rate: of every epoch from then on; None: as before.
        batch_size: from then on; None: as before.
        optimizer_anew: the optimizer began anew, for a finished run keeps no checkpoint.
        when: in UTC.
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
        """The same as plain values, without what stays as before."""
        # by identity: 0 is no False, and is said
        unsaid = (None, False, "")
        said = asdict(self).items()
        return {name: value for name, value in said if not any(value is each for each in unsaid)}

    @classmethod
    def from_description(cls, values: Mapping[str, Any]) -> Change:
        """What `describe` gave, as a value again."""
        return cls(**values)

    def __str__(self) -> str:
        """In words: "from epoch 4 on: 20 epochs in all, batches of 32"."""
        said = [
            f"{count(self.epochs, 'epoch')} in all" if self.epochs else "",
            f"a learning rate of {self.learning_rate:g}" if self.learning_rate else "",
            f"batches of {self.batch_size}" if self.batch_size else "",
            "the optimizer anew" if self.optimizer_anew else "",
        ]
        return f"from epoch {self.after + 1} on: {', '.join(filter(None, said))}"


def change_lines(changes: Any) -> list[str]:
    """What a run's record holds of its changes, a line for each.

    Args:
        changes: what each one's `describe` gave; what is in another form is told as it stands.
    """
    said = []
    for each in changes if isinstance(changes, list) else ():
        try:
            said.append(str(Change.from_description(each)))
        except (TypeError, ValueError):  # of a newer version, or by somebody's hand
            said.append(str(each))
    return said


def changed_phases(phases: Sequence[Phase], changes: Sequence[Change]) -> tuple[Phase, ...]:
    """A recipe's phases as they are after some changes, made one after another.

    More epochs lengthen the last phase, at its last rate; fewer are taken from the end, so that
    the last phases may be gone.
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
    """The batch size of an epoch, numbered from 1, where it was `first` in the beginning."""
    asked = [change.batch_size for change in changes if change.batch_size and change.after < epoch]
    return asked[-1] if asked else first


def _left(rates: Sequence[Sequence[float]], change: Change) -> Iterator[tuple[int, int]]:
    """The epochs that were to come at a change: number of the phase, and within it, from 0."""
    for phase, each in enumerate(rates):
        for epoch in range(len(each)):
            if (phase, epoch) >= (change.phase, change.phase_epochs):
                yield phase, epoch


def _resize(rates: list[list[float]], change: Change, left: int) -> None:
    """Let so many epochs follow a change, 0 or more."""
    planned = list(_left(rates, change))
    for phase, epoch in reversed(planned[left:]):
        del rates[phase][epoch]
    if more := left - len(planned):
        last = max(phase for phase, each in enumerate(rates) if each)
        rates[last] += [rates[last][-1]] * max(more, 0)

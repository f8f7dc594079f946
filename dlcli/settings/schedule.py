"""Learning-rate schedules as people write them: `1e-3x2,1e-4x2`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from dlcli.settings.fields import Refused

# Names that other tools use for rates and epochs.
RATE, EPOCHS = ("lr", "learning_rate"), ("epochs",)

# Each epoch has a row in memory and in `history.csv`.
MOST_EPOCHS = 1_000_000


@dataclass(frozen=True)
class Schedule:
    """Learning rates, each held for a number of epochs.

    The course's rule "in all cases": some epochs at the default rate, then at a tenth and at a
    hundredth of it.

    Args:
        steps: (learning rate, epochs) pairs, in order.

    Example:
        Schedule.parse("1e-3x2,1e-4x2").epochs == 4
    """

    steps: tuple[tuple[float, int], ...]
    expected: ClassVar[str] = "rates and epochs, such as 1e-3x2,1e-4x2"

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read `RATExEPOCHS[,RATExEPOCHS...]`; a rate alone is for one epoch.

        Raises:
            Refused: says which part can't be read.
        """
        steps = []
        for part in text.split(","):
            rate_text, times, epochs_text = part.strip().lower().partition("x")
            try:
                rate, epochs = float(rate_text), int(epochs_text) if times else 1
            except ValueError:
                raise Refused(f"{part.strip()!r:.40} is not RATExEPOCHS, such as 1e-3x2") from None
            if not (0 < rate < math.inf) or epochs < 1:
                raise Refused(f"{part.strip()!r:.40} needs a rate above 0 and at least one epoch")
            steps.append((rate, epochs))
        made = cls(tuple(steps))
        if made.epochs > MOST_EPOCHS:
            raise Refused(f"a schedule has at most {MOST_EPOCHS:,} epochs")
        return made

    @classmethod
    def of(cls, rates: Sequence[float]) -> Schedule:
        """The schedule with these rates, one for each epoch."""
        return cls(tuple((rate, len(list(same))) for rate, same in groupby(rates)))

    def __str__(self) -> str:
        return ",".join(f"{rate!r}x{epochs}" for rate, epochs in self.steps)

    @property
    def epochs(self) -> int:
        """Total number of epochs."""
        return sum(epochs for _, epochs in self.steps)

    @property
    def highest_rate(self) -> float:
        """The highest of its learning rates."""
        return max(rate for rate, _ in self.steps)

    def rates(self) -> list[float]:
        """The learning rate of each epoch, in order."""
        return [rate for rate, epochs in self.steps for _ in range(epochs)]

    def asked(self, name: str, value: str) -> Schedule:
        """The schedule with another rate or other epochs, by a name that other tools use.

        Args:
            name: one of `RATE`, for the highest rate, or of `EPOCHS`, for the total of epochs.
            value: as typed; an unreadable value changes nothing.
        """
        with suppress(ValueError, Refused):
            if name in EPOCHS:
                made = self.with_epochs(int(value))
            else:
                made = self.with_highest_rate(float(value))
            return Schedule.parse(str(made))  # not a number, no epochs: refused
        return self

    def scaled(self, factor: float) -> Schedule:
        """The same epochs at `factor` times the rates."""
        return Schedule(tuple((float(f"{r * factor:.6g}"), epochs) for r, epochs in self.steps))

    def with_epochs(self, epochs: int) -> Schedule:
        """The same rates for another total number of epochs.

        The epochs are divided in the proportions of this schedule, by the largest remainder, with
        at least one epoch per step. With fewer epochs than steps the last steps are left out.
        """
        steps = self.steps[: max(epochs, 0)]
        total = sum(usual for _, usual in steps)
        # no step ends further below its share: the others take one epoch more than theirs at most
        counts = [max(1, epochs * usual // total - len(steps)) for _, usual in steps]
        for _ in range(epochs - sum(counts)):
            # in integers, so that equal remainders are equal and the earlier step wins
            missing = [
                epochs * usual - total * count
                for (_, usual), count in zip(steps, counts, strict=True)
            ]
            counts[missing.index(max(missing))] += 1
        return Schedule(
            tuple((rate, count) for (rate, _), count in zip(steps, counts, strict=True))
        )

    def with_highest_rate(self, rate: float) -> Schedule:
        """The same epochs with `rate` as the highest; the others keep their ratio to it."""
        highest = self.highest_rate
        scaled = self.scaled(rate / highest)
        return Schedule(
            tuple(
                (rate, epochs) if usual == highest else step
                for (usual, epochs), step in zip(self.steps, scaled.steps, strict=True)
            )
        )

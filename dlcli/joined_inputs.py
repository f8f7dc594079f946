"""Training images joined by unlabelled ones, which a finished run has labelled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dlcli.inputs import Inputs

if TYPE_CHECKING:
    import numpy as np


class JoinedInputs:
    """Labelled and unlabelled samples, in every batch at the same ratio.

    An epoch is one pass over the labelled samples; the unlabelled ones go round and round beside
    them. Source: Lee 2013, "Pseudo-Label"; the course's statefarm notebook mixes in a quarter.

    Args:
        labelled: the training samples; they come first in the numbering.
        unlabelled: the others.
        known: which of the others have a label from the run: bool (n_unlabelled,).
        share: of the unlabelled in each batch, above 0 and below 1.
    """

    def __init__(
        self, labelled: Inputs, unlabelled: Inputs, known: np.ndarray, share: float
    ) -> None:
        self._known = known
        self._labelled, self._unlabelled, self._share = labelled, unlabelled, share
        self.paths = (*labelled.paths, *unlabelled.paths)

    @property
    def from_disk(self) -> bool:
        """Whether the labelled ones are read from disk in every epoch."""
        return self._labelled.from_disk

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self._labelled.shape

    def start_epoch(self, epoch: int) -> None:
        """Show both as that epoch sees them."""
        self._labelled.start_epoch(epoch)
        self._unlabelled.start_epoch(epoch)

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """All labelled samples in random order, then as many unlabelled ones as go with them."""
        import numpy as np

        first = self._labelled.shuffled(rng)
        count = round(len(first) * self._share / (1 - self._share))
        rounds = count // int(self._known.sum()) + 1
        others = np.concatenate([self._unlabelled.shuffled(rng) for _ in range(rounds)])
        others = others[self._known[others]]
        return np.concatenate([first, len(first) + others[:count]])

    def batches(
        self, order: np.ndarray, batch_size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Batches of both kinds, each at its share of the batch."""
        import numpy as np

        offset = len(self._labelled.paths)
        mine, theirs = order[order < offset], order[order >= offset] - offset
        if not len(theirs):
            yield from self._labelled.batches(mine, batch_size)
            return
        beside = max(min(round(batch_size * self._share), batch_size - 1), 1)
        others = self._unlabelled.batches(theirs, beside)
        for x, chosen in self._labelled.batches(mine, max(batch_size - beside, 1)):
            more = next(others, None)
            if more is not None:
                x = np.concatenate([x, more[0]])
                chosen = np.concatenate([chosen, more[1] + offset])
            yield x, chosen

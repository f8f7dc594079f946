"""One measurement of a model: its loss, how sure that is, and what a guesser would have.

Losses are means of -ln(probability of the true class), in nats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlcli.chance import t_95
from dlcli.evaluation import accuracy, accuracy_interval, sample_losses

if TYPE_CHECKING:
    from dlcli.evaluation import Floats, Ints


@dataclass(frozen=True)
class Score:
    """How the kept model does on some images, without dropout or augmentation.

    Args:
        loss: mean over the images.
        loss_error: standard error of that mean; NaN where one image gives none.
        accuracy: share that is named correctly.
        counts: how many of these images are of each class.
    """

    loss: float
    loss_error: float
    accuracy: float
    counts: tuple[int, ...]

    @property
    def images(self) -> int:
        """How many images were measured."""
        return sum(self.counts)

    @property
    def usable(self) -> bool:
        """Whether there is a loss, and a guesser's to hold it against."""
        return math.isfinite(self.loss + self.accuracy) and sum(n > 0 for n in self.counts) > 1

    @property
    def guess_loss(self) -> float:
        """The loss of always answering these images' class frequencies: their entropy."""
        return sum(n / self.images * math.log(self.images / n) for n in self.counts if n)

    @property
    def noise(self) -> float:
        """How far the mean loss may be off by chance, 19 times in 20; infinite if unknown."""
        known = math.isfinite(self.loss_error) and self.images > 1
        return t_95(self.images - 1) * self.loss_error if known else math.inf

    @property
    def accuracy_low(self) -> float:
        """The lower end of the accuracy's 95 % interval."""
        return accuracy_interval(round(self.accuracy * self.images), self.images)[0]

    @property
    def beats_guessing(self) -> bool:
        """Whether loss or accuracy is better than a guesser's by more than chance explains."""
        better = self.loss + self.noise < self.guess_loss
        return better or self.accuracy_low > max(self.counts) / self.images


def measure(y_true: Ints, y_prob: Floats) -> Score:
    """Score the probabilities a model gave some images.

    Args:
        y_true: int array of shape (n_samples,).
        y_prob: float array of shape (n_samples, n_classes).

    Raises:
        DlError: no samples, or a row that can't be probabilities.
    """
    import numpy as np

    losses = sample_losses(y_true, y_prob)
    error = float(losses.std(ddof=1)) / math.sqrt(len(losses)) if len(losses) > 1 else math.nan
    counts = np.bincount(y_true, minlength=y_prob.shape[1]).tolist()
    return Score(float(losses.mean()), error, accuracy(y_true, y_prob), tuple(counts))

"""Keeping probabilities away from 0 and 1, where a confident mistake costs without bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlcli.errors import DlError, ExitCode
from dlcli.evaluation.metrics import sample_losses

if TYPE_CHECKING:
    import numpy as np

    from dlcli.evaluation.metrics import Ints

# Bounds that are tried, for none as well; good models want 0.005 to 0.02.
TRIED = (0.0, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1)
# The course's bound: everybody's first guess, so its price is always told.
COURSE = 0.05
FOLDS, REPEATS = 10, 5


@dataclass(frozen=True)
class Curve:
    """Log loss over the bound, on images with known classes.

    Args:
        bounds: those of `TRIED` that so many classes allow, 0 first.
        losses: the log loss at each, in nats.
        held_out: what choosing costs on images that took no part in it, by cross-validation: on
            nine tenths of the images the best bound is chosen, on the rest it is judged.
    """

    bounds: tuple[float, ...]
    losses: tuple[float, ...]
    held_out: float

    @property
    def plain(self) -> float:
        """The log loss without clipping."""
        return self.losses[0]

    @property
    def best(self) -> float:
        """The bound with the least log loss, the smallest of those."""
        return self.bounds[self.losses.index(min(self.losses))]

    @property
    def chosen(self) -> float:
        """The best bound, if choosing one pays on images that it wasn't chosen on; else 0."""
        return self.best if self.held_out < self.plain else 0.0

    def at(self, bound: float) -> float:
        """The log loss at one of the bounds."""
        return self.losses[self.bounds.index(bound)]


def curve(y_true: Ints, y_prob: np.ndarray, seed: int = 0) -> Curve:
    """Log loss at each bound, and what choosing the best of them is worth.

    Args:
        y_true: int array of shape (n_samples,).
        y_prob: array of shape (n_samples, n_classes); rows sum to 1.

    Reference:
        Stone 1974, "Cross-validatory choice and assessment of statistical predictions".
    """
    import numpy as np

    bounds = tuple(bound for bound in TRIED if bound < most(y_prob.shape[1]))
    # (bounds, samples): no bound is fitted, so that the losses of a fold are those of the whole
    losses = np.stack([sample_losses(y_true, clip(y_prob, bound)) for bound in bounds])
    samples, rng = losses.shape[1], np.random.default_rng(seed)
    held_out = []
    for _ in range(REPEATS):
        fold_of = rng.permutation(samples) % min(FOLDS, samples)
        for fold in np.unique(fold_of):
            inside = fold_of == fold
            # of a single image nothing is left to choose on
            chosen = losses[:, ~inside].sum(axis=1).argmin()
            held_out.append(losses[chosen, inside])
    return Curve(
        bounds,
        tuple(float(loss) for loss in losses.mean(axis=1)),
        float(np.concatenate(held_out).mean()),
    )


def most(n_classes: int) -> float:
    """The bound, itself not allowed, at which nothing is left of the probabilities."""
    return 1 - 1 / n_classes


def clip(y_prob: np.ndarray, bound: float) -> np.ndarray:
    """Keep probabilities away from 0 and 1, so that no confident mistake costs the competition.

    Two classes: to [bound, 1 - bound]. n classes: to [bound / (n - 1), 1 - bound], the course's
    rule. What clipping adds to a row is then taken, in proportion, from what its probabilities
    have above the lower bound. So rows sum to 1, the order within a row stays, and both bounds
    hold; plain division by the row's sum would push the smallest below theirs.

    Args:
        y_prob: array of shape (n_samples, n_classes); rows sum to 1.
        bound: c; 0 changes nothing. 0.05 costs -ln(0.95) = 0.051 on every correct image.

    Raises:
        DlError: the bound is negative, or so large that nothing would be left of the probabilities.
    """
    import numpy as np

    n_classes = y_prob.shape[1]
    if not 0 <= bound < most(n_classes):
        raise DlError(
            f"Can't clip at {bound:g}",
            why=f"for {n_classes} classes the bound is at least 0 and below {most(n_classes):g}",
            hint="Good models want 0.005 to 0.02.",
            exit_code=ExitCode.USAGE,
        )
    if bound == 0:
        return y_prob
    low = bound / (n_classes - 1)
    above = np.clip(y_prob, low, 1 - bound) - low
    room, taken = 1 - n_classes * low, above.sum(axis=1, keepdims=True)
    # nothing is above where the bound leaves no room, but for what rounding does
    share = np.divide(room, taken, out=np.zeros_like(taken), where=taken > 0)
    clipped: np.ndarray = low + above * share
    return clipped

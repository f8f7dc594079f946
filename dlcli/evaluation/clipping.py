"""Clip probabilities away from 0 and 1, to limit the log loss of confident mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlcli.errors import DlError, ExitCode
from dlcli.evaluation.metrics import sample_losses

if TYPE_CHECKING:
    import numpy as np

    from dlcli.evaluation.metrics import Ints

# The bounds to try, 0 for none; good models need 0.005 to 0.02.
TRIED = (0.0, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1)
# The course's bound. Many users try it first, so its log loss is always shown.
COURSE = 0.05
FOLDS, REPEATS = 10, 5


@dataclass(frozen=True)
class Curve:
    """Log loss by bound, on images with known classes.

    Args:
        bounds: the `TRIED` that the number of classes allows, 0 first.
        losses: the log loss at each, in nats.
        held_out: the cross-validated log loss of choosing the best bound: it is chosen on nine
            tenths of the images and measured on the rest.
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
        """The bound with the lowest log loss; the smallest of several."""
        return self.bounds[self.losses.index(min(self.losses))]

    @property
    def chosen(self) -> float:
        """The best bound, if choosing one improves the log loss on held-out images; else 0."""
        return self.best if self.held_out < self.plain else 0.0

    def at(self, bound: float) -> float:
        """The log loss at one of the bounds."""
        return self.losses[self.bounds.index(bound)]


def curve(y_true: Ints, y_prob: np.ndarray, seed: int = 0) -> Curve:
    """Compute the log loss at each bound, and the gain of choosing the best.

    Args:
        y_true: int array of shape (n_samples,).
        y_prob: array of shape (n_samples, n_classes); rows sum to 1.

    Reference:
        Stone 1974, "Cross-validatory choice and assessment of statistical predictions".
    """
    import numpy as np

    bounds = tuple(bound for bound in TRIED if bound < most(y_prob.shape[1]))
    # (bounds, samples): bounds are not fitted, so a fold's losses are a part of these
    losses = np.stack([sample_losses(y_true, clip(y_prob, bound)) for bound in bounds])
    samples, rng = losses.shape[1], np.random.default_rng(seed)
    held_out = []
    for _ in range(REPEATS):
        fold_of = rng.permutation(samples) % min(FOLDS, samples)
        for fold in np.unique(fold_of):
            inside = fold_of == fold
            # with a single image, none is left to choose on
            chosen = losses[:, ~inside].sum(axis=1).argmin()
            held_out.append(losses[chosen, inside])
    return Curve(
        bounds,
        tuple(float(loss) for loss in losses.mean(axis=1)),
        float(np.concatenate(held_out).mean()),
    )


def most(n_classes: int) -> float:
    """The exclusive upper limit of bounds, at which all probabilities would be equal."""
    return 1 - 1 / n_classes


def clip(y_prob: np.ndarray, bound: float) -> np.ndarray:
    """Clip probabilities, so that one confident mistake does not dominate the log loss.

    Two classes: to [bound, 1 - bound]. n classes: to [bound / (n - 1), 1 - bound], the course's
    rule. What clipping adds to a row is then subtracted in proportion to each probability's
    distance from the lower bound. So rows sum to 1, the order within a row stays, and both bounds
    hold. Dividing by the row's sum would push the smallest below their bound.

    Args:
        y_prob: array of shape (n_samples, n_classes); rows sum to 1.
        bound: 0 changes nothing. 0.05 costs -ln(0.95) = 0.051 on every correct image.

    Raises:
        DlError: the bound is negative, or so large that all probabilities would be equal.
    """
    import numpy as np

    n_classes = y_prob.shape[1]
    if not 0 <= bound < most(n_classes):
        raise DlError(
            f"Can't clip at {bound:g}",
            why=f"for {n_classes} classes the bound is at least 0 and below {most(n_classes):g}",
            hint="Use `--clip auto`, which chooses the bound on the validation images.",
            exit_code=ExitCode.USAGE,
        )
    if bound == 0:
        return y_prob
    low = bound / (n_classes - 1)
    above = np.clip(y_prob, low, 1 - bound) - low
    room, taken = 1 - n_classes * low, above.sum(axis=1, keepdims=True)
    # at the limit nothing is above the lower bound, except by rounding
    share = np.divide(room, taken, out=np.zeros_like(taken), where=taken > 0)
    clipped: np.ndarray = low + above * share
    return clipped

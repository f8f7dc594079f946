"""The labels of training on photos, with smoothing, mixing and weights of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlcli.training.photos.plan import PhotosPlan
from dlcli.training.photos.samples import Samples

if TYPE_CHECKING:
    import numpy as np


class Targets:
    """The labels of a split's samples, for the loss.

    Args:
        y_prob: array of shape (n_samples, n_classes), rows sum to 1: 1 for each sample's class, or
            a model's probabilities.
        labelled: how many samples have true labels; they come first; all by default.
        label_smoothing: share of each label that is spread evenly over all classes (Szegedy et al.
            2015, arXiv:1512.00567, section 7).
        mixup: alpha of the Beta distribution for mixing two samples; 0: no mixing (Zhang et al.
            2018, arXiv:1710.09412).
        weigh_classes: whether rare classes get larger weights, so that all classes have the same
            total weight among the labelled samples.
    """

    def __init__(
        self,
        y_prob: np.ndarray,
        *,
        labelled: int | None = None,
        label_smoothing: float = 0.0,
        mixup: float = 0.0,
        weigh_classes: bool = False,
    ) -> None:
        import numpy as np

        n_classes = y_prob.shape[1]
        self._weights = None
        if weigh_classes:
            share = y_prob[:labelled].mean(axis=0)
            # n / (k * n_c), as scikit-learn's `class_weight="balanced"`; 0 for a class without
            # samples
            weights = np.where(share > 0, 1 / (n_classes * np.maximum(share, 1e-12)), 0)
            self._weights = (y_prob @ weights).astype(np.float32)
        smooth = y_prob * (1 - label_smoothing) + label_smoothing / n_classes
        self._labels = smooth.astype(np.float32)
        self._mixup = mixup

    def of(
        self, x: np.ndarray, chosen: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Prepare one batch for training.

        Args:
            x: samples, (n, ...).
            chosen: their numbers, int (n,).
            rng: random numbers for mixing.

        Returns:
            samples, possibly mixed; labels (n, n_classes); weights (n,), or None.
        """
        import numpy as np

        y = self._labels[chosen]
        weights = None if self._weights is None else self._weights[chosen]
        if not self._mixup:
            return x, y, weights
        share = rng.beta(self._mixup, self._mixup, len(x)).astype(np.float32)
        other = rng.permutation(len(x))

        def mixed(values: np.ndarray) -> np.ndarray:
            shares = share.reshape(-1, *[1] * (values.ndim - 1))
            both: np.ndarray = shares * values + (1 - shares) * values[other]
            return both

        return mixed(x), mixed(y), None if weights is None else mixed(weights)


def targets_of(job: PhotosPlan, train: Samples) -> Targets:
    """The labels of the training samples, with the recipe's smoothing, mixing and weights."""
    return Targets(
        train.y_prob,
        labelled=train.labelled,
        label_smoothing=job.recipe.label_smoothing,
        mixup=job.recipe.mixup,
        weigh_classes=job.recipe.class_weights,
    )

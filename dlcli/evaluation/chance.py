"""Significance tests and intervals: Student's t, McNemar's exact test, Holm's correction.

scipy has them too, but takes a second to import; the tests compare with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dlcli.evaluation.metrics import Z_95, checked, sample_losses

if TYPE_CHECKING:
    from dlcli.evaluation.metrics import Floats, Ints

# A difference with a p-value below this counts as significant.
LEVEL = 0.05
# Bootstrap draws: each end of a 95 % interval rests on 50 of them. At most `MOST_DRAWN` images are
# drawn at a time, to limit memory.
DRAWS, MOST_DRAWN = 2000, 1 << 18
# Up to this many values are drawn one by one, as the sum of a few skewed ones is not normal.
MOST_EXACT = 64


@dataclass(frozen=True)
class Mean:
    """A mean and how far chance may move it.

    Args:
        error: its standard error; NaN for one group.
        groups: the number of independent values, or of groups of dependent ones.
    """

    value: float
    error: float
    groups: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval, by Student's t; None for one group."""
        if self.groups < 2:
            return None
        reach = t_95(self.groups - 1) * self.error
        return self.value - reach, self.value + reach

    @property
    def p(self) -> float:
        """The p-value of a mean that is 0 but for chance, by a t test; 1 for one group."""
        if self.groups < 2:
            return 1.0
        if self.error:
            return t_p(self.value / self.error, self.groups - 1)
        return 0.0 if self.value else 1.0  # 0.0: the same value in every group


def mean_of(values: Floats) -> Mean:
    """The mean of independent values, an array of shape (n_samples,)."""
    samples = len(values)
    error = float(values.std(ddof=1)) / math.sqrt(samples) if samples > 1 else math.nan
    return Mean(float(values.mean()), error, samples)


def mean_by_group(values: Floats, groups: Ints) -> Mean:
    """The mean of values that depend on each other within a group, such as a user's errors.

    Its standard error is robust to that: it rests on the sum of each group's deviations. If every
    group has one value, it is that of independent values. It takes two passes over the values.

    Args:
        values: float array of shape (n_samples,).
        groups: int array of shape (n_samples,), numbers from 0.

    Reference:
        Cameron & Miller 2015, "A practitioner's guide to cluster-robust inference", section II,
        for a regression on a constant.
    """
    import numpy as np

    mean = float(values.mean())
    used = int(np.count_nonzero(np.bincount(groups)))
    if used < 2:
        return Mean(mean, math.nan, used)
    sums = np.bincount(groups, weights=values - mean)
    error = math.sqrt(used / (used - 1) * float(sums @ sums)) / len(values)
    return Mean(mean, error, used)


@dataclass(frozen=True)
class Paired:
    """Two models' predictions for the same images, compared image by image.

    Images that are hard for one are mostly hard for the other, so the differences vary less than
    the losses themselves. That shows much smaller gains than a comparison of two means.

    Args:
        loss: mean of the second's log loss minus the first's, in nats.
        loss_interval: its 95 % interval; None for one image.
        loss_p: the p-value of that mean, by a paired t test.
        first_alone, second_alone: images that only this one predicts correctly.
        accuracy_p: the p-value of these two numbers, by McNemar's exact test.
    """

    images: int
    loss: float
    loss_interval: tuple[float, float] | None
    loss_p: float
    first_alone: int
    second_alone: int
    accuracy_p: float


def paired(y_true: Ints, first: Floats, second: Floats) -> Paired:
    """Compare two models' probabilities for the same images.

    Args:
        y_true: int array of shape (n_samples,).
        first, second: float arrays of shape (n_samples, n_classes).

    Raises:
        DlError: there are no samples, or a row can't be probabilities.

    Reference:
        Dietterich 1998, "Approximate statistical tests for comparing supervised classification
        learning algorithms".
    """
    loss = mean_of(sample_losses(y_true, second) - sample_losses(y_true, first))
    one, other = (_right(y_true, y_prob) for y_prob in (first, second))
    first_alone, second_alone = int((one & ~other).sum()), int((other & ~one).sum())
    return Paired(
        images=loss.groups,
        loss=loss.value,
        loss_interval=loss.interval,
        loss_p=loss.p,
        first_alone=first_alone,
        second_alone=second_alone,
        accuracy_p=mcnemar_p(first_alone, second_alone),
    )


def _right(y_true: Ints, y_prob: Floats) -> Ints:
    y_true, y_prob = checked(y_true, y_prob)
    right: Ints = y_prob.argmax(axis=1) == y_true
    return right


def mcnemar_p(first_alone: int, second_alone: int) -> float:
    """The p-value of McNemar's exact test, for the images that only one model predicts correctly.

    By chance each of these is of either model with probability 1/2: a two-sided binomial test.

    Reference:
        McNemar 1947, "Note on the sampling error of the difference between correlated proportions
        or percentages".
    """
    images, least = first_alone + second_alone, min(first_alone, second_alone)
    ways, tail = 1, 0
    for chosen in range(least + 1):
        tail += ways
        ways = ways * (images - chosen) // (chosen + 1)  # the next math.comb(images, chosen)
    return min(1.0, float(2 * tail / 2**images))


def t_p(t: float, freedom: int) -> float:
    """The two-sided p-value of Student's t.

    Args:
        freedom: degrees of freedom, 1 or more.

    Reference:
        Abramowitz & Stegun 1964, formulas 26.7.3 and 26.7.4: exact for whole degrees of freedom.
    """
    import numpy as np

    angle = math.atan2(abs(t), math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd, step = freedom % 2, np.arange(1, freedom // 2)
    terms = np.cumprod(cosine**2 * (2 * step - 1 + odd) / (2 * step + odd))
    inside = sine * (1 + float(terms.sum()))
    if odd:  # with one degree of freedom only the angle counts
        inside = 2 / math.pi * (angle + (inside * cosine if freedom > 1 else 0.0))
    return min(max(1 - inside, 0.0), 1.0)


@lru_cache
def t_95(freedom: int) -> float:
    """Student's t for a two-sided 95 % interval: 1.96 for many images, 3.2 for four."""
    low, high = Z_95, 12.8  # 12.706 for one degree of freedom
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if t_p(middle, freedom) > LEVEL else (low, middle)
    return high


def holm(p: Sequence[float]) -> list[float]:
    """p-values, corrected for several comparisons.

    The least is multiplied by their number, the next by one less, and so on, and none falls below
    the one before. So several comparisons together give a false positive no more often than one.

    Reference:
        Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    corrected, least = [0.0] * len(p), 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        least = max(least, min(1.0, (len(p) - rank) * p[i]))
        corrected[i] = least
    return corrected


def expected_loss_range(
    y_true: Ints, y_prob: Floats, images: int, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of the log loss on other images of the same kind.

    It is a bootstrap in two steps: first the given images are resampled, because their own mean is
    off by chance; then the other images are drawn from the sample. Correct images and mistakes are
    drawn separately, because mistakes cost most and their share is uncertain (Jeffreys prior). One
    imagined mistake, drawn by the model's own probabilities, is added to the mistakes: without a
    mistake among the given images it would be wrong to expect none.

    Args:
        y_true: int array of shape (n_samples,).
        y_prob: array of shape (n_samples, n_classes), as it is submitted.
        images: the number of other images.
        seed: of the draws.

    Returns:
        the 2.5 % and the 97.5 % point, in nats.

    Reference:
        Efron & Tibshirani 1993, "An introduction to the bootstrap", chapter 13; Brown, Cai &
        DasGupta 2001, "Interval estimation for a binomial proportion".
    """
    import numpy as np

    losses = sample_losses(y_true, y_prob)
    wrong = y_prob.argmax(axis=1) != y_true
    right, mistakes = losses[~wrong], losses[wrong]
    imagined, likely = _imagined_mistakes(y_prob)
    rng, means, some = np.random.default_rng(seed), [], max(1, MOST_DRAWN // len(losses))
    for start in range(0, DRAWS, some):
        draws = min(some, DRAWS - start)
        share = rng.beta(len(mistakes) + 0.5, len(right) + 0.5, draws)
        count = rng.binomial(images, share)
        pool = np.broadcast_to(mistakes, (draws, len(mistakes)))
        pool = np.column_stack([pool, rng.choice(imagined, draws, p=likely)])
        total = _sums(rng, _redrawn(rng, pool), count)
        if len(right):
            pool = np.broadcast_to(right, (draws, len(right)))
            total += _sums(rng, _redrawn(rng, pool), images - count)
        means.append(total / images)
    low, high = np.quantile(np.concatenate(means), (LEVEL / 2, 1 - LEVEL / 2))
    return float(low), float(high)


def _imagined_mistakes(y_prob: Floats) -> tuple[Floats, Floats]:
    """The losses of all possible mistakes, and how likely each is by the model's probabilities.

    Returns:
        losses and weights, arrays of shape (n_samples * (n_classes - 1),); the weights sum to 1.
    """
    import numpy as np

    eps = np.finfo(np.float64).eps
    others = np.sort(np.asarray(y_prob, np.float64), axis=1)[:, :-1].clip(eps).ravel()
    return -np.log(others), others / others.sum()


def _redrawn(rng: Any, pool: Floats) -> Floats:
    """Each row resampled with replacement."""
    import numpy as np

    drawn: Floats = np.take_along_axis(pool, rng.integers(pool.shape[1], size=pool.shape), axis=1)
    return drawn


def _sums(rng: Any, pool: Floats, counts: Ints) -> Floats:
    """For each row the sum of `counts` values drawn from it; for many, a normal approximation."""
    import numpy as np

    draws = len(pool)
    few = np.take_along_axis(pool, rng.integers(pool.shape[1], size=(draws, MOST_EXACT)), axis=1)
    exact = (few * (np.arange(MOST_EXACT) < counts[:, None])).sum(axis=1)
    off = np.sqrt(counts) * pool.std(axis=1) * rng.standard_normal(draws)
    sums: Floats = np.where(counts <= MOST_EXACT, exact, counts * pool.mean(axis=1) + off)
    return sums


def expected_accuracy_range(
    correct: int, samples: int, images: int, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of the accuracy on other images; see `expected_loss_range`.

    A bootstrap would not do: if all given images are correct, it would predict no mistakes at all.

    Reference:
        Brown, Cai & DasGupta 2001, "Interval estimation for a binomial proportion": the Jeffreys
        prior.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    share = rng.beta(correct + 0.5, samples - correct + 0.5, DRAWS)
    low, high = np.quantile(rng.binomial(images, share) / images, (LEVEL / 2, 1 - LEVEL / 2))
    return float(low), float(high)

"""What chance alone explains: Student's t, McNemar's exact test, Holm's correction, ranges.

Standard library and numpy; scipy would answer too, but takes a second to import: it is the tests'
oracle.
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

# Below this probability of chance a difference is held to be one.
LEVEL = 0.05
# Imagined draws of images: the ends of a range of 95 % rest on 50 of them each. So many images are
# drawn at a time, that memory stays small.
DRAWS, MOST_DRAWN = 2000, 1 << 18
# Up to so many values are drawn one by one, for the sum of a few of a skewed kind is not normal.
FEW = 64


@dataclass(frozen=True)
class Paired:
    """Two models' answers about the same images, held against each other image by image.

    What is hard for one is mostly hard for the other, so the differences spread less than either
    one's losses: far smaller gains show than by comparing two means.

    Args:
        loss: mean of the second's log loss less the first's, in nats.
        loss_interval: where that lies on such images, in 95 of 100 cases; None for one image.
        loss_p: how often chance alone gives a mean so far from 0, by a paired t test.
        first_alone, second_alone: images that one names correctly and the other does not.
        accuracy_p: how often chance alone divides them so unevenly, by McNemar's exact test.
    """

    images: int
    loss: float
    loss_interval: tuple[float, float] | None
    loss_p: float
    first_alone: int
    second_alone: int
    accuracy_p: float


def paired(y_true: Ints, first: Floats, second: Floats) -> Paired:
    """Hold two models' probabilities for the same images against each other.

    Args:
        y_true: int array of shape (n_samples,).
        first, second: float arrays of shape (n_samples, n_classes).

    Raises:
        DlError: no samples, or a row that can't be probabilities.

    Reference:
        Dietterich 1998, "Approximate statistical tests for comparing supervised classification
        learning algorithms".
    """
    differences = sample_losses(y_true, second) - sample_losses(y_true, first)
    images, mean = len(differences), float(differences.mean())
    interval, p = None, 1.0
    if images > 1:
        error = float(differences.std(ddof=1)) / math.sqrt(images)
        reach = t_95(images - 1) * error
        interval = (mean - reach, mean + reach)
        if error:
            p = t_p(mean / error, images - 1)
        elif mean:  # the same difference on every image
            p = 0.0
    one, other = (_right(y_true, y_prob) for y_prob in (first, second))
    first_alone, second_alone = int((one & ~other).sum()), int((other & ~one).sum())
    return Paired(
        images=images,
        loss=mean,
        loss_interval=interval,
        loss_p=p,
        first_alone=first_alone,
        second_alone=second_alone,
        accuracy_p=mcnemar_p(first_alone, second_alone),
    )


def _right(y_true: Ints, y_prob: Floats) -> Ints:
    y_true, y_prob = checked(y_true, y_prob)
    right: Ints = y_prob.argmax(axis=1) == y_true
    return right


def mcnemar_p(first_alone: int, second_alone: int) -> float:
    """How often chance divides the images that only one has right at least as unevenly as here.

    By chance either has each of them with probability 1/2: two sides of a binomial, exactly.

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
    """How often Student's t is at least so far from 0, on either side.

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
    if odd:  # with one degree of freedom there is the angle alone
        inside = 2 / math.pi * (angle + (inside * cosine if freedom > 1 else 0.0))
    return min(max(1 - inside, 0.0), 1.0)


@lru_cache
def t_95(freedom: int) -> float:
    """Student's t between whose two sides 95 % lie: 1.96 for many images, 3.2 for four."""
    low, high = Z_95, 12.8  # 12.706 for one degree of freedom
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if t_p(middle, freedom) > LEVEL else (low, middle)
    return high


def holm(p: Sequence[float]) -> list[float]:
    """Probabilities of chance, corrected for there being several of them.

    The least is multiplied by their number, the next by one less, and so on, none falling below
    the one before: held against a level, they name a difference that is none no more often than
    one comparison does.

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
    """Where the log loss on other images lies, in 95 of 100 cases, if they are of the same kind.

    A bootstrap in two steps, in two parts: the images that one has are drawn anew, for their own
    mean is off by chance, and then the other ones from them. Drawn apart are those that are named
    correctly and the mistakes, whose share is uncertain (the Jeffreys prior) and which cost most.
    To the mistakes that there are comes an imagined one, as likely as the model itself holds it:
    of images without a mistake it would be wrong to expect none.

    Args:
        y_true: int array of shape (n_samples,).
        y_prob: array of shape (n_samples, n_classes), as it is sent.
        images: how many others there are.

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
    """What mistakes would cost, and how likely each is, if the model's probabilities are true.

    Returns:
        losses and weights, arrays of shape (n_samples * (n_classes - 1),); the weights sum to 1.
    """
    import numpy as np

    eps = np.finfo(np.float64).eps
    others = np.sort(np.asarray(y_prob, np.float64), axis=1)[:, :-1].clip(eps).ravel()
    return -np.log(others), others / others.sum()


def _redrawn(rng: Any, pool: Floats) -> Floats:
    """Each row drawn anew from itself, with replacement."""
    import numpy as np

    drawn: Floats = np.take_along_axis(pool, rng.integers(pool.shape[1], size=pool.shape), axis=1)
    return drawn


def _sums(rng: Any, pool: Floats, counts: Ints) -> Floats:
    """For each row the sum of so many values drawn from it; the normal approximation for many."""
    import numpy as np

    draws = len(pool)
    few = np.take_along_axis(pool, rng.integers(pool.shape[1], size=(draws, FEW)), axis=1)
    exact = (few * (np.arange(FEW) < counts[:, None])).sum(axis=1)
    off = np.sqrt(counts) * pool.std(axis=1) * rng.standard_normal(draws)
    sums: Floats = np.where(counts <= FEW, exact, counts * pool.mean(axis=1) + off)
    return sums


def expected_accuracy_range(
    correct: int, samples: int, images: int, seed: int = 0
) -> tuple[float, float]:
    """Where the accuracy on other images lies, in 95 of 100 cases; see `expected_loss_range`.

    Not a bootstrap: of images that were all correct it would promise that no other is wrong.

    Reference:
        Brown, Cai & DasGupta 2001, "Interval estimation for a binomial proportion": the Jeffreys
        prior.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    share = rng.beta(correct + 0.5, samples - correct + 0.5, DRAWS)
    low, high = np.quantile(rng.binomial(images, share) / images, (LEVEL / 2, 1 - LEVEL / 2))
    return float(low), float(high)

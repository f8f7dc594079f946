"""Baselines of predicted ratings: means, and the bias model, which more than they must beat.

All are of one form: a mean, plus an offset of the user, plus an offset of the item. Users and items
without a rating have the offset 0, so that a rating of both is predicted as the mean.

Reference:
    Koren, Bell & Volinsky 2009, "Matrix factorization techniques for recommender systems",
    equation 3 (the form) and 5 (ridge).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from dlcli.evaluation.ratings import Rated, mse_of

if TYPE_CHECKING:
    import numpy as np

    from dlcli.evaluation.ratings import Floats, Ints

# Ratings that are worked on at a time: 20 million of them in float64 would take 160 MB a copy.
CHUNK = 1 << 20
# The largest change of an offset, in ratings, at which ALS stops: the MSE then changes by less than
# 1e-8. MovieLens takes 20 to 50 rounds. To compare strengths, the rough one will do.
TOLERANCE, ROUGH, MOST_ROUNDS = 1e-5, 1e-3, 500
# Strengths to choose from. A strength is the ratio of the noise's variance to that of the offsets,
# so the best one does not depend on the number of ratings: MovieLens has 4 for users and for items.
STRENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
# They are chosen on the ratings of users drawn at random until there are so many: it takes seconds.
MOST_TRIED, FOLDS = 100_000, 5
# Fewer ratings can't tell: these strengths are used.
FEWEST_TRIED, USUAL = 100, (4.0, 4.0)

BIAS_MODEL = "bias model"


@dataclass(frozen=True)
class Biases:
    """The prediction `mean + users[user] + items[item]`, where row 0 is 0.

    Args:
        mean: the mean rating.
        users, items: float64 arrays of shape (n_users + 1,) and (n_items + 1,).
        l2_users, l2_items: the strengths of the ridge; 0 for plain means.
    """

    mean: float
    users: Floats
    items: Floats
    l2_users: float = 0.0
    l2_items: float = 0.0

    def predict(self, users: Ints, items: Ints) -> Floats:
        """The predicted ratings: float64 array of shape (n_ratings,)."""
        y_pred: Floats = self.mean + self.users[users] + self.items[items]
        return y_pred


def predictions(
    train: Rated, valid: Rated, *, n_users: int, n_items: int, seed: int = 0
) -> dict[str, Floats]:
    """What each baseline predicts for `valid`, by its name, from the simplest to the bias model.

    Args:
        n_users, n_items: the highest numbers of a user and of an item.
        seed: of the strengths' choice.
    """
    fits: dict[str, Callable[..., Biases]] = {
        "global mean": global_mean,
        "item mean": item_mean,
        "user + item means": user_and_item_means,
    }
    made = {name: fit(train, n_users=n_users, n_items=n_items) for name, fit in fits.items()}
    made[BIAS_MODEL] = bias_model(train, n_users=n_users, n_items=n_items, seed=seed)
    return {name: biases.predict(valid.users, valid.items) for name, biases in made.items()}


def global_mean(train: Rated, *, n_users: int, n_items: int) -> Biases:
    """The mean rating for everything."""
    import numpy as np

    mean = float(train.values.mean(dtype=np.float64))
    return Biases(mean, np.zeros(n_users + 1), np.zeros(n_items + 1))


def item_mean(train: Rated, *, n_users: int, n_items: int) -> Biases:
    """The mean rating of each item."""
    whole = global_mean(train, n_users=n_users, n_items=n_items)
    return Biases(whole.mean, whole.users, _offsets(train.items, train, whole, n_items))


def user_and_item_means(train: Rated, *, n_users: int, n_items: int) -> Biases:
    """The mean, plus by how much the user's mean differs from it, plus the same for the item."""
    whole = global_mean(train, n_users=n_users, n_items=n_items)
    users, items = (
        _offsets(numbers, train, whole, most)
        for numbers, most in ((train.users, n_users), (train.items, n_items))
    )
    return Biases(whole.mean, users, items)


def bias_model(
    train: Rated,
    *,
    n_users: int,
    n_items: int,
    strengths: tuple[float, float] | None = None,
    seed: int = 0,
) -> Biases:
    """The bias model with ridge: both offsets fitted together, by alternating least squares.

    It minimises the sum of (rating - prediction)^2, plus l2_users times the sum of the users'
    squared offsets, plus the same of the items. An offset of few ratings so stays near 0.

    Args:
        strengths: l2_users and l2_items, above 0; if not given, chosen by cross-validation within
            `train`.
        seed: of that choice.
    """
    start = global_mean(train, n_users=n_users, n_items=n_items)
    return _fitted(train, start, strengths or best_strengths(train, seed=seed), TOLERANCE)


def best_strengths(train: Rated, *, seed: int = 0) -> tuple[float, float]:
    """The strengths with the lowest MSE in five-fold cross-validation: l2_users and l2_items.

    The users' strength is chosen first, then the items', then the users' again: they hardly depend
    on each other.
    """
    import numpy as np

    if len(train.values) < FEWEST_TRIED:
        return USUAL
    rng = np.random.default_rng(seed)
    tried = _some_users(train, rng)
    users, items = (np.unique(ids, return_inverse=True)[1] + 1 for ids in tried[:2])
    tried = Rated(users, items, tried.values)
    fold = rng.permutation(len(users)) % FOLDS
    splits = [(tried.rows(fold != n), tried.rows(fold == n)) for n in range(FOLDS)]
    means = [
        global_mean(rest, n_users=int(users.max()), n_items=int(items.max())) for rest, _ in splits
    ]

    @cache
    def mse(strengths: tuple[float, float]) -> float:
        return sum(
            mse_of(held_out, _fitted(rest, mean, strengths, ROUGH).predict(*held_out[:2])).value
            for (rest, held_out), mean in zip(splits, means, strict=True)
        )

    best = USUAL
    for place in (0, 1, 0):
        choices = [
            (strength, best[1]) if place == 0 else (best[0], strength) for strength in STRENGTHS
        ]
        best = min(choices, key=mse)
    return best


def _some_users(train: Rated, rng: np.random.Generator) -> Rated:
    """All ratings of users drawn at random, about `MOST_TRIED` in all."""
    import numpy as np

    if len(train.values) <= MOST_TRIED:
        return train
    counts = np.bincount(train.users)
    order = rng.permutation(len(counts))
    chosen = np.zeros(len(counts), bool)
    chosen[order[: 1 + int(np.searchsorted(counts[order].cumsum(), MOST_TRIED))]] = True
    return train.rows(np.flatnonzero(chosen[train.users]))


def _offsets(numbers: Ints, train: Rated, so_far: Biases, most: int) -> Floats:
    """The mean residual of each id, 0 for ids without a rating; float64 array (most + 1,)."""
    import numpy as np

    sums, counts = _sums(numbers, train, so_far, most), np.bincount(numbers, minlength=most + 1)
    sums[0] = 0
    return sums / np.maximum(counts, 1)


def _sums(numbers: Ints, train: Rated, so_far: Biases, most: int) -> Floats:
    """The sum of the residuals of each id: float64 array of shape (most + 1,)."""
    import numpy as np

    sums = np.zeros(most + 1)
    for start in range(0, len(numbers), CHUNK):
        part = slice(start, start + CHUNK)
        left = train.values[part] - so_far.predict(train.users[part], train.items[part])
        sums += np.bincount(numbers[part], weights=left, minlength=most + 1)
    return sums


def _fitted(
    train: Rated, start: Biases, strengths: tuple[float, float], tolerance: float
) -> Biases:
    """The ridge's minimum: items and users are solved in turn, each exactly, until both stay."""
    import numpy as np

    l2_users, l2_items = strengths
    biases = Biases(start.mean, start.users.copy(), start.items.copy(), l2_users, l2_items)
    sides = [
        (own, numbers, np.bincount(numbers, minlength=len(own)) + l2, l2)
        for own, numbers, l2 in (
            (biases.items, train.items, l2_items),
            (biases.users, train.users, l2_users),
        )
    ]
    for _ in range(MOST_ROUNDS):
        moved = 0.0
        for own, numbers, weight, l2 in sides:
            # the residuals, less the pull of the ridge: both are equal at the minimum
            step = (_sums(numbers, train, biases, len(own) - 1) - l2 * own) / weight
            step[0] = 0  # an unknown id
            own += step
            moved = max(moved, float(np.abs(step).max()))
        if moved < tolerance:
            break
    return biases

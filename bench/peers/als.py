"""Predict ratings by alternating least squares, in NumPy: a peer of `collab-dot`.

The residuals of the bias model are taken as the product of a vector of the user and one of the
item. While the items' vectors are held fixed, each user's is a ridge regression, which has an exact
solution; then users' are held fixed, and so on in turn.

Reference:
    Zhou, Wilkinson, Schreiber & Pan 2008, "Large-scale parallel collaborative filtering for the
    Netflix prize" (a strength that grows with the number of ratings); Hu, Koren & Volinsky 2008,
    "Collaborative filtering for implicit feedback datasets" (the alternation).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dlcli.evaluation.baselines import bias_model
from dlcli.evaluation.ratings import Rated

FACTORS, ROUNDS = 20, 14
BIAS_STRENGTHS = (3.0, 3.0)
# Of the first vectors' numbers.
SPREAD = 0.2


def predict(train: Rated, valid: Rated, *, n_users: int, n_items: int, seed: int = 0) -> NDArray:
    """Fit `train`, and predict the ratings of `valid`.

    Args:
        n_users, n_items: the highest numbers of a user and of an item.
        seed: of the items' first vectors.

    Returns:
        float64 array of shape (n_valid,), which is not held to the scale of ratings.
    """
    biases = bias_model(train, n_users=n_users, n_items=n_items, strengths=BIAS_STRENGTHS)
    residuals = train.values - biases.predict(train.users, train.items)
    users, items = factors(train, residuals, n_users=n_users, n_items=n_items, seed=seed)
    product = (users[valid.users] * items[valid.items]).sum(axis=1)
    return biases.predict(valid.users, valid.items) + product


def factors(
    train: Rated, residuals: NDArray, *, n_users: int, n_items: int, seed: int
) -> tuple[NDArray, NDArray]:
    """The vectors of users and items, arrays of shape (n_users + 1, FACTORS), and of items alike.

    They minimise the sum of (residual - user . item)^2, plus each vector's squared length times its
    strength. A user or item without a rating has the vector 0.
    """
    of_user, of_item = _rows_of(train.users, n_users), _rows_of(train.items, n_items)
    items = np.random.default_rng(seed).normal(0, SPREAD, (n_items + 1, FACTORS))
    for _ in range(ROUNDS):
        users = _solved(of_user, items, train.items, residuals, _strength_of_user)
        items = _solved(of_item, users, train.users, residuals, _strength_of_item)
    return users, items


def _strength_of_user(n_ratings: int) -> float:
    return 10 * (n_ratings / 100) ** 0.75


def _strength_of_item(n_ratings: int) -> float:
    return 10.0


def _rows_of(numbers: NDArray, most: int) -> list[NDArray]:
    """The rows of each number from 0 to `most`."""
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers, minlength=most + 1))
    return np.split(order, ends[:-1])


def _solved(
    rows_of: list[NDArray],
    other: NDArray,
    others: NDArray,
    residuals: NDArray,
    strength: Callable[[int], float],
) -> NDArray:
    """One side's vectors while those of the `other` side are held fixed.

    Args:
        rows_of: the ratings of each vector that is wanted.
        others: the number of the other side in each rating.
    """
    solved = np.zeros((len(rows_of), FACTORS))
    for number, rows in enumerate(rows_of):
        if len(rows):
            x = other[others[rows]]
            ridge = strength(len(rows)) * np.eye(FACTORS)
            solved[number] = np.linalg.solve(x.T @ x + ridge, x.T @ residuals[rows])
    return solved

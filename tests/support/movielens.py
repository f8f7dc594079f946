"""MovieLens' 100,004 ratings as arrays, and small generated ratings."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
from support.missing_tools import missing

from dlcli.evaluation.ratings import Rated


@cache
def movielens() -> Rated:
    """The course's ratings, with users and items numbered from 1."""
    folder = os.environ.get("DL_TEST_DATA")
    if not folder:
        missing("DL_TEST_DATA is not set: no real ratings to test on")
    path = Path(folder) / "movielens-small" / "ratings.csv"
    users, items, values = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(0, 1, 2)).T
    return Rated(numbered(users), numbered(items), values.astype(np.float32))


def numbered(ids: np.ndarray) -> np.ndarray:
    """Numbers from 1 in the order of the ids."""
    return (np.unique(ids, return_inverse=True)[1] + 1).astype(np.int32)


def split(rated: Rated, seed: int, share: float = 0.2) -> tuple[Rated, Rated]:
    """Train and valid, at random."""
    valid = np.random.default_rng(seed).random(len(rated.values)) < share
    return rated.rows(~valid), rated.rows(valid)


def generated(
    seed: int, ratings: int, *, users: int = 30, items: int = 20, noise: float = 0.5
) -> Rated:
    """Ratings with an offset for each user and item; some users have many, some none."""
    rng = np.random.default_rng(seed)
    of_user, of_item = rng.normal(0, 0.5, users + 1), rng.normal(0, 0.5, items + 1)
    chosen = (1 + users * rng.random(ratings) ** 2).astype(np.int32)
    rated = rng.integers(1, items + 1, ratings).astype(np.int32)
    values = 3.5 + of_user[chosen] + of_item[rated] + rng.normal(0, noise, ratings)
    return Rated(chosen, rated, values.astype(np.float32))

"""Write a CSV of generated ratings: `python -m bench.generated_ratings FILE N_RATINGS`.

As many users and items for a rating as MovieLens 20M has, some of each rated often and many seldom.
A rating is a mean and offsets of user and item, product of two vectors and noise, in half stars.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

# Ratings of a user, and of an item, on average: MovieLens 20M has 138,493 users and 26,744 items.
OF_USER, OF_ITEM = 144, 748
FACTORS = 8
CHUNK = 500_000
FIRST_SECOND, SECONDS = 1_000_000_000, 500_000_000


def write(file: Path, n_ratings: int, seed: int = 0) -> None:
    """Write userId, movieId, rating and timestamp; pairs may occur twice.

    Memory does not grow with the number of ratings.
    """
    random = np.random.default_rng(seed)
    n_users, n_items = max(2, n_ratings // OF_USER), max(2, n_ratings // OF_ITEM)
    of_user, of_item = random.normal(0, 0.4, n_users), random.normal(0, 0.5, n_items)
    users_like = random.normal(0, 0.5, (n_users, FACTORS)).astype(np.float32)
    items_like = random.normal(0, 0.5, (n_items, FACTORS)).astype(np.float32)
    with file.open("w") as out:
        out.write("userId,movieId,rating,timestamp\n")
        for start in range(0, n_ratings, CHUNK):
            n = min(CHUNK, n_ratings - start)
            # squares and fourth powers of uniform numbers: few are large, many near 0
            user = (n_users * random.random(n) ** 2).astype(np.int64)
            item = (n_items * random.random(n) ** 4).astype(np.int64)
            exact = 3.5 + of_user[user] + of_item[item] + random.normal(0, 0.8, n)
            exact += (users_like[user] * items_like[item]).sum(axis=1)
            stars = np.clip(np.round(exact * 2) / 2, 0.5, 5.0)
            time = FIRST_SECOND + random.integers(0, SECONDS, n)
            columns = (user + 1, item + 1, stars, time)
            rows = zip(*(column.tolist() for column in columns), strict=True)
            out.writelines(map("%d,%d,%.1f,%d\n".__mod__, rows))


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))

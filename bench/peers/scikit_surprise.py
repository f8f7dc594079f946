"""Predict ratings by a model of scikit-surprise: `scikit_surprise.py MODEL TRAIN VALID SEED`.

It runs in an environment of its own, with that package and `numpy<2` alone, so it imports nothing
of `dl`. TRAIN and VALID are CSVs of user, item and rating without a header. The mean squared error
and the seconds of fit and prediction are printed as JSON.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path

import surprise


def main() -> None:
    """Fit one model at default settings, and judge it."""
    name, train, valid, seed = sys.argv[1:]
    known = [rating for _, _, rating in _rows(train)]
    scale = min(known), max(known)
    reader = surprise.Reader(line_format="user item rating", sep=",", rating_scale=scale)
    ratings = surprise.Dataset.load_from_file(train, reader).build_full_trainset()
    options = {} if name == "KNNBaseline" else {"random_state": int(seed)}
    if name != "SVD":
        options["verbose"] = False
    model = getattr(surprise, name)(**options)
    judged = _rows(valid)
    begun = time.perf_counter()
    model.fit(ratings)
    squares = [(model.predict(user, item).est - rating) ** 2 for user, item, rating in judged]
    seconds = time.perf_counter() - begun
    print(json.dumps({"mse": sum(squares) / len(squares), "seconds": seconds}))


def _rows(path: str) -> list[tuple[str, str, float]]:
    with Path(path).open(newline="") as file:
        return [(user, item, float(rating)) for user, item, rating in csv.reader(file)]


if __name__ == "__main__":
    main()

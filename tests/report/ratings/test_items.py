"""Which items a model likes, and which are alike."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.movielens import generated, movielens, split

from dlcli.evaluation.baselines import bias_model
from dlcli.report.ratings import items as module
from dlcli.report.ratings.items import (
    FEWEST,
    LISTED,
    MOST_MAPPED,
    Items,
    biases_of,
    extremes,
    fewest_listed,
    map_of,
)


def made(
    counts: Sequence[int] | np.ndarray,
    biases: np.ndarray | None = None,
    vectors: np.ndarray | None = None,
) -> Items:
    """Items without titles."""
    names = [f"item {number}" for number in range(len(counts))]
    return Items(names, np.asarray(counts), np.full(len(counts), 3.0), biases, vectors)


def test_the_biases_of_a_bias_model_are_its_own_weights() -> None:
    train = generated(0, 2_000)
    model = bias_model(train, n_users=30, n_items=20)
    found = biases_of(model.predict, np.unique(train.users), 20)
    own = model.items[1:]
    np.testing.assert_allclose(found, own - own.mean(), atol=1e-12)


def test_all_items_have_the_same_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_USERS", 3)
    monkeypatch.setattr(module, "CHUNK", 7)  # two items at a time
    seen: dict[int, list[int]] = {}

    def predict(users: np.ndarray, items: np.ndarray) -> np.ndarray:
        assert len(users) <= 7
        for user, item in zip(users.tolist(), items.tolist(), strict=True):
            seen.setdefault(item, []).append(user)
        return np.zeros(len(users))

    biases_of(predict, np.arange(1, 31), 5, seed=1)
    assert list(seen) == [1, 2, 3, 4, 5]
    assert len({tuple(users) for users in seen.values()}) == 1
    assert len(set(seen[1])) == 3


def test_with_very_many_items_the_biases_have_fewer_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PAIRS", 40)
    pairs: list[int] = []

    def predict(users: np.ndarray, items: np.ndarray) -> np.ndarray:
        pairs.append(len(users))
        return np.zeros(len(users))

    biases_of(predict, np.arange(1, 10), 20)
    assert sum(pairs) == 40


def test_the_extremes_are_sorted_and_no_item_is_in_both() -> None:
    biases = np.random.default_rng(0).permutation(np.linspace(-1, 1, 100))
    lowest, highest = extremes(made(np.full(100, 9), biases))
    assert len(lowest) == len(highest) == LISTED
    assert biases[lowest].tolist() == sorted(biases)[:LISTED]
    assert biases[highest].tolist() == sorted(biases, reverse=True)[:LISTED]
    few = made([9, 9, 9], np.array([0.1, -0.2, 0.3]))
    assert extremes(few) == ([1], [2])
    assert extremes(replace(few, biases=None)) == ([], [])


def test_of_equal_biases_the_item_with_more_ratings_comes_first() -> None:
    found = extremes(made([5, 7, 6, 8], np.array([-1.0, -1.0, 1.0, 1.0])))
    assert found == ([1, 0], [3, 2])


def test_an_item_with_one_rating_is_not_the_best_if_others_have_more() -> None:
    counts = np.array([1] + [FEWEST] * 2 * LISTED)
    assert fewest_listed(counts) == FEWEST
    assert extremes(made(counts, np.linspace(2, -2, len(counts))))[1][0] == 1
    assert fewest_listed(counts - 1) == FEWEST - 1
    assert fewest_listed(np.array([1, 2, 3])) == 1


def test_the_map_has_the_items_with_the_most_ratings_and_the_widest_directions() -> None:
    rng = np.random.default_rng(0)
    n = MOST_MAPPED + 50
    counts = rng.integers(1, 1_000, n)
    vectors = rng.normal(size=(n, 6)) * (5, 3, 1, 1, 0.5, 0.5) + 10
    found = map_of(made(counts, vectors=vectors))
    assert found is not None
    assert len(found.items) == MOST_MAPPED
    assert counts[found.items].min() >= np.sort(counts)[-MOST_MAPPED]
    variances = np.linalg.eigvalsh(np.cov(vectors[found.items].T))[::-1]
    np.testing.assert_allclose(found.points.var(axis=0, ddof=1), variances[:2])
    np.testing.assert_allclose(found.shares, variances[:2] / variances.sum())
    for axis, (low, high) in enumerate(found.ends):
        along = dict(zip(found.items.tolist(), found.points[:, axis].tolist(), strict=True))
        assert along[low[0]] == min(along.values())
        assert along[high[0]] == max(along.values())
        assert max(along.values(), key=abs) > 0


def test_the_nearest_items_have_the_highest_cosine() -> None:
    vectors = np.array([[1, 0.0], [2, 0.1], [0, 1], [-1, 0], [0, 0]])
    found = map_of(made([5, 4, 3, 2, 1], vectors=vectors))
    assert found is not None
    assert found.items.tolist() == [0, 1, 2, 3, 4]
    assert found.nearest[0].tolist() == [1, 2, 4, 3]
    assert found.cosines[0].round(3).tolist() == [0.999, 0, 0, -1]
    assert found.cosines[4].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("counts", "vectors"),
    [
        ([5, 5, 5], None),
        ([5, 5, 5], np.ones((3, 1))),
        ([5, 5, 0], np.eye(3)),
        ([5, 5, 5], np.ones((3, 2))),
        ([5, 5, 5], np.array([[1, 2], [3, np.nan], [5, 6.0]])),
    ],
    ids=["no vectors", "one factor", "two items with ratings", "all the same", "not finite"],
)
def test_what_makes_no_map(counts: list[int], vectors: np.ndarray | None) -> None:
    assert map_of(made(counts, vectors=vectors)) is None


def test_three_items_on_a_line_make_a_map() -> None:
    found = map_of(made([5, 5, 5], vectors=np.array([[1.0, 0], [2, 0], [4, 0]])))
    assert found is not None
    assert found.shares == pytest.approx((1, 0))
    assert np.isfinite(found.points).all()


def test_films_that_are_known_as_the_worst_are_among_the_lowest() -> None:
    train, _ = split(movielens(), 0)
    n_items = int(train.items.max())
    sizes = {"n_users": int(train.users.max()), "n_items": n_items}
    model = bias_model(train, **sizes, strengths=(4.0, 4.0))
    counts = np.bincount(train.items, minlength=n_items + 1)[1:]
    biases = biases_of(model.predict, np.unique(train.users), n_items)
    folder = Path(os.environ["DL_TEST_DATA"], "movielens-small")
    ids = np.unique(np.loadtxt(folder / "ratings.csv", delimiter=",", skiprows=1, usecols=1))
    with (folder / "movies.csv").open(encoding="utf-8", newline="") as file:
        titles = {row["movieId"]: row["title"] for row in csv.DictReader(file)}
    names = [titles[f"{number:.0f}"] for number in ids[:n_items]]
    lowest, _ = extremes(Items(names, counts, biases, biases))
    films = ("Battlefield Earth", "Spice World", "Police Academy 4")
    assert sum(names[row].startswith(films) for row in lowest) >= 2

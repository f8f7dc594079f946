"""Baselines of ratings, held against scikit-learn and MovieLens."""

from __future__ import annotations

import numpy as np
import pytest
from support.movielens import generated, movielens, split

from dlcli.evaluation import baselines
from dlcli.evaluation.baselines import (
    best_strengths,
    bias_model,
    global_mean,
    item_mean,
    predictions,
    user_and_item_means,
)
from dlcli.evaluation.ratings import Rated, mse_of

SIZES = {"n_users": 40, "n_items": 25}  # some ids have no rating


def test_means_are_those_of_the_ratings() -> None:
    train = Rated(np.array([1, 1, 2]), np.array([1, 2, 2]), np.array([2.0, 3.0, 4.0]))
    sizes = {"n_users": 3, "n_items": 3}
    users, items = np.array([1, 2, 3, 0, 1]), np.array([1, 2, 1, 0, 3])
    predicted = [
        fit(train, **sizes).predict(users, items).tolist()
        for fit in (global_mean, item_mean, user_and_item_means)
    ]
    assert predicted == [[3, 3, 3, 3, 3], [2, 3.5, 2, 3, 3], [1.5, 4.5, 2, 3, 2.5]]


@pytest.mark.parametrize("strengths", [(1.0, 1.0), (5.0, 2.0), (0.1, 30.0)])
def test_the_bias_model_is_the_ridge_of_scikit_learn(strengths: tuple[float, float]) -> None:
    from sklearn.linear_model import Ridge

    train = generated(0, 400)
    # a column for each id, scaled so that one ridge of strength 1 is one of two strengths
    columns = np.zeros((400, 30 + 20))
    columns[np.arange(400), train.users - 1] = strengths[0] ** -0.5
    columns[np.arange(400), 30 + train.items - 1] = strengths[1] ** -0.5
    target = train.values - train.values.mean(dtype=float)
    oracle = Ridge(alpha=1, fit_intercept=False, tol=1e-12).fit(columns, target)
    found = bias_model(train, **SIZES, strengths=strengths)
    scale = np.repeat(np.array(strengths) ** -0.5, [30, 20])
    expected = oracle.coef_ * scale
    assert found.users[1:31] == pytest.approx(expected[:30], abs=1e-3)
    assert found.items[1:21] == pytest.approx(expected[30:], abs=1e-3)
    assert (found.l2_users, found.l2_items) == strengths


def test_ids_without_a_rating_have_no_offset() -> None:
    train = generated(0, 200)
    train = train._replace(users=np.where(train.users == 3, 0, train.users))
    for fit in (item_mean, user_and_item_means, bias_model):
        found = fit(train, **SIZES)
        assert found.users[0] == found.items[0] == found.users[35] == found.items[22] == 0


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    train, valid = split(generated(0, 300), 0)
    whole = predictions(train, valid, **SIZES)
    monkeypatch.setattr(baselines, "CHUNK", 64)
    for name, y_pred in predictions(train, valid, **SIZES).items():
        assert y_pred == pytest.approx(whole[name])


def test_the_strengths_are_the_same_for_the_same_seed() -> None:
    train = generated(0, 1000)
    assert best_strengths(train, seed=1) == best_strengths(train, seed=1)


def test_noisier_ratings_ask_for_more_strength() -> None:
    calm, noisy = (generated(0, 2000, users=100, noise=noise) for noise in (0.2, 1.5))
    assert min(best_strengths(noisy)) > max(best_strengths(calm))


def test_few_ratings_get_the_usual_strengths() -> None:
    assert best_strengths(generated(0, 20)) == (4, 4)


def test_strengths_are_chosen_on_some_users_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    train = generated(0, 4000, users=400)
    monkeypatch.setattr(baselines, "MOST_TRIED", 500)
    assert best_strengths(train) == best_strengths(train)


@pytest.mark.slow
def test_on_movielens_each_baseline_is_better_than_the_one_before() -> None:
    rated = movielens()
    sizes = {"n_users": int(rated.users.max()), "n_items": int(rated.items.max())}
    train, valid = split(rated, 0)
    errors = [mse_of(valid, y_pred).value for y_pred in predictions(train, valid, **sizes).values()]
    assert errors == sorted(errors, reverse=True)
    assert errors == pytest.approx([1.124, 1.014, 0.875, 0.793], abs=0.002)
    other = [
        mse_of(valid, bias_model(train, **sizes, strengths=(4.0, 2.0)).predict(*valid[:2])).value
        for train, valid in (split(rated, seed) for seed in (1, 2, 3))
    ]
    assert all(0.76 < mse < 0.80 for mse in other)

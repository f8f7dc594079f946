"""Errors of ratings: what they are, how sure, and where they are large."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy
from support.movielens import generated, split

from dlcli.errors import DlError
from dlcli.evaluation.chance import mean_by_group, mean_of
from dlcli.evaluation.ratings import Rated, by_count, evaluate, mse_of, paired_errors, residuals
from dlcli.evaluation.ratings import verdict as sentences
from dlcli.words import NBSP


def predicted(valid: Rated, seed: int, noise: float = 0.3) -> np.ndarray:
    """Predictions that are off by so much."""
    off = np.random.default_rng(seed).normal(0, noise, len(valid.values))
    return (valid.values + off).astype(np.float32)


def verdict(*given: object) -> str:
    return " ".join(sentences(evaluate(*given))).replace(NBSP, " ")  # type: ignore[arg-type]


def test_the_errors_are_those_of_scikit_learn() -> None:
    from sklearn import metrics

    train, valid = split(generated(0, 500), 0)
    y_pred = predicted(valid, 0)
    found = evaluate(train, valid, y_pred, {})
    assert found["mse"] == pytest.approx(metrics.mean_squared_error(valid.values, y_pred))
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(valid.values, y_pred))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(valid.values, y_pred))
    low, high = found["mse_interval_95"]
    assert found["rmse_interval_95"] == pytest.approx([low**0.5, high**0.5])


def test_users_of_one_rating_each_give_students_interval() -> None:
    values = np.random.default_rng(0).gamma(2, 1, 40)
    alone, plain = mean_by_group(values, np.arange(40)), mean_of(values)
    oracle = scipy.stats.ttest_1samp(values, 0)
    assert alone.interval == pytest.approx(plain.interval)
    assert alone.interval == pytest.approx(tuple(oracle.confidence_interval()))
    assert alone.p == pytest.approx(oracle.pvalue)


def test_users_of_equally_many_ratings_count_as_their_means() -> None:
    values = np.random.default_rng(0).normal(0.2, 1, (12, 5))
    found = mean_by_group(values.ravel(), np.repeat(np.arange(12), 5))
    oracle = scipy.stats.ttest_1samp(values.mean(axis=1), 0)
    assert found.interval == pytest.approx(tuple(oracle.confidence_interval()))
    assert found.p == pytest.approx(oracle.pvalue)


def test_the_standard_error_is_that_of_a_bootstrap_over_users() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 40, 300)
    users = np.repeat(np.arange(300), sizes)
    values = rng.normal(0, 1, 300)[users] + rng.normal(0, 1, len(users))
    sums, drawn = np.bincount(users, values), rng.integers(0, 300, (4000, 300))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    assert mean_by_group(values, users).error == pytest.approx(means.std(), rel=0.05)
    assert mean_by_group(values, users).error > 2 * mean_of(values).error


def test_about_95_of_100_intervals_hold_the_true_error() -> None:
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        users = np.repeat(np.arange(100), rng.integers(1, 30, 100))
        spread = rng.gamma(4, 0.25, 100)[users]  # some users are hard to predict
        valid = Rated(users, users, np.zeros(len(users)))
        interval = mse_of(valid, spread * rng.normal(0, 1, len(users))).interval
        assert interval is not None
        inside += interval[0] <= 1.25 <= interval[1]  # E[spread^2] = 1 + 0.25
    assert 180 <= inside <= 198


def test_one_user_has_no_interval() -> None:
    valid = Rated(np.ones(5, int), np.arange(1, 6), np.arange(5.0))
    found = evaluate(valid, valid, np.full(5, 2.0), {"mean": np.full(5, 2.5)})
    assert found["mse"] == 2
    assert found["mse_interval_95"] is found["rmse_interval_95"] is None
    assert found["baselines"]["mean"]["mse_less_interval_95"] is None
    assert "One user is too few" in " ".join(sentences(found))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_prediction_that_is_no_number_is_named(bad: float) -> None:
    _, valid = split(generated(0, 50), 0)
    y_pred = predicted(valid, 0)
    y_pred[3] = bad
    with pytest.raises(DlError, match="prediction for rating 4 is not a number"):
        residuals(valid, y_pred)


def test_no_ratings_are_refused() -> None:
    none = generated(0, 10).rows(slice(0))
    with pytest.raises(DlError, match="no ratings to evaluate"):
        residuals(none, np.zeros(0))


def test_predictions_of_another_number_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="expected predictions of shape"):
        residuals(generated(0, 10), np.zeros(9))


def test_either_of_two_models_may_be_the_first() -> None:
    valid = generated(1, 300)
    one, other = predicted(valid, 0), predicted(valid, 1, 0.4)
    there, back = paired_errors(valid, one, other), paired_errors(valid, other, one)
    assert there.mse == -back.mse > 0
    assert there.mse_p == back.mse_p < 0.05
    assert there.mse_interval is not None and back.mse_interval is not None
    assert there.mse_interval == (-back.mse_interval[1], -back.mse_interval[0])
    same = paired_errors(valid, one, one)
    assert (same.mse, same.mse_interval, same.mse_p) == (0, (0, 0), 1)


def test_models_that_differ_by_chance_are_told_apart_once_in_twenty() -> None:
    valid, told = generated(2, 300), 0
    for seed in range(200):
        told += (
            paired_errors(valid, predicted(valid, 2 * seed), predicted(valid, 2 * seed + 1)).mse_p
            < 0.05
        )
    assert told <= 20


def test_ids_that_train_lacks_are_counted_and_come_first() -> None:
    train = Rated(np.array([1, 1, 2]), np.array([1, 2, 1]), np.array([3.0, 4.0, 5.0]))
    valid = Rated(np.array([1, 3, 2, 0]), np.array([3, 1, 2, 1]), np.array([3.0, 4.0, 5.0, 1.0]))
    found = evaluate(train, valid, np.array([3.0, 3.0, 5.0, 1.0]), {})
    assert found["unseen"] == {"users": 2, "items": 1, "ratings": 3}
    first = found["by_user_activity"][0]
    assert (first["from"], first["to"], first["ids"], first["ratings"]) == (0, 0, 2, 2)
    assert first["mse"] == 0.5


def test_groups_hold_every_rating_once_and_about_equally_many() -> None:
    rng = np.random.default_rng(0)
    counts, numbers = rng.integers(1, 1000, 5000), rng.integers(1, 50, 5000)
    errors = rng.normal(0, 1, 5000)
    groups = by_count(errors, counts, numbers, numbers)
    assert len(groups) == 5
    assert [group["ratings"] for group in groups] == pytest.approx([1000] * 5, abs=20)
    assert all(one["to"] < other["from"] for one, other in pairwise(groups))
    whole = sum(group["mse"] * group["ratings"] for group in groups) / 5000
    assert whole == pytest.approx((errors**2).mean())


def test_equal_counts_stay_in_one_group() -> None:
    ones = np.ones(50, int)
    (group,) = by_count(np.zeros(50), 7 * ones, ones, ones)
    assert (group["from"], group["to"], group["ids"], group["ratings"]) == (7, 7, 1, 50)


def test_the_summary_says_how_residuals_are_distributed() -> None:
    train, valid = split(generated(0, 2000), 0)
    valid = valid._replace(values=np.round(valid.values))
    found = evaluate(train, valid, valid.values - 0.25, {})["residuals"]
    assert found["mean"] == pytest.approx(0.25)
    assert found["deviation"] == pytest.approx(0)
    assert sum(found["histogram"]["counts"]) == len(valid.values)
    assert len(found["histogram"]["edges"]) == len(found["histogram"]["counts"]) + 1
    assert [row[1] for row in found["by_rating"]] == np.unique(valid.values, return_counts=True)[
        1
    ].tolist()


def test_the_verdict_compares_with_the_best_baseline() -> None:
    train, valid = split(generated(0, 3000), 0)
    worse, worst = predicted(valid, 1, 0.5), predicted(valid, 2, 1)
    text = verdict(train, valid, predicted(valid, 0), {"global mean": worst, "bias model": worse})
    assert "The best baseline is the bias model, with an MSE of 0." in text
    assert " % lower, 0." in text
    assert "of no use" in verdict(train, valid, worst, {"bias model": worse})
    text = verdict(train, valid, predicted(valid, 0), {"bias model": predicted(valid, 3)})
    assert text.endswith("the difference may be chance.")


def test_the_verdict_names_who_is_hard_to_predict_and_an_offset() -> None:
    train, valid = split(generated(0, 3000), 0)
    counts = np.bincount(train.users, minlength=40)[valid.users]
    rare = counts <= np.quantile(counts, 0.2)
    text = verdict(train, valid, valid.values + np.where(rare, 2, 0.1), {})
    assert "The error is largest for users with " in text
    assert " too high on average." in text


def test_metrics_are_plain_values() -> None:
    import yaml

    train, valid = split(generated(0, 300), 0)
    found = evaluate(train, valid, predicted(valid, 0), {"mean": predicted(valid, 1)})
    assert yaml.safe_load(yaml.safe_dump(found)) == found

"""Errors of predicted ratings: MSE, RMSE and MAE with intervals, and where errors are large.

Errors of one user depend on each other: a user who is hard to predict is so in all ratings. So each
interval and test here takes users, not ratings, as independent: `chance.mean_by_group`. The
interval is that of other users who rate the same items.

Everywhere users and items are int arrays of shape (n_ratings,), numbers of ids; 0 is an unknown id.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from dlcli.errors import DlError
from dlcli.evaluation.chance import LEVEL, Mean, mean_by_group
from dlcli.words import count, percent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.integer]
    Floats = NDArray[np.floating]

# Groups of about as many ratings each, by the activity of their users, or the popularity of items.
BINS = 5
# The residuals' distribution at these shares, and in so many bars.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BARS = 40


class Rated(NamedTuple):
    """Ratings: arrays of shape (n_ratings,), which may be memory-mapped.

    users, items: numbers of ids from 1; 0 is an unknown id.
    values: the ratings.
    """

    users: Ints
    items: Ints
    values: Floats

    def rows(self, chosen: Any) -> Rated:
        """Some of the ratings, by a mask, a slice or the numbers of rows."""
        return Rated(self.users[chosen], self.items[chosen], self.values[chosen])


@dataclass(frozen=True)
class PairedErrors:
    """Two models' predictions of the same ratings, compared rating by rating.

    Args:
        ratings, users: how many were compared.
        mse: mean of the second's squared error minus the first's.
        mse_interval: its 95 % interval; None for one user.
        mse_p: the p-value of that mean, by a t test with users as independent.
    """

    ratings: int
    users: int
    mse: float
    mse_interval: tuple[float, float] | None
    mse_p: float


def paired_errors(valid: Rated, first: Floats, second: Floats) -> PairedErrors:
    """Compare two models' predictions of the same ratings.

    Ratings that are hard for one model are mostly hard for the other, so the differences vary less
    than the errors themselves.

    Args:
        first, second: the predicted ratings, float arrays of shape (n_ratings,).

    Raises:
        DlError: there are no ratings, or a prediction is not a finite number.
    """
    mean = mean_by_group(residuals(valid, second) ** 2 - residuals(valid, first) ** 2, valid.users)
    return PairedErrors(
        ratings=len(valid.values),
        users=mean.groups,
        mse=mean.value,
        mse_interval=mean.interval,
        mse_p=mean.p,
    )


def residuals(valid: Rated, y_pred: Floats) -> Floats:
    """Rating minus prediction, in float64: above 0 if the prediction is too low.

    Raises:
        DlError: there are no ratings, or a prediction is not a finite number.
        ValueError: the shapes do not match.
    """
    import numpy as np

    y_true, y_pred = np.asarray(valid.values, np.float64), np.asarray(y_pred, np.float64)
    if y_true.ndim != 1 or y_true.shape != y_pred.shape:
        raise ValueError(f"expected predictions of shape {y_true.shape}, received {y_pred.shape}")
    if not len(y_true):
        raise DlError("There are no ratings to evaluate on", hint="Make a split: `dl data split`.")
    finite = np.isfinite(y_pred)
    if not finite.all():
        row = int(finite.argmin())
        raise DlError(
            f"The prediction for rating {row + 1:,} is not a number",
            why=f"expected a finite number, found {y_pred[row]}",
            hint="The training may have diverged: train again with a lower learning rate.",
        )
    return y_true - y_pred


def mse_of(valid: Rated, y_pred: Floats) -> Mean:
    """The mean squared error, with its standard error.

    Raises:
        DlError: there are no ratings, or a prediction is not a finite number.
    """
    return mean_by_group(residuals(valid, y_pred) ** 2, valid.users)


def _different(numbers: Ints) -> int:
    """How many different numbers there are."""
    import numpy as np

    return int(np.count_nonzero(np.bincount(numbers)))


def evaluate(
    train: Rated, valid: Rated, y_pred: Floats, baselines: Mapping[str, Floats]
) -> dict[str, Any]:
    """All metrics of a run's predicted ratings, ready for `metrics.yaml`.

    Args:
        train: the ratings that the model learned from.
        valid: the ratings to predict.
        y_pred: the predictions, float array of shape (n_ratings,).
        baselines: predictions of simpler models by name: `baselines.predictions`.

    Returns:
        plain Python numbers under these keys; an interval is [low, high], or None for one user:
            ratings, users, items: counts.
            mse, rmse, mae: with mse_interval_95 and so on. The ends of RMSE's are the roots of
                those of MSE's.
            unseen: users and items that `train` lacks, and ratings of either.
            baselines: {name: {mse, rmse, mae, mse_less, mse_less_interval_95, p}}: mse_less is
                the baseline's MSE minus the model's, p its p-value.
            residuals: see `summary`.
            by_user_activity, by_item_popularity: see `by_count`.

    Raises:
        DlError: there are no ratings, or a prediction is not a finite number.
        ValueError: the shapes do not match.
    """
    errors = residuals(valid, y_pred)
    counts = {
        "users": _counts(train.users, valid.users),
        "items": _counts(train.items, valid.items),
    }
    lacks = {name: count == 0 for name, count in counts.items()}
    numbers = {"users": valid.users, "items": valid.items}
    return {
        "ratings": len(errors),
        **{name: _different(ids) for name, ids in numbers.items()},
        **_scores(errors, valid.users),
        "unseen": {
            **{name: _different(ids[lacks[name]]) for name, ids in numbers.items()},
            "ratings": int((lacks["users"] | lacks["items"]).sum()),
        },
        "baselines": {name: _beside(valid, y_pred, other) for name, other in baselines.items()},
        "residuals": summary(errors, valid),
        "by_user_activity": by_count(errors, counts["users"], valid.users, valid.users),
        "by_item_popularity": by_count(errors, counts["items"], valid.items, valid.users),
    }


def _scores(errors: Floats, users: Ints) -> dict[str, Any]:
    """MSE, RMSE and MAE with their intervals."""
    import numpy as np

    mse, mae = mean_by_group(errors**2, users), mean_by_group(np.abs(errors), users)
    squared = _interval(mse, least=0)
    return {
        "mse": mse.value,
        "mse_interval_95": squared,
        "rmse": math.sqrt(mse.value),
        "rmse_interval_95": [math.sqrt(end) for end in squared] if squared else None,
        "mae": mae.value,
        "mae_interval_95": _interval(mae, least=0),
    }


def _interval(mean: Mean, least: float = -math.inf) -> list[float] | None:
    """The 95 % interval as a list, within what is possible."""
    return [max(end, least) for end in mean.interval] if mean.interval else None


def _beside(valid: Rated, y_pred: Floats, baseline: Floats) -> dict[str, Any]:
    """A baseline's errors, and how much lower the model's MSE is."""
    scores = _scores(residuals(valid, baseline), valid.users)
    less = paired_errors(valid, y_pred, baseline)
    return {
        **{name: scores[name] for name in ("mse", "rmse", "mae")},
        "mse_less": less.mse,
        "mse_less_interval_95": list(less.mse_interval) if less.mse_interval else None,
        "p": less.mse_p,
    }


def _counts(train: Ints, valid: Ints) -> Ints:
    """How many ratings of `train` each of `valid`'s ids has: int array of valid's shape.

    An unknown id, 0, has none.
    """
    import numpy as np

    known = np.bincount(train, minlength=int(valid.max()) + 1)
    known[0] = 0
    return known[valid]


def summary(errors: Floats, valid: Rated) -> dict[str, Any]:
    """How the residuals are distributed.

    Args:
        errors: what `residuals` returns.

    Returns:
        plain Python numbers under these keys:
            mean, mean_interval_95: above 0 if predictions are too low on average.
            deviation: their standard deviation.
            quantiles: [[share, residual], ...].
            histogram: {edges, counts}, of 40 bars from the 0.1 % to the 99.9 % point; the first
                and the last bar hold what lies beyond.
            by_rating: [[rating, count, mean residual], ...] for each value, if there are at most
                40. A model that is unsure predicts near the mean, so low ratings have negative
                residuals and high ones positive.
    """
    import numpy as np

    mean = mean_by_group(errors, valid.users)
    low, high = np.quantile(errors, (0.001, 0.999))
    bars, edges = np.histogram(errors.clip(low, high), bins=BARS)
    values, which = np.unique(valid.values, return_inverse=True)
    by_rating: list[list[float]] = []
    if len(values) <= BARS:
        counts = np.bincount(which)
        means = np.bincount(which, weights=errors) / counts
        by_rating = [
            [float(value), int(times), float(off)]
            for value, times, off in zip(values, counts, means, strict=True)
        ]
    return {
        "mean": mean.value,
        "mean_interval_95": _interval(mean),
        "deviation": float(errors.std()),
        "quantiles": [[share, float(np.quantile(errors, share))] for share in QUANTILES],
        "histogram": {"edges": edges.tolist(), "counts": bars.tolist()},
        "by_rating": by_rating,
    }


def by_count(errors: Floats, counts: Ints, numbers: Ints, users: Ints) -> list[dict[str, Any]]:
    """The error by how many ratings of `train` a user or an item has.

    Ids that `train` lacks come first, then up to five groups, of about as many ratings each.

    Args:
        errors: what `residuals` returns.
        counts: for each rating the number of `train`'s ratings of its user, or of its item.
        numbers: the number of that user or item.
        users: the number of each rating's user.

    Returns:
        for each group that occurs: `from` and `to`, its least and highest count; `ids` and
        `ratings`, how many there are; mse, mse_interval_95, and `mean`, that of the residuals.
    """
    import numpy as np

    seen = np.sort(counts[counts > 0])
    # the highest count of each group; equal counts stay together
    shares = [len(seen) * group // BINS - 1 for group in range(1, BINS)] if len(seen) else []
    groups = np.searchsorted([0, *np.unique(seen[shares])], counts)
    found = []
    for group in np.unique(groups):
        chosen = groups == group
        squared = mean_by_group(errors[chosen] ** 2, users[chosen])
        found.append(
            {
                "from": int(counts[chosen].min()),
                "to": int(counts[chosen].max()),
                "ids": _different(numbers[chosen]),
                "ratings": int(chosen.sum()),
                "mse": squared.value,
                "mse_interval_95": _interval(squared, least=0),
                "mean": float(errors[chosen].mean()),
            }
        )
    return found


def gain_over(baseline: Mapping[str, Any]) -> float:
    """By which share of a baseline's MSE the model's is lower; 0 if the baseline has no error.

    Args:
        baseline: one of those that `evaluate` returns.
    """
    return float(baseline["mse_less"] / baseline["mse"]) if baseline["mse"] else 0.0


def verdict(metrics: Mapping[str, Any]) -> list[str]:
    """The main numbers as sentences.

    Args:
        metrics: what `evaluate` returns; with `ranking`, what `ranking.evaluate` returns.
    """
    sentences = [_of_errors(metrics)]
    if metrics["baselines"]:
        sentences.append(_of_best_baseline(metrics["baselines"], metrics["mse"]))
    unseen = metrics["unseen"]
    if unseen["ratings"]:
        share = percent(unseen["ratings"] / metrics["ratings"])
        sentences.append(
            f"{share} of the validation ratings are of a user or an item without a rating in "
            f"train ({count(unseen['users'], 'user')}, {count(unseen['items'], 'item')}): the "
            "model knows nothing of these."
        )
    sentences += _of_groups(metrics)
    interval, mean = metrics["residuals"]["mean_interval_95"], metrics["residuals"]["mean"]
    # a twentieth of the errors' deviation costs 0.25 % of the MSE
    if interval and interval[0] * interval[1] > 0 and abs(mean) > metrics["rmse"] / 20:
        off = "low" if mean > 0 else "high"
        sentences.append(f"The predictions are {abs(mean):.3f} too {off} on average.")
    if ranking := metrics.get("ranking"):
        sentences.append(_of_ranking(ranking))
    return sentences


def _of_errors(metrics: Mapping[str, Any]) -> str:
    """The errors, and what to expect of them."""
    of = f"{count(metrics['ratings'], 'validation rating')} by {count(metrics['users'], 'user')}"
    errors = f"The RMSE is {metrics['rmse']:.4f} and the MAE {metrics['mae']:.4f} on {of}."
    if metrics["rmse_interval_95"] is None:
        return f"{errors} One user is too few to tell what to expect of others."
    low, high = metrics["rmse_interval_95"]
    return f"{errors} Expect an RMSE of {low:.4f} to {high:.4f} for other users of the same kind."


def _of_best_baseline(baselines: Mapping[str, Any], mse: float) -> str:
    """How the model compares with the best of the baselines."""
    name, best = min(baselines.items(), key=lambda item: float(item[1]["mse"]))
    its = f"The best baseline is the {name}, with an MSE of {best['mse']:.4f}"
    less, share = best["mse_less"], percent(abs(gain_over(best)))
    if best["p"] >= LEVEL:
        return f"{its}, the model {mse:.4f}: the difference may be chance."
    if less > 0:
        return f"{its}. The model's is {share} lower, {mse:.4f}."
    return f"{its}. The model's is {share} higher, {mse:.4f}: it is of no use yet."


def _of_groups(metrics: Mapping[str, Any]) -> list[str]:
    """Which users and which items have far larger errors than the whole, if any."""
    sentences = []
    for key, noun in (("by_user_activity", "users"), ("by_item_popularity", "items")):
        groups = [group for group in metrics[key] if group["mse_interval_95"]]
        worst = max(groups, key=lambda group: float(group["mse"]), default=None)
        if worst and worst["mse_interval_95"][0] > metrics["mse"]:
            sentences.append(
                f"The error is largest for {noun} with {_range(worst)} in train: an MSE of "
                f"{worst['mse']:.4f}."
            )
    return sentences


def _range(group: Mapping[str, Any]) -> str:
    if group["from"] == group["to"]:
        return count(group["to"], "rating") if group["to"] else "no rating"
    return f"{group['from']:,} to {group['to']:,} ratings"


def _of_ranking(ranking: Mapping[str, Any]) -> str:
    """How good the lists are, beside those of the most popular items."""
    k, popular = ranking["k"], ranking["popularity"]
    lists = (
        f"Of the items that a user rated {ranking['relevant_from']:g} or higher in valid, the "
        f"{k} best of the model's list contain {percent(ranking['recall'])}, the {k} most popular "
        f"items {percent(popular['recall'])}"
    )
    if ranking["p"] >= LEVEL:
        return f"{lists}: the difference of the lists may be chance."
    if ranking["ndcg"] > popular["ndcg"]:
        return f"{lists}."
    return f"{lists}. Low errors of ratings do not make good lists."

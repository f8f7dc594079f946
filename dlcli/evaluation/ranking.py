"""How good a model's lists are: recall@k, NDCG@k and coverage, beside the most popular items.

For each user, all items that `train` has are ranked by score, but for those that the user rated in
`train`. Relevant are the items that the user rated high in `valid`. Relevant items that `train`
lacks can't be in a list, and count as missed.

The figures say how many of the items that a user chose to rate are found. Good items that the user
never rated count as wrong, so they compare lists with each other and are low for all of them.

Reference:
    Herlocker, Konstan, Terveen & Riedl 2004, "Evaluating collaborative filtering recommender
    systems": 4 and 5 of 5 stars as relevant. Cremonesi, Koren & Turrin 2010, "Performance of
    recommender algorithms on top-N recommendation tasks": models with low RMSE against the most
    popular items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from dlcli.errors import DlError
from dlcli.evaluation.chance import Mean, mean_of

if TYPE_CHECKING:
    from dlcli.evaluation.ratings import Floats, Ints, Rated

    # numbers of users, int array (n,) -> scores of items 1 to n_items, float array (n, n_items)
    Score = Callable[[Ints], Floats]

# Scores at a time: with what ranks them they take some 60 MB.
CHUNK = 1 << 22
# Users to rank for, drawn at random if there are more: an interval of 1 % of the recall.
MOST_USERS = 10_000


class Lists(NamedTuple):
    """The best items of each user.

    users: int array of shape (n_users,), in rising order.
    items: int array of shape (n_users, k), the best first; 0 where no item is left.
    """

    users: Ints
    items: Ints


def relevant_from(least: float, most: float) -> float:
    """The rating from which on an item is relevant: the upper quarter of the scale.

    So it is 4 of 1 to 5 stars.
    """
    return most - (most - least) / 4


def top(score: Score, train: Rated, users: Ints, *, n_items: int, k: int) -> Lists:
    """The k items with the highest scores for each user, without those rated in `train`.

    Items of equal score come in the order of their numbers. Items that `train` lacks are left out:
    a model knows nothing of them. At most 4 million scores are held at a time, or one user's.

    Args:
        score: called with some of the users.
        users: numbers of different users, in rising order.

    Raises:
        DlError: a score is not a finite number.
    """
    import numpy as np

    k = min(k, n_items)
    known = np.bincount(train.items, minlength=n_items + 1)[1:] > 0
    wanted = np.zeros(max(int(train.users.max()), int(users.max())) + 1, bool)
    wanted[users] = True
    of_these = np.flatnonzero(wanted[train.users])
    of_these = of_these[train.items[of_these] > 0]
    of_these = of_these[np.argsort(train.users[of_these], kind="stable")]
    by_user = train.users[of_these]
    items = np.zeros((len(users), k), np.int64)
    step = max(1, CHUNK // n_items)
    for start in range(0, len(users), step):
        some = users[start : start + step]
        scores = np.array(score(some), np.float32)
        if scores.shape != (len(some), n_items):
            raise ValueError(
                f"expected scores of shape {(len(some), n_items)}, received {scores.shape}"
            )
        if not np.isfinite(scores).all():
            raise DlError(
                "The model's scores are not all finite numbers",
                hint="The training may have diverged: train again with a lower learning rate.",
            )
        scores[:, ~known] = -np.inf
        ends = np.searchsorted(by_user, [some[0], some[-1] + 1])
        rated = of_these[slice(*ends)]
        scores[np.searchsorted(some, train.users[rated]), train.items[rated] - 1] = -np.inf
        items[start : start + step] = _best(scores, k)
    return Lists(users, items)


def _best(scores: Floats, k: int) -> Ints:
    """The numbers of the k best items of each row, ties in their order; 0 for one of -inf.

    Args:
        scores: float array of shape (n, n_items), not NaN.
    """
    import numpy as np

    rows, n_items = scores.shape
    least = np.partition(scores, n_items - k, axis=1)[:, n_items - k, None]
    above, equal = scores > least, scores == least
    # of the items that are equal to the least one, the first ones that fit
    chosen = above | (
        equal & (equal.cumsum(axis=1, dtype=np.int32) <= k - above.sum(axis=1, keepdims=True))
    )
    best = np.nonzero(chosen)[1].reshape(rows, k)
    found = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    numbers: Ints = np.where(np.isneginf(found), 0, best + 1)
    return np.take_along_axis(numbers, order, axis=1)


def popularity(train: Rated, *, n_items: int) -> Score:
    """Score items by their number of ratings in `train`, the same for every user."""
    import numpy as np

    counts = np.bincount(train.items, minlength=n_items + 1)[1:].astype(np.float32)
    return lambda users: np.broadcast_to(counts, (len(users), n_items))


def evaluate(
    score: Score,
    train: Rated,
    valid: Rated,
    *,
    n_items: int,
    least: float,
    k: int = 10,
    seed: int = 0,
) -> dict[str, Any]:
    """The lists of a model beside those of the most popular items, ready for `metrics.yaml`.

    Args:
        score: the model's scores.
        least: the rating from which on an item is relevant; see `relevant_from`.
        seed: of the users who are drawn if there are more than 10,000.

    Returns:
        plain Python numbers under these keys:
            k, relevant_from; users, the users with a relevant item whose lists were compared.
            recall: the share of a user's relevant items that is in the list, mean over users.
            ndcg: DCG of the list over that of the best possible list, mean over users.
            recall_interval_95, ndcg_interval_95: [low, high]; None for one user.
            coverage: the share of `train`'s items that is in at least one list.
            popularity: the same for the most popular items.
            ndcg_more, ndcg_more_interval_95, p: the model's NDCG minus popularity's, paired by
                user, and its p-value.

    Raises:
        DlError: no user has a relevant item, or a score is not a number.

    Reference:
        Järvelin & Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques": DCG, here
        with a gain of 1 for a relevant item and the discount log2(rank + 1).
    """
    import numpy as np

    relevant = valid.rows(np.flatnonzero((valid.values >= least) & (valid.users > 0)))
    users = np.unique(relevant.users)
    if not len(users):
        raise DlError(
            "There are no lists to evaluate",
            why=f"no rating in `valid` is {least:g} or higher",
        )
    if len(users) > MOST_USERS:
        users = np.sort(np.random.default_rng(seed).choice(users, MOST_USERS, replace=False))
        relevant = relevant.rows(np.isin(relevant.users, users))
    scorers = {"model": score, "popularity": popularity(train, n_items=n_items)}
    ndcg, figures = {}, {}
    for name, scorer in scorers.items():
        lists = top(scorer, train, users, n_items=n_items, k=k)
        recall, ndcg[name] = _of_lists(lists, relevant, n_items)
        listed, known = (np.unique(each[each > 0]) for each in (lists.items, train.items))
        figures[name] = {
            **_figure("recall", mean_of(recall)),
            **_figure("ndcg", mean_of(ndcg[name])),
            "coverage": len(listed) / len(known),
        }
    more = mean_of(ndcg["model"] - ndcg["popularity"])
    return {
        "k": k,
        "relevant_from": float(least),
        "users": len(users),
        **figures["model"],
        "popularity": figures["popularity"],
        **_figure("ndcg_more", more),
        "p": more.p,
    }


def _figure(name: str, mean: Mean) -> dict[str, Any]:
    interval = list(mean.interval) if mean.interval else None
    return {name: mean.value, f"{name}_interval_95": interval}


def _of_lists(lists: Lists, relevant: Rated, n_items: int) -> tuple[Floats, Floats]:
    """Recall and NDCG of each user's list: float64 arrays of shape (n_users,).

    Args:
        relevant: the ratings of relevant items, of these users alone.
    """
    import numpy as np

    k = lists.items.shape[1]
    rows = np.searchsorted(lists.users, relevant.users)
    # each pair of a user and an item as one number; a pair that was rated twice counts once
    pairs = np.unique(rows * (n_items + 1) + relevant.items)
    listed = np.arange(len(lists.users))[:, None] * (n_items + 1) + lists.items
    hits = np.isin(listed, pairs) & (lists.items > 0)
    total = np.bincount(pairs // (n_items + 1), minlength=len(lists.users))
    gains = 1 / np.log2(np.arange(k) + 2)
    best = gains.cumsum()[np.minimum(total, k) - 1]
    return hits.sum(axis=1) / total, hits @ gains / best

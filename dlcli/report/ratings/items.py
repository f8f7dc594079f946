"""What a model learned about items: which ones are liked, and which ones are alike.

Here items are numbered from 0: the item of number n in a dataset is row n - 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlcli.evaluation.ratings import Floats, Ints

    # numbers of users and of items, from 1, int arrays (n,) -> predicted ratings, float array (n,)
    Predict = Callable[[Ints, Ints], Floats]

# For whom an item's bias is measured. Of MovieLens' 671 users, 100 give the same bias as all do, to
# 0.05 of a star; all items have the same users, so their order changes even less.
MOST_USERS = 100
# Pairs to predict for all biases together, and at a time: with half a million items, a bias is the
# mean over 8 users, and over 1 with more.
MOST_PAIRS, CHUNK = 1 << 22, 1 << 19
# Of the lists of the best and the worst items. An item with one rating of 5 stars is not the best
# one: listed are items with so many ratings, or fewer if less than two lists of items have as many.
LISTED, FEWEST = 20, 5
# Of the map: more points would cover each other, and vectors of items with few ratings are noise.
MOST_MAPPED = 500
MOST_NEAREST = 6
# Of an axis: the titles at each of its ends.
MOST_NAMES = 3


@dataclass(frozen=True)
class Items:
    """Items, in the order of their numbers.

    Args:
        names: the title of each, or its id if it has none.
        counts: the number of its ratings in train, int array of shape (n_items,).
        means: their mean, float array of shape (n_items,); NaN without a rating.
        biases: see `biases_of`, float array of shape (n_items,); None if there is no model.
        vectors: the model's, float array of shape (n_items, n_factors); None if it has none.
    """

    names: Sequence[str]
    counts: Ints
    means: Floats
    biases: Floats | None = None
    vectors: Floats | None = None


def biases_of(predict: Predict, users: Ints, n_items: int, *, seed: int = 0) -> Floats:
    """By how much an item's predicted ratings lie above those of all items, for the same users.

    So an item that only lenient users rated is not taken for a good one. Models with a bias weight
    for each item nearly have it as their weight; others have it nowhere as a number.

    Args:
        users: numbers of users from whom some are drawn, those with ratings in train.
        seed: of the draw.

    Returns:
        float64 array of shape (n_items,); their mean is 0.
    """
    import numpy as np

    wanted = max(1, min(MOST_USERS, len(users), MOST_PAIRS // n_items))
    drawn = np.sort(np.random.default_rng(seed).choice(users, wanted, replace=False))
    means = np.empty(n_items)
    step = max(1, CHUNK // wanted)
    for start in range(0, n_items, step):
        numbers = np.arange(start, min(start + step, n_items)) + 1
        pairs = np.tile(drawn, len(numbers)), np.repeat(numbers, wanted)
        predicted = np.asarray(predict(*pairs), np.float64).reshape(len(numbers), wanted)
        means[start : start + len(numbers)] = predicted.mean(axis=1)
    found: Floats = means - means.mean()
    return found


def fewest_listed(counts: Ints) -> int:
    """How many ratings an item needs to be in the lists of the best and the worst ones."""
    return next((n for n in range(FEWEST, 1, -1) if (counts >= n).sum() >= 2 * LISTED), 1)


def extremes(items: Items) -> tuple[list[int], list[int]]:
    """The items with the lowest and with the highest bias, the most extreme first.

    Of equal biases, the item with more ratings comes first. No item is in both lists.
    """
    import numpy as np

    if items.biases is None:
        return [], []
    enough = np.flatnonzero(items.counts >= fewest_listed(items.counts))
    order = enough[np.lexsort((-items.counts[enough], items.biases[enough]))]
    most = min(LISTED, len(order) // 2)
    highest = enough[np.lexsort((-items.counts[enough], -items.biases[enough]))]
    return order[:most].tolist(), highest[:most].tolist()


@dataclass(frozen=True)
class ItemMap:
    """The items with the most ratings, by the two directions in which their vectors differ most.

    Args:
        items: their rows, those with the most ratings first: int array of shape (n,).
        points: float array of shape (n, 2), centred.
        shares: of the vectors' variance, along each axis.
        ends: for each axis the rows of the items at its low and at its high end.
        nearest: for each item the rows of those whose vectors have the highest cosine with its own,
            the nearest first: int array of shape (n, k).
        cosines: of these: float array of shape (n, k).
    """

    items: Ints
    points: Floats
    shares: tuple[float, float]
    ends: tuple[tuple[list[int], list[int]], tuple[list[int], list[int]]]
    nearest: Ints
    cosines: Floats


def map_of(items: Items) -> ItemMap | None:
    """Lay out a map by principal components; None if the vectors do not make one."""
    import numpy as np

    if items.vectors is None or items.vectors.shape[1] < 2:
        return None
    order = np.argsort(-items.counts, kind="stable")[:MOST_MAPPED]
    chosen = order[items.counts[order] > 0]
    vectors = np.asarray(items.vectors[chosen], np.float64)
    if len(chosen) < 3 or not np.isfinite(vectors).all():
        return None
    centred = vectors - vectors.mean(axis=0)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    total = float((lengths**2).sum())
    if total < 1e-12 * len(chosen):  # all of them are the same
        return None
    points = centred @ directions[:2].T
    # an SVD leaves the sign open: the item that is farthest out has a positive one
    points *= np.sign(points[np.abs(points).argmax(axis=0), (0, 1)]) + (lengths[:2] == 0)
    names = max(1, min(MOST_NAMES, len(chosen) // 3))
    along = [chosen[np.argsort(points[:, axis], kind="stable")].tolist() for axis in (0, 1)]
    first, second = ((rows[:names], rows[::-1][:names]) for rows in along)
    nearest, cosines = _nearest(vectors)
    shares = (lengths[:2] ** 2 / total).tolist()
    return ItemMap(
        items=chosen,
        points=points,
        shares=(shares[0], shares[1]),
        ends=(first, second),
        nearest=chosen[nearest],
        cosines=cosines,
    )


def _nearest(vectors: Floats) -> tuple[Ints, Floats]:
    """The nearest vectors of each by cosine, and the cosines; a vector of zeros has cosine 0."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = vectors / np.where(lengths > 0, lengths, 1)
    cosines = directions @ directions.T
    np.fill_diagonal(cosines, -np.inf)
    most = min(MOST_NEAREST, len(vectors) - 1)
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :most]
    return nearest, np.take_along_axis(cosines, nearest, axis=1)

"""Use a trained run on ratings: items for a user, items like an item, ratings of pairs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.data.ratings.ratings import TRAIN_ROW, open_ratings
from dlcli.errors import MOST_NAMED, DlError, ExitCode, nearest
from dlcli.files.paths import shown
from dlcli.inference.ratings.predictions import RatingPredictions, numbers_of
from dlcli.inference.ratings.serving import Labels, Serving, start_serving
from dlcli.progress import say
from dlcli.runs.run import Run
from dlcli.words import composed, first_of, printable, short

if TYPE_CHECKING:
    import numpy as np

# Ratings in train of an item whose vector can be compared. Of MovieLens' 100,004 ratings, the films
# most like a known one are other known ones from 20 on; below 10 they are any.
ENOUGH = 20
# Of items with fewer ratings each, the most rated are compared, so many for each that is listed.
CHOICE = 5
# Of a title in a sentence.
_MOST_CHARACTERS = 80
# The year after a film's title.
_YEAR = re.compile(r"\s*\(\d{4}\)$")


@dataclass(frozen=True)
class Recommended:
    """An item for a user.

    Args:
        item: its id.
        title: "" if it has none.
        predicted: the predicted rating.
        rating: the user's own, if it is in train.
    """

    item: str
    title: str
    predicted: float
    rating: float | None = None


@dataclass(frozen=True)
class Recommendations:
    """The best items for a user.

    Args:
        user: the user's id.
        items: the highest predicted ratings first.
        among: how many items they were chosen from.
        rated: how many of the run's items the user has rated in train; None: that is not known.
    """

    user: str
    items: tuple[Recommended, ...]
    among: int
    rated: int | None


@dataclass(frozen=True)
class Similar:
    """An item like another one.

    Args:
        item: its id.
        title: "" if it has none.
        cosine: of the angle between the two items' vectors: 1 for the same direction.
    """

    item: str
    title: str
    cosine: float


@dataclass(frozen=True)
class Alike:
    """The items like an item.

    Args:
        name: of that item: its title, or its id.
        items: the others, the most similar first.
        among: how many items were compared.
        least: how many ratings in train they have at least; None: that is not known.
    """

    name: str
    items: tuple[Similar, ...]
    among: int
    least: int | None


def recommend(
    run: Run, root: Path | None, user: str, top: int, *, rated: bool = False
) -> Recommendations:
    """The items to which a run predicts a user's highest ratings.

    Args:
        run: a finished run on ratings.
        root: its dataset's folder, which tells what the user has rated; None: it is gone.
        user: the user's id.
        top: how many items at most.
        rated: take items that the user has rated in train, too.

    Raises:
        DlError: the run does not know the user.
    """
    import numpy as np

    serving = start_serving(run)
    labels = serving.labels
    number = _user(run, labels, user)
    own = None if root is None else _rated_in_train(root, user)
    if own is None and not rated:
        say(
            f"The dataset of {run.name} is gone. So items that user {shown(user)} has rated are "
            "listed too."
        )
    known = own or {}
    rows = np.array(
        [row for row, item in enumerate(labels.items) if rated or item not in known], np.int64
    )
    predicted = serving.predict(np.full(len(rows), number), rows + 1)
    best = np.argsort(-predicted, kind="stable")[:top]
    found = (
        Recommended(labels.items[row], labels.titles[row], rating, known.get(labels.items[row]))
        for row, rating in zip(rows[best].tolist(), predicted[best].tolist(), strict=True)
    )
    return Recommendations(
        user=user,
        items=tuple(found),
        among=len(rows),
        rated=None if own is None else len(known.keys() & set(labels.items)),
    )


def _rated_in_train(root: Path, user: str) -> dict[str, float]:
    """The ids of the items that a user has rated in train, with the ratings."""
    import numpy as np

    dataset = open_ratings(root)
    (number,) = numbers_of([user], dataset.user_ids)
    rows = np.flatnonzero(dataset.users == number)  # none of number 0
    if dataset.valid is not None:
        rows = rows[dataset.valid[rows] == TRAIN_ROW]
    ids, values = dataset.item_ids, dataset.values
    return {ids[dataset.items[row] - 1]: float(values[row]) for row in rows}


def _user(run: Run, labels: Labels, user: str) -> int:
    """A user's number.

    Raises:
        DlError: there is no such user.
    """
    (number,) = numbers_of([user], labels.users)
    if number:
        return int(number)
    near = nearest(user, map(_text, labels.users))
    raise DlError(
        f"{run.name} does not know user {shown(user)}",
        why=f"it was trained on ratings of {len(labels.users):,} users, and none has this id",
        hint=(f"Did you mean {near}? " if near else "") + f"Ids are in {shown(run.users_file)}.",
    )


def similar(run: Run, root: Path | None, item: str, count: int) -> Alike:
    """The items whose vectors have most nearly the direction of an item's vector.

    Only items with some ratings in train are compared: the vector of an item with few is mostly
    noise, and noise has every direction. Of an ensemble, the cosine is the mean over the members
    that learn vectors.

    Args:
        run: a finished run on ratings.
        root: its dataset's folder, which tells how many ratings items have; None: it is gone.
        item: an id or a title, see `find_item`.
        count: how many at most.

    Raises:
        DlError: there is no such item, or several; the run has no vectors of items.
    """
    import numpy as np

    serving = start_serving(run)
    labels = serving.labels
    number = find_item(run, labels, item)
    cosines = _cosines(serving, number)
    others = np.isfinite(cosines)
    others[number - 1] = False
    least = None
    if root is None:
        say(f"The dataset of {run.name} is gone. So items with few ratings are compared too.")
    else:
        counts = _train_counts(root, labels)
        least = _least(counts[others], count)
        others &= counts >= least
    order = np.argsort(-cosines, kind="stable")
    found = [row for row in order if others[row]][:count]
    each = (Similar(labels.items[row], labels.titles[row], float(cosines[row])) for row in found)
    return Alike(item_named(labels, number), tuple(each), int(others.sum()), least)


def _least(counts: np.ndarray, wanted: int) -> int:
    """How many ratings an item needs to be compared.

    It is `ENOUGH`, or less if fewer than `CHOICE` times the wanted items would have as many.
    """
    import numpy as np

    most = np.sort(counts)[::-1][: CHOICE * wanted]
    return int(min(ENOUGH, most[-1])) if len(most) else 0


def _train_counts(root: Path, labels: Labels) -> np.ndarray:
    """How many ratings each item has in train, (n_items,)."""
    import numpy as np

    dataset = open_ratings(root)
    numbers = dataset.items
    if dataset.valid is not None:
        numbers = numbers[dataset.valid == TRAIN_ROW]
    counts = np.bincount(numbers, minlength=dataset.n_items + 1)
    each: np.ndarray = counts[numbers_of(labels.items, dataset.item_ids)]
    return each


def _cosines(serving: Serving, number: int) -> np.ndarray:
    """The cosine of each item with the one of a number, (n_items,); -inf if it has no vector.

    Raises:
        DlError: the run has no vectors, or the item has none.
    """
    import numpy as np

    run, labels = serving.run, serving.labels
    if not serving.item_vectors:
        raise DlError(
            f"{run.name} can't tell which items are alike",
            why=f"its recipe, {run.record.recipe}, learns no vectors of items",
            hint="Use a run of `dl train collab-dot`.",
        )
    each = []
    for vectors in serving.item_vectors:
        norms = np.linalg.norm(vectors, axis=1)
        if not norms[number - 1]:
            raise DlError(
                f"{run.name} has no vector of {item_named(labels, number)}",
                why="the item has no rating in train",
                hint="Name an item that has some.",
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            cosines = vectors @ vectors[number - 1] / (norms * norms[number - 1])
        each.append(np.where(norms > 0, cosines, -np.inf))
    mean: np.ndarray = np.mean(each, axis=0)
    return mean


def item_named(labels: Labels, number: int) -> str:
    """An item in a sentence: its title, or without one its id."""
    return _text(labels.titles[number - 1] or labels.items[number - 1])


def _text(text: str) -> str:
    """An id or a title in a sentence: a file may hold any."""
    return printable(short(text, _MOST_CHARACTERS))


def find_item(run: Run, labels: Labels, text: str) -> int:
    """The number of an item: by its id, its title, or a part of the title of one item alone.

    A title without its year comes before other parts.

    A message says which item a part stands for. Case and Unicode form count only if two items
    differ in nothing else.

    Raises:
        DlError: there is none, or there are several; names those that are meant, or alike.
    """
    (number,) = numbers_of([text], labels.items)
    if number:
        return int(number)
    titles = [_folded(title) for title in labels.titles]
    wanted = _folded(text)
    ways: tuple[Callable[[int], bool], ...] = (
        lambda row: labels.titles[row] == text,
        lambda row: titles[row] == wanted,
        lambda row: _YEAR.sub("", titles[row]) == wanted,
        lambda row: wanted in titles[row],
    )
    for way in ways if wanted else ():
        found = [row for row in range(len(titles)) if way(row)]
        if len(found) > 1:
            raise _several(text, labels, found)
        if found:
            title = labels.titles[found[0]]
            if titles[found[0]] != wanted:
                say(f"{shown(text)} stands for {_text(title)}.")
            return found[0] + 1
    hint = f"Ids and titles are in {shown(run.items_file)}."
    if near := nearest(text, map(_text, filter(None, labels.titles))):
        hint = f"Did you mean {near}? {hint}"
    raise DlError(
        f"{run.name} does not know item {shown(text)}",
        why=f"none of its {len(labels.items):,} items has this id or title",
        hint=hint,
    )


def _folded(text: str) -> str:
    return composed(text).casefold().strip()


def _several(text: str, labels: Labels, rows: Sequence[int]) -> DlError:
    """The error of a text that is the title, or a part of the titles, of several items."""
    lines = [
        f"{_text(labels.titles[row])}: `--item {shown(shlex.quote(labels.items[row]))}`"
        for row in rows[:MOST_NAMED]
    ]
    if len(rows) > MOST_NAMED:
        lines.append(f"and {len(rows) - MOST_NAMED:,} more")
    return DlError(
        f"{len(rows):,} items have {shown(text)} in their titles: which one?",
        hint="\n".join(lines),
        exit_code=ExitCode.USAGE,
    )


def predict_pairs(run: Run, users: Sequence[str], items: Sequence[str]) -> RatingPredictions:
    """A run's ratings of pairs of a user and an item.

    Users and items that the run does not know are said. The model predicts them as it learned to
    predict unknown ones.

    Args:
        run: a finished run on ratings.
        users, items: the ids of each pair.
    """
    import numpy as np

    serving = start_serving(run)
    numbers = numbers_of(users, serving.labels.users), numbers_of(items, serving.labels.items)
    say_unknown(run, users, items, numbers)
    predicted = serving.predict(*numbers)
    nothing = np.full(len(predicted), np.nan)
    return RatingPredictions(tuple(users), tuple(items), nothing, predicted)


def say_unknown(
    run: Run,
    users: Sequence[str],
    items: Sequence[str],
    numbers: tuple[np.ndarray, np.ndarray],
) -> None:
    """Say which users and items of some pairs a run does not know.

    Args:
        users, items: the ids of each pair.
        numbers: their numbers, 0 if unknown.
    """
    unknown = [
        list(dict.fromkeys(ids[row] for row in (each == 0).nonzero()[0]))
        for ids, each in zip((users, items), numbers, strict=True)
    ]
    named = [
        f"{len(ids):,} {noun if len(ids) == 1 else f'{noun}s'} ({first_of([*map(_text, ids)])})"
        for noun, ids in zip(("user", "item"), unknown, strict=True)
        if ids
    ]
    if named:
        pairs = int(((numbers[0] == 0) | (numbers[1] == 0)).sum())
        say(
            f"{run.name} does not know {' and '.join(named)}, in {pairs:,} of {len(users):,} "
            "pairs. It predicts these as for an average one."
        )

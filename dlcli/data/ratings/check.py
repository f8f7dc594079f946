"""Look for faults in a dataset of ratings: pairs rated twice, leaks, odd users, times and ids."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlcli.data.ratings.organize import alike_ids
from dlcli.data.ratings.ratings import Ratings
from dlcli.data.ratings.store import digest_of_ids
from dlcli.words import count, short

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A user with so many ratings, all the same, says nothing about what is liked.
_MANY_SAME = 5
# No rating on the web is older.
_OLDEST = 631_152_000  # 1990-01-01
_DAY = 86_400
_STEP = 1 << 20


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Args:
        name: the same in each version, for `--json`.
        found: how many there are; 0 if all is well.
        is_serious: whether results on this dataset would mislead.
        what: what was looked for, as a row of a table.
        remark: an example, and what to do or know; "" if all is well.
    """

    name: str
    found: int
    is_serious: bool
    what: str
    remark: str = ""


def check(ratings: Ratings) -> list[Finding]:
    """Look for all faults; the serious ones come first."""
    found = [
        *_content(ratings),
        *_pairs(ratings),
        *_users(ratings),
        *_times(ratings),
        *_ids(ratings),
    ]
    return sorted(found, key=lambda each: (not (each.found and each.is_serious), not each.found))


def _content(ratings: Ratings) -> Iterator[Finding]:
    digest = digest_of_ids(ratings.user_ids, ratings.item_ids)
    for array in (ratings.users, ratings.items, ratings.values, ratings.times):
        if array is not None:
            for start in range(0, len(array), _STEP):
                digest.update(array[start : start + _STEP].tobytes())
    differs = digest.hexdigest() != ratings.record.digest
    remark = "Organise the source again: a file was changed since" if differs else ""
    yield Finding("changed", int(differs), True, "content that was not organised", remark)


def _pairs(ratings: Ratings) -> Iterator[Finding]:
    """Pairs of a user and an item with several ratings."""
    import numpy as np

    order, starts = _repeated(ratings)
    same = different = leaked = 0
    examples = {"same": "", "different": "", "leaked": ""}
    if len(starts):
        values, groups = ratings.values[order], np.append(starts, len(order))
        differ = np.minimum.reduceat(values, starts) != np.maximum.reduceat(values, starts)
        different, same = int(differ.sum()), int((~differ).sum())
        leaks = np.zeros(len(starts), bool)
        if ratings.valid is not None:
            of = ratings.valid[order]
            leaks = np.minimum.reduceat(of, starts) != np.maximum.reduceat(of, starts)
        leaked = int(leaks.sum())
        for name, flags in (("same", ~differ), ("different", differ), ("leaked", leaks)):
            if flags.any():
                place = int(np.argmax(flags))
                rows = order[groups[place] : groups[place + 1]]
                examples[name] = _pair(ratings, rows)
    yield Finding(
        "leaked pairs",
        leaked,
        True,
        "pairs of user and item both in train and valid",
        _remark(examples["leaked"], "Keep one rating of each pair, and organise again"),
    )
    yield Finding(
        "different ratings",
        different,
        True,
        "pairs rated several times, differently",
        _remark(examples["different"], "Keep one rating of each pair, and organise again"),
    )
    yield Finding(
        "repeated ratings",
        same,
        False,
        "pairs rated several times, the same",
        _remark(examples["same"], "Each counts as often as it occurs"),
    )


def _repeated(ratings: Ratings) -> tuple[NDArray, NDArray]:
    """The rows of pairs that occur more than once, pair by pair, and where each pair begins."""
    import numpy as np

    keys = ratings.users.astype(np.int64) * (ratings.n_items + 1)
    keys += ratings.items
    order = np.argsort(keys, kind="stable")
    keys.sort()
    equal = keys[1:] == keys[:-1]
    keys = np.zeros(0, np.int64)  # 160 MB of 20 million ratings
    again, before = np.append(False, equal), np.append(equal, False)
    held = again | before
    return order[held], np.flatnonzero(~again[held])


def _pair(ratings: Ratings, rows: NDArray) -> str:
    user = ratings.user_ids[ratings.users[rows[0]] - 1]
    item = ratings.item_ids[ratings.items[rows[0]] - 1]
    values = ", ".join(f"{value:g}" for value in ratings.values[rows[:4]])
    return f"user {short(user)}, item {short(item)}: {values}"


def _users(ratings: Ratings) -> Iterator[Finding]:
    import numpy as np

    size = ratings.n_users + 1
    counts = np.bincount(ratings.users, minlength=size)[1:]
    single = np.flatnonzero(counts == 1)
    yield Finding(
        "single ratings",
        len(single),
        False,
        "users with one rating",
        _remark(_user(ratings, single), "Little can be learned about them"),
    )
    least, most = np.full(size, np.inf, np.float32), np.full(size, -np.inf, np.float32)
    np.minimum.at(least, ratings.users, ratings.values)
    np.maximum.at(most, ratings.users, ratings.values)
    constant = np.flatnonzero((least[1:] == most[1:]) & (counts >= _MANY_SAME))
    yield Finding(
        "constant users",
        len(constant),
        False,
        f"users with {_MANY_SAME} ratings or more, all the same",
        _remark(_user(ratings, constant), "They say nothing about which items are liked"),
    )


def _user(ratings: Ratings, places: NDArray) -> str:
    return f"user {short(ratings.user_ids[places[0]])}" if len(places) else ""


def _times(ratings: Ratings) -> Iterator[Finding]:
    import numpy as np

    times = ratings.times
    if times is None:
        return
    future = times > time.time() + _DAY
    n_future, n_old = int(future.sum()), int(np.count_nonzero(times < _OLDEST))
    yield Finding(
        "future times",
        n_future,
        True,
        "ratings in the future",
        _remark(_date(times.max()) if n_future else "", "The column may hold something else"),
    )
    yield Finding(
        "old times",
        n_old,
        False,
        "ratings before 1990",
        _remark(_date(times.min()) if n_old else "", "A missing time may be written as 0"),
    )
    if ratings.valid is None or ratings.split is None:
        return
    rows = {name: ratings.rows(name) for name in ("train", "valid")}
    newest = np.full(ratings.n_users + 1, np.iinfo(np.int64).min)
    np.maximum.at(newest, ratings.users[rows["train"]], times[rows["train"]])
    older = int(np.count_nonzero(times[rows["valid"]] < newest[ratings.users[rows["valid"]]]))
    by_time = ratings.split.by in _ORDERED
    remark = "The split is not the one that `dl data split --by time` makes"
    if not by_time:
        remark = (
            "The model learns from later ratings of the same user, which it will not have in use. "
            "For an honest forecast: `dl data split --by time --again`"
        )
    yield Finding(
        "older valid ratings",
        older,
        by_time,
        "ratings in valid that are older than one of the same user in train",
        remark if older else "",
    )


# Splits in which no rating of train is newer than one of valid.
_ORDERED = ("time",)


def _date(seconds: int) -> str:
    import numpy as np

    return f"such as {np.datetime64(int(seconds), 's')}".replace("T", " ")


def _ids(ratings: Ratings) -> Iterator[Finding]:
    for name, ids in (("users", ratings.user_ids), ("items", ratings.item_ids)):
        alike = alike_ids(ids)
        example = f"{', '.join(map(short, alike[0][:3]))}" if alike else ""
        yield Finding(
            f"alike {name}",
            len(alike),
            False,
            f"groups of {name} whose ids differ only in case, Unicode form, spaces or zeros",
            _remark(example, "If they are one, write one id in the source, and organise again"),
        )
    titles = ratings.titles
    without = sum(not title for title in titles) if any(titles) else 0
    example = f"item {short(ratings.item_ids[titles.index('')])}" if without else ""
    yield Finding(
        "without title",
        without,
        False,
        "items without a title",
        _remark(example, "They are shown by their ids"),
    )


def _remark(example: str, advice: str) -> str:
    return f"{example}. {advice}" if example else ""


def summary(found: list[Finding]) -> str:
    """What was found, in one sentence."""
    serious = sum(each.is_serious and each.found > 0 for each in found)
    others = sum(not each.is_serious and each.found > 0 for each in found)
    if not serious and not others:
        return "Nothing was found."
    noted = f"{others} to know of" if others else ""
    if not serious:
        return f"Nothing serious was found; {noted}."
    return f"{count(serious, 'serious fault')}{f', and {noted}' if noted else ''}."

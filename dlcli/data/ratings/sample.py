"""Take a part of a dataset of ratings: some users, with all of their ratings."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.data.dataset import SAMPLE
from dlcli.data.ratings.ratings import (
    ARRAYS,
    ITEMS,
    MARK,
    PAIRS,
    SPLIT,
    TEST,
    USERS,
    Counts,
    Ratings,
    is_ratings,
    open_ratings,
)
from dlcli.data.ratings.store import (
    digest_of_ids,
    scale_of,
    write_array,
    write_items,
    write_record,
    write_split,
    write_users,
)
from dlcli.errors import DlError, ExitCode
from dlcli.files.atomic import atomic_folder
from dlcli.files.own import others_in
from dlcli.files.paths import quoted, shown
from dlcli.words import count

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A tenth of the users; of few users at least so many.
_SHARE, LEAST_USERS = 0.1, 100
_STEP = 1 << 20
# All that `dl` puts into a dataset of ratings.
OWN = re.compile(
    "|".join(
        [
            *map(re.escape, (MARK, SPLIT, USERS, ITEMS, ARRAYS, TEST)),
            rf"{ARRAYS}/(user|item|rating|time|split)\.npy",
            rf"{TEST}/(user\.npy|item\.npy|{re.escape(PAIRS)})",
        ]
    )
)


def default_users(ratings: Ratings) -> int:
    """How many users a sample has by default."""
    return min(ratings.n_users, max(LEAST_USERS, round(_SHARE * ratings.n_users)))


def sample(
    root: Path, users: int | None, seed: int, *, replace_other: bool = False
) -> tuple[Ratings, bool]:
    """Copy all ratings of some users, chosen at random, to a folder beside the dataset.

    The sample has the same split of these ratings.

    Args:
        users: how many; None for a tenth, at least 100.
        replace_other: replace a sample that differs.

    Returns:
        the sample, and whether it was made now: False if the same one is there.

    Raises:
        DlError: another sample is there, or too few users are asked for.
    """
    whole = open_ratings(root)
    wanted = default_users(whole) if users is None else users
    if not 2 <= wanted <= whole.n_users:
        raise DlError(
            f"A sample of {count(wanted, 'user')} can't be taken",
            why=f"it has at least 2, and {shown(root)} has {whole.n_users:,}",
            hint="Name another number: `--users N`.",
            exit_code=ExitCode.USAGE,
        )
    target = root.with_name(root.name + SAMPLE)
    taken = {"users": wanted, "seed": seed, "of": whole.record.digest}
    taken |= {"train": whole.fingerprint("train")}
    is_there = os.path.lexists(target)
    if is_there and _is_sample(target, taken, replace_other):
        return open_ratings(target), False
    with atomic_folder(target, replace=is_there) as built:
        _build(whole, wanted, seed, built, taken)
    return open_ratings(target), True


def _is_sample(target: Path, taken: dict[str, Any], replace_other: bool) -> bool:
    """Whether a folder is the sample that is wanted; refuse to replace what may not be."""
    made = None
    if not target.is_symlink() and is_ratings(target):
        made = open_ratings(target).record.sample
    if made is None:
        raise DlError(
            f"{shown(target)} was not made by `dl data sample`",
            why="it is not replaced, because it may be the only copy",
            hint="Rename it or move it away.",
        )
    if made == taken:
        return True
    if not replace_other:
        raise DlError(
            f"{shown(target)} is a different sample",
            why=f"it was made with --users {made.get('users')} --seed {made.get('seed')}, or of "
            "another state or split of the dataset",
            hint="Add `--replace` to replace it.",
        )
    if others := others_in(target, OWN):
        raise DlError(
            f"{shown(target)} is not replaced",
            why=f"it holds {shown(others[0])}, which `dl data sample` did not put there",
            hint=f"Move it away, or remove the sample: `rm -r {quoted(target)}`.",
        )
    return False


def _build(whole: Ratings, wanted: int, seed: int, folder: Path, taken: dict[str, Any]) -> None:
    import numpy as np

    random = np.random.default_rng(seed)
    chosen = np.zeros(whole.n_users + 1, bool)
    chosen[random.choice(whole.n_users, wanted, replace=False) + 1] = True
    rows = np.flatnonzero(chosen[whole.users])
    has_item = np.zeros(whole.n_items + 1, bool)
    has_item[whole.items[rows]] = True
    user_ids, item_ids, titles = whole.user_ids, whole.item_ids, whole.titles
    users = [user_ids[number - 1] for number in np.flatnonzero(chosen)]
    items = [item_ids[number - 1] for number in np.flatnonzero(has_item)]
    # what is kept keeps its order, so the ids stay in the order of their numbers
    new_user, new_item = (np.cumsum(each, dtype=np.int32) for each in (chosen, has_item))
    digest = digest_of_ids(users, items)
    (folder / ARRAYS).mkdir()
    arrays = {
        "user": (whole.users, new_user),
        "item": (whole.items, new_item),
        "rating": (whole.values, None),
        "time": (whole.times, None),
    }
    for name, (array, ranks) in arrays.items():
        if array is not None:
            blocks = _blocks(array, rows, ranks)
            write_array(folder / ARRAYS / f"{name}.npy", blocks, len(rows), digest)
    by_id = {
        item_ids[number - 1]: titles[number - 1]
        for number in np.flatnonzero(has_item)
        if titles[number - 1]
    }
    write_users(folder, users)
    write_items(folder, items, by_id)
    counts = Counts(len(rows), len(users), len(items), len(by_id), 0)
    record = replace(
        whole.record,
        counts=counts,
        scale=scale_of(np.unique(whole.values[rows]).tolist()),
        digest=digest.hexdigest(),
        sample=taken,
    )
    write_record(folder, record)
    if whole.valid is not None and whole.split is not None:
        made = whole.split
        kept = {"by": made.by, "seed": made.seed, "asked": made.asked}
        write_split(folder, whole.valid[rows], kept)


def _blocks(array: NDArray, rows: NDArray, ranks: NDArray | None) -> Iterator[NDArray]:
    for start in range(0, len(rows), _STEP):
        block = array[rows[start : start + _STEP]]
        yield block if ranks is None else ranks[block]

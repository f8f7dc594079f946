"""Choose which ratings are valid: at random, of each user, the newest, or all of some users.

A split marks rows of the dataset; nothing moves. Rows are numbered by the source, so the same
seed gives the same split of the same rows in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.data.journal import hold
from dlcli.data.ratings.ratings import (
    ARRAYS,
    SPLIT,
    VALID_ROW,
    By,
    Ratings,
    SplitRecord,
    open_ratings,
)
from dlcli.data.ratings.store import write_split
from dlcli.errors import DlError, ExitCode
from dlcli.files.own import remove_own
from dlcli.files.paths import quoted, shown
from dlcli.words import count, percent

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

# Two recommenders often differ by 0.01 in their mean squared error; a fifth of 100,000 ratings
# tells that apart, 2,000 would not.
VALID_SHARE = 0.2
DESCRIBED: dict[By, str] = {
    "random": "chosen at random",
    "user": "some of each user's ratings",
    "time": "the newest ratings",
    "new-users": "all ratings of some users",
}


@dataclass(frozen=True)
class Unseen:
    """What of valid has no rating in train, so that nothing was learned about it.

    Args:
        users, items: how many users and items of valid.
        ratings: how many ratings of valid are of such a user or item.
    """

    users: int
    items: int
    ratings: int


def plan_split(ratings: Ratings, size: float | None, by: By, seed: int) -> NDArray:
    """Choose the ratings that become valid.

    Args:
        size: a number of ratings, or a share of them (a float between 0 and 1); None for a fifth.
        by: "random": each rating is as likely. "user": the same share of each user's ratings, at
            least one, but a user with one rating stays in train. "time": the newest. "new-users":
            all ratings of users that are chosen at random, until they are as many.
        seed: of the random choice.

    Returns:
        uint8 array of shape (n_ratings,), 1 for valid.

    Raises:
        DlError: as many can't be chosen in this way.
    """
    import numpy as np

    n = len(ratings.users)
    size = VALID_SHARE if size is None else size
    wanted = max(1, round(size * n)) if isinstance(size, float) else size
    if wanted >= n:
        raise DlError(
            f"Can't choose {wanted:,} of {count(n, 'rating')} for valid",
            why="train needs at least one",
            hint=f"Use `--valid {n - 1}` or less." if n > 1 else "Organise a file with more.",
        )
    random = np.random.default_rng(seed)
    valid = np.zeros(n, np.uint8)
    if by == "random":
        valid[random.choice(n, wanted, replace=False, shuffle=False)] = VALID_ROW
    elif by == "time":
        valid[_newest(ratings, wanted)] = VALID_ROW
    elif by == "user":
        valid[_of_each_user(ratings, wanted, random)] = VALID_ROW
    else:
        valid[_of_some_users(ratings, wanted, random)] = VALID_ROW
    return valid


def split(
    root: Path, size: float | None, by: By, seed: int, *, replace: bool = False
) -> tuple[Ratings, bool]:
    """Split a dataset of ratings; see `plan_split`.

    Args:
        replace: replace another split.

    Returns:
        the dataset, and whether it was split now: False if it already has this same split.

    Raises:
        DlError: it has another split.
    """
    with hold(root):
        ratings = open_ratings(root)
        asked = VALID_SHARE if size is None else size
        if made := ratings.split:
            # a share and a number are equal only if both are the same kind of number
            before, now = (made.by, made.seed, made.asked), (by, seed, asked)
            if before == now and isinstance(made.asked, float) == isinstance(asked, float):
                return ratings, False
            if not replace:
                raise DlError(
                    f"{shown(root)} already has another split",
                    why=described(made),
                    hint="Add `--again` to replace it. Runs that were trained on it can't be "
                    "evaluated on the new one.",
                )
        record = {"by": by, "seed": seed, "asked": asked}
        write_split(root, plan_split(ratings, size, by, seed), record)
        return open_ratings(root), True


def unsplit(root: Path) -> SplitRecord:
    """Take a split back; all ratings are in train again.

    Raises:
        DlError: the dataset is not split.
    """
    with hold(root):
        made = open_ratings(root).split
        if made is None:
            raise DlError(
                f"{shown(root)} is not split",
                why="`dl data undo` takes back the split of a dataset of ratings, no more",
                hint=f"To remove the dataset: `rm -r {quoted(root)}`. Its source is unchanged.",
            )
        remove_own(root / SPLIT, root)
        remove_own(root / ARRAYS / "split.npy", root)
        return made


def unseen(ratings: Ratings) -> Unseen:
    """How much of valid is of users or items without a rating in train."""
    import numpy as np

    assert ratings.valid is not None
    rows = ratings.rows("valid")
    new_user, new_item = (
        _without_train(numbers, ratings.valid, most)
        for numbers, most in ((ratings.users, ratings.n_users), (ratings.items, ratings.n_items))
    )
    users, items = ratings.users[rows], ratings.items[rows]
    return Unseen(
        users=len(np.unique(users[new_user[users]])),
        items=len(np.unique(items[new_item[items]])),
        ratings=int(np.count_nonzero(new_user[users] | new_item[items])),
    )


def described(made: SplitRecord) -> str:
    """A split in words: "chosen at random, 20.0 % in valid, seed 0"."""
    asked = percent(made.asked) if isinstance(made.asked, float) else f"{made.asked:,}"
    seed = "" if made.by == "time" else f", seed {made.seed}"
    return f"{DESCRIBED[made.by]}, {asked} in valid{seed}"


def _without_train(numbers: NDArray, valid: NDArray, most: int) -> NDArray:
    """Which of the numbers from 0 to `most` have no rating in train."""
    import numpy as np

    without = np.ones(most + 1, bool)
    without[numbers[valid != VALID_ROW]] = False
    return without


def _newest(ratings: Ratings, wanted: int) -> NDArray:
    """The rows of the newest ratings; of those of the same second, the last ones."""
    import numpy as np

    if ratings.times is None:
        raise DlError(
            f"Can't split {shown(ratings.root)} by time",
            why="its source has no times",
            hint="Leave out `--by time`, or name the column when you organise: "
            "`--time-column NAME`.",
            exit_code=ExitCode.USAGE,
        )
    if ratings.times.min() == ratings.times.max():
        raise DlError(
            f"Can't split {shown(ratings.root)} by time",
            why="all ratings have the same time",
            hint="Leave out `--by time`.",
        )
    rows: NDArray = np.argsort(ratings.times, kind="stable")[-wanted:]
    return rows


def _of_each_user(ratings: Ratings, wanted: int, random: Generator) -> NDArray:
    """Rows at random, the same share of each user's."""
    import numpy as np

    counts = np.bincount(ratings.users, minlength=ratings.n_users + 1)
    shares = _shares(counts, wanted)
    if not shares.any():
        raise DlError(
            f"Can't split {shown(ratings.root)} by user",
            why="each user has a single rating, which stays in train",
            hint="Leave out `--by user`.",
        )
    # in the order of users, and at random within each: the upper half of a key is the user
    keys = ratings.users.astype(np.uint64) << np.uint64(32)
    keys |= random.integers(0, 2**32, len(keys), np.uint32)
    order = np.argsort(keys, kind="stable")
    del keys
    ends = np.cumsum(counts)
    # of each user, the first so many in this order
    chosen = np.zeros(len(order) + 1, np.int32)
    starts, has_any = ends - counts, shares > 0
    np.add.at(chosen, starts[has_any], 1)
    np.add.at(chosen, (starts + shares)[has_any], -1)
    np.cumsum(chosen, out=chosen)
    rows: NDArray = order[chosen[:-1] > 0]
    return rows


def _shares(counts: NDArray, wanted: int) -> NDArray:
    """How many ratings of each user are valid: the same share of each, by largest remainder.

    A user with two ratings or more gives at least one and keeps at least one; others give none.
    These bounds come first: then the sum may differ from `wanted`.
    """
    import numpy as np

    exact = counts * (wanted / counts.sum())
    most = np.maximum(counts - 1, 0)
    shares: NDArray = np.clip(exact.astype(np.int64), np.minimum(most, 1), most)
    missing = wanted - int(shares.sum())
    # ties go to the first users
    order = np.argsort(shares - exact, kind="stable")
    movable = order[shares[order] < most[order]]
    shares[movable[: max(missing, 0)]] += 1
    return shares


def _of_some_users(ratings: Ratings, wanted: int, random: Generator) -> NDArray:
    """The rows of users at random, as many that they have about the ratings that are wanted."""
    import numpy as np

    counts = np.bincount(ratings.users, minlength=ratings.n_users + 1)
    order = random.permutation(ratings.n_users) + 1
    together = np.cumsum(counts[order])
    n = int(np.searchsorted(together, wanted)) + 1
    # the last user may bring more than without it are lacking
    if n > 1 and together[n - 1] - wanted > wanted - together[n - 2]:
        n -= 1
    chosen = np.zeros(ratings.n_users + 1, bool)
    chosen[order[: min(n, ratings.n_users - 1)]] = True
    return np.flatnonzero(chosen[ratings.users])

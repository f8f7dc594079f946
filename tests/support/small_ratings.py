"""Small datasets of ratings: files as they are downloaded, and arrays in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from dlcli.data.ratings.organize import DEFAULTS, Organized, OrganizeOptions, organize
from dlcli.data.ratings.ratings import Counts, Ratings, Record, Scale, open_ratings
from dlcli.data.ratings.splits import plan_split
from dlcli.data.ratings.store import write_split

ROWS = (
    *(("ann", "m1", "4", "1000000000"), ("ann", "m2", "2.5", "1000000001")),
    *(("bob", "m1", "5", "1000000002"), ("bob", "m3", "1", "1000000003")),
    *(("cleo", "m2", "3", "1000000004"), ("cleo", "m3", "4", "1000000005")),
)
HEADER = ("userId", "movieId", "rating", "timestamp")


def written(file: Path, rows: Iterable[Sequence[str]] = ROWS, separator: str = ",") -> Path:
    """A file with a row on each line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(separator.join(row) + "\n" for row in rows)
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    return file


def organized(
    folder: Path,
    rows: Iterable[Sequence[str]] = (HEADER, *ROWS),
    options: OrganizeOptions = DEFAULTS,
    *,
    name: str = "ratings.csv",
    separator: str = ",",
) -> Organized:
    """A dataset of a file of some rows, both in a folder."""
    made = organize(written(folder / name, rows, separator), folder / "films", options)
    assert made
    return made


def in_memory(users: Sequence[int], items: Sequence[int], times: Sequence[int]) -> Ratings:
    """A dataset that is on no disk, with ratings from 1 to 5."""
    n, n_users, n_items = len(users), max(users), max(items)
    record = Record(1, "", "", {}, Counts(n, n_users, n_items, 0, 0), Scale(1, 5, 1), "")
    return Ratings(
        root=Path("/nowhere"),
        record=record,
        users=np.array(users, np.int32),
        items=np.array(items, np.int32),
        values=(np.arange(n) % 5 + 1).astype(np.float32),
        times=np.array(times, np.int64),
        valid=None,
        split=None,
        test_users=np.zeros(0, np.int32),
        test_items=np.zeros(0, np.int32),
    )


def films(root: Path, *, users: int = 60, items: int = 80, seed: int = 0) -> Path:
    """A dataset to train on in a second: tastes in two dimensions, 40 ratings a user, split.

    The last user and the last item are in valid alone.
    """
    rng = np.random.default_rng(seed)
    liked, offset = rng.normal(size=(users, 2)), rng.normal(0, 0.4, items)
    kind = rng.normal(size=(items, 2))
    rows = [("userId", "movieId", "rating")]
    for user in range(users):
        for item in rng.permutation(items)[: items // 2]:
            rating = 3 + offset[item] + 0.7 * liked[user] @ kind[item] + rng.normal(0, 0.2)
            rows.append((f"u{user}", f"m{item}", f"{np.clip(round(2 * rating) / 2, 0.5, 5)}"))
    organize(written(root.parent / "ratings.csv", rows), root, DEFAULTS)
    (root.parent / "ratings.csv").unlink()
    ratings = open_ratings(root)
    last = ratings.user_ids.index(f"u{users - 1}"), ratings.item_ids.index(f"m{items - 1}")
    valid = plan_split(ratings, 0.2, "random", seed)
    valid[(ratings.users == last[0] + 1) | (ratings.items == last[1] + 1)] = 1
    write_split(root, valid, {"by": "random", "seed": seed, "asked": 0.2})
    return root

"""Small datasets of ratings: files as they are downloaded, and arrays in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from dlcli.data.ratings.organize import DEFAULTS, Organized, OrganizeOptions, organize
from dlcli.data.ratings.ratings import Counts, Ratings, Record, Scale

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

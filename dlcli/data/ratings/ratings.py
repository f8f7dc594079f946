"""A dataset of ratings: arrays of user, item, rating and time, a row for each rating.

    movielens/
      ratings.yaml    what was read: source, columns, counts, scale, digest
      ratings/        user.npy item.npy rating.npy time.npy split.npy
      users.csv       ids of the users; row n is user number n
      items.csv       ids and titles of the items
      split.yaml      how the ratings were split
      test/           user.npy item.npy pairs.csv: pairs to predict

Numbers of users and items begin with 1. Number 0 is an unknown one, in pairs to predict alone.

Nothing of it is trusted: files are opened without following links, and headers and numbers are
checked. Arrays stay on the disk, and are mapped into memory.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dlcli.data.dataset import MARKS, Dataset, require_kind
from dlcli.errors import DlError
from dlcli.files.formats import MOST_BYTES, MOST_YAML_BYTES
from dlcli.files.own import NotOwnError, open_own, read_own, require_own
from dlcli.files.paths import absolute, is_folder, quoted, shown
from dlcli.files.plain_yaml import plain_values
from dlcli.files.typed import read_as
from dlcli.words import short

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARK = MARKS["ratings"]
SPLIT = "split.yaml"
USERS, ITEMS = "users.csv", "items.csv"
ARRAYS, TEST = "ratings", "test"
PAIRS = "pairs.csv"
VERSION = 1
TRAIN_ROW, VALID_ROW = 0, 1
_TYPES = {"user": "<i4", "item": "<i4", "rating": "<f4", "time": "<i8", "split": "|u1"}
# Row numbers, users and items are 32-bit numbers.
MOST_ROWS = 2**31 - 1
_MOST_HEADER = 1_000

By = Literal["random", "user", "time", "new-users"]


@dataclass(frozen=True)
class Counts:
    """How many of each a dataset has.

    Args:
        titles: items with a title.
        test: pairs to predict.
    """

    ratings: int
    users: int
    items: int
    titles: int
    test: int


@dataclass(frozen=True)
class Scale:
    """The values of ratings.

    Args:
        step: the distance of neighbouring values; None if there are too many for a scale.
    """

    least: float
    most: float
    step: float | None = None

    def __str__(self) -> str:
        step = f" in steps of {self.step:g}" if self.step else ""
        return f"{self.least:g} to {self.most:g}{step}"


@dataclass(frozen=True)
class Record:
    """What `ratings.yaml` holds.

    Args:
        source: the file or archive that was read, as text.
        stamp: its size and time, to tell it from a later state.
        columns: the columns' names or numbers, by what they hold.
        digest: sha256 of ids and arrays, in hex digits.
        sample: of which dataset it is a sample, and how that was taken.
    """

    version: int
    source: str
    stamp: str
    columns: Mapping[str, str | None]
    counts: Counts
    scale: Scale
    digest: str
    sample: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class SplitRecord:
    """What `split.yaml` holds.

    Args:
        asked: the number or share of ratings that was asked for in valid.
        train, valid: the number of ratings in each.
        digest: sha256 of the rows' splits, in hex digits.
    """

    by: By
    seed: int
    asked: float
    train: int
    valid: int
    digest: str


@dataclass(frozen=True)
class Ratings(Dataset):
    """A dataset of ratings, as it was when it was opened.

    Args:
        users, items: number of each rating's user and item, int32 of shape (n_ratings,).
        values: the ratings, float32 of shape (n_ratings,).
        times: seconds since 1970, int64 of shape (n_ratings,); None if the source has no times.
        valid: whether each rating is in valid, uint8 of shape (n_ratings,); None before a split.
        split: how it was split; None before.
        test_users, test_items: of the pairs to predict, in the order of their file; 0 is unknown.
    """

    record: Record
    users: NDArray = field(repr=False)
    items: NDArray = field(repr=False)
    values: NDArray = field(repr=False)
    times: NDArray | None = field(repr=False)
    valid: NDArray | None = field(repr=False)
    split: SplitRecord | None
    test_users: NDArray = field(repr=False)
    test_items: NDArray = field(repr=False)

    kind = "ratings"
    noun = "rating"
    why_changed = "its ratings, or how they are split, are not the same; times of files don't count"
    how_to_copy = "Split them as before, with the same seed, or restore the folder."

    @property
    def sizes(self) -> Mapping[str, int]:
        """The number of ratings in train and valid, and of pairs in test."""
        valid = self.split.valid if self.split else 0
        return {
            "train": self.record.counts.ratings - valid,
            "valid": valid,
            "test": self.record.counts.test,
        }

    @property
    def n_users(self) -> int:
        """The number of users, which is the largest of their numbers."""
        return self.record.counts.users

    @property
    def n_items(self) -> int:
        """The number of items, likewise."""
        return self.record.counts.items

    @property
    def density(self) -> float:
        """The share of all pairs of a user and an item that have a rating, 0 to 1."""
        return self.record.counts.ratings / (self.n_users * self.n_items)

    def rows(self, split: str) -> NDArray:
        """The row numbers of a split.

        Args:
            split: "train", "valid", or "test" for the rows of `test_users` and `test_items`.

        Returns:
            int64 array of shape (n,), rising.
        """
        import numpy as np

        if split == TEST:
            return np.arange(self.sizes[TEST])
        if self.valid is None:
            return np.arange(self.sizes["train"] if split == "train" else 0)
        return np.flatnonzero(self.valid == (VALID_ROW if split == "valid" else TRAIN_ROW))

    @cached_property
    def user_ids(self) -> tuple[str, ...]:
        """Ids of the users; user number n has the id at n - 1."""
        rows = _table(self.root, USERS, ["id"], self.n_users)
        return tuple(row[0] for row in rows)

    @cached_property
    def _item_rows(self) -> list[list[str]]:
        return _table(self.root, ITEMS, ["id", "title"], self.n_items)

    @cached_property
    def item_ids(self) -> tuple[str, ...]:
        """Ids of the items; item number n has the id at n - 1."""
        return tuple(row[0] for row in self._item_rows)

    @cached_property
    def titles(self) -> tuple[str, ...]:
        """Titles of the items likewise, "" where there is none."""
        return tuple(row[1] for row in self._item_rows)

    def fingerprint(self, split: str) -> str:
        """Sixteen hex digits that change with the content, and with the rows of the split.

        A copy of the dataset has the same.
        """
        from hashlib import sha256

        digest = sha256(self.record.digest.encode())
        digest.update(f"\0{split}\0{self.sizes[split]}\0".encode())
        if split != TEST and self.split:
            digest.update(self.split.digest.encode())
        return digest.hexdigest()[:16]


def open_ratings(root: Path) -> Ratings:
    """Open a dataset of ratings.

    Raises:
        DlError: it is not one, or a file of it is damaged or a link.
    """
    import numpy as np

    root = absolute(root)
    if not is_folder(root):
        raise DlError(f"{shown(root)} does not exist", hint="`dl data ls` lists datasets.")
    require_kind(root, "ratings")
    record: Record = _read(root, MARK, Record)
    if record.version != VERSION:
        raise _damaged(root / MARK, f"this `dl` reads version {VERSION}, not {record.version}")
    if not {"user", "item", "rating"} <= record.columns.keys():
        raise _damaged(root / MARK, "it lacks the columns of user, item and rating")
    n = record.counts.ratings
    if not (0 < n <= MOST_ROWS and 0 < record.counts.users <= n and 0 < record.counts.items <= n):
        raise _damaged(root / MARK, "its counts can't be those of ratings")
    if not 0 <= record.counts.test <= MOST_ROWS or not isfinite(record.scale.least):
        raise _damaged(root / MARK, "its counts can't be those of ratings")
    users, items, values = (_array(root, ARRAYS, each, n) for each in ("user", "item", "rating"))
    _require_numbers(root / ARRAYS / "user.npy", users, 1, record.counts.users)
    _require_numbers(root / ARRAYS / "item.npy", items, 1, record.counts.items)
    if not np.isfinite(values.sum(dtype=np.float64)):
        raise _damaged(root / ARRAYS / "rating.npy", "a rating is not a finite number")
    has_times = record.columns.get("time") is not None
    times = _array(root, ARRAYS, "time", n) if has_times else None
    test_users = test_items = np.zeros(0, np.int32)
    if record.counts.test:
        test_users = _array(root, TEST, "user", record.counts.test)
        test_items = _array(root, TEST, "item", record.counts.test)
        _require_numbers(root / TEST / "user.npy", test_users, 0, record.counts.users)
        _require_numbers(root / TEST / "item.npy", test_items, 0, record.counts.items)
    split, valid = _split(root, n)
    return Ratings(
        root=root,
        record=record,
        users=users,
        items=items,
        values=values,
        times=times,
        valid=valid,
        split=split,
        test_users=test_users,
        test_items=test_items,
    )


def is_ratings(root: Path) -> bool:
    """Whether a folder is a dataset of ratings: it holds their mark."""
    return os.path.lexists(root / MARK)


def split_digest(valid: NDArray) -> str:
    """The sha256 of the rows' splits, in hex digits."""
    from hashlib import sha256

    import numpy as np

    return sha256(np.ascontiguousarray(valid).data).hexdigest()


def _split(root: Path, n: int) -> tuple[SplitRecord | None, NDArray | None]:
    import numpy as np

    require_own(root / SPLIT, root)
    if not (root / SPLIT).exists():
        return None, None
    split: SplitRecord = _read(root, SPLIT, SplitRecord)
    valid = _array(root, ARRAYS, "split", n)
    held = int(np.count_nonzero(valid))
    is_its = (split.train, split.valid) == (n - held, held) and valid.max() <= VALID_ROW
    if not is_its or split_digest(valid) != split.digest:
        again = f"Split it again: `dl data split {quoted(root)} --again`."
        raise _damaged(root / ARRAYS / "split.npy", "it is not the split of split.yaml", again)
    return split, valid


def _read(root: Path, name: str, kind: Any) -> Any:
    """Read one of the dataset's YAML files."""
    import yaml

    file = root / name
    try:
        held = plain_values(_bytes(root, name, MOST_YAML_BYTES))
        return read_as(kind, held, name)
    except FileNotFoundError as error:
        raise _damaged(file, "it is missing") from error
    except (yaml.YAMLError, ValueError) as error:
        raise _damaged(file, short(" ".join(str(error).split()), 300)) from error


def _bytes(root: Path, name: str, most: int) -> bytes:
    data = read_own(root / name, root, most + 1)
    if len(data) > most:
        raise _damaged(root / name, f"it has more than {most:,} bytes")
    return data


def _table(root: Path, name: str, header: list[str], n: int) -> list[list[str]]:
    """The rows of one of the dataset's CSVs."""
    try:
        text = _bytes(root, name, MOST_BYTES).decode("utf-8", "surrogateescape")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except FileNotFoundError as error:
        raise _damaged(root / name, "it is missing") from error
    except csv.Error as error:
        raise _damaged(root / name, error) from error
    if rows[:1] != [header] or len(rows) != n + 1:
        expected = f"expected the columns {','.join(header)} and {n:,} rows"
        raise _damaged(root / name, f"{expected}, found {max(len(rows) - 1, 0):,} rows")
    if any(len(row) != len(header) for row in rows):
        raise _damaged(root / name, f"a row has not {len(header)} cells")
    return rows[1:]


def _array(root: Path, folder: str, name: str, n: int) -> NDArray:
    """One of the dataset's arrays, mapped into memory to be read."""
    import numpy as np
    from numpy.lib import format as npy

    path, kind = root / folder / f"{name}.npy", np.dtype(_TYPES[name])
    try:
        file = os.fdopen(open_own(path, root), "rb")
    except NotOwnError:
        raise
    except FileNotFoundError as error:
        raise _damaged(path, "it is missing") from error
    with file:
        try:
            if npy.read_magic(file) != (1, 0):
                raise ValueError("it is of another version")
            shape, _, held = npy.read_array_header_1_0(file, max_header_size=_MOST_HEADER)
        except OSError:
            raise
        # damaged bytes make the reader of Python's literals raise almost anything
        except Exception as error:
            raise _damaged(path, short(" ".join(str(error).split()), 200)) from error
        if held != kind or shape != (n,):
            found = f"found {held} of shape {shape}"
            raise _damaged(path, f"expected {kind} of shape ({n},), {short(found, 100)}")
        start = file.tell()
        if os.fstat(file.fileno()).st_size != start + n * kind.itemsize:
            raise _damaged(path, "it is longer or shorter than its header says")
        return np.memmap(file, kind, mode="r", offset=start, shape=(n,))


def _require_numbers(path: Path, numbers: NDArray, least: int, most: int) -> None:
    if int(numbers.min()) < least or int(numbers.max()) > most:
        raise _damaged(path, f"it holds a number outside {least} to {most:,}")


def _damaged(path: Path, why: object, hint: str = "") -> DlError:
    return DlError(
        f"{shown(path)} is damaged",
        why=str(why),
        hint=hint or "Make the dataset again: `dl data organize FILE`.",
    )

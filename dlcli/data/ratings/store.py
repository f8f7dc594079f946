"""Write a dataset of ratings: arrays, tables of ids, and the mark that says what was read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.data.ratings.ratings import (
    ARRAYS,
    ITEMS,
    MARK,
    SPLIT,
    USERS,
    Record,
    Scale,
    SplitRecord,
    split_digest,
)
from dlcli.files.atomic import atomic, atomic_write
from dlcli.files.formats import dump_yaml, write_csv
from dlcli.files.own import remove_own

if TYPE_CHECKING:
    from hashlib import _Hash

    from numpy.typing import NDArray

# More different ratings have no common step that people would call a scale.
_MOST_VALUES = 1_000
_WHOLE = re.compile(r"-?[0-9]{1,18}")


def in_order(ids: Iterable[str]) -> list[str]:
    """Ids in the order of their numbers: by value if all are whole numbers, else as text.

    So numbers do not depend on the order of a source's rows.
    """
    found = list(ids)
    if all(map(_WHOLE.fullmatch, found)):
        found.sort(key=lambda each: (int(each), each))
    else:
        found.sort()
    return found


def scale_of(values: Iterable[float]) -> Scale:
    """The scale of some ratings, from their different values."""
    found = sorted(values)
    least, most = found[0], found[-1]
    gaps = [after - before for before, after in pairwise(found)]
    step = min(gaps, default=0.0)
    whole = all(abs(gap / step - round(gap / step)) < 1e-3 for gap in gaps)
    if not step or len(found) > _MOST_VALUES or not whole:
        return Scale(least, most)
    return Scale(least, most, float(f"{step:.6g}"))


class Values:
    """The different values of ratings, as long as they are few."""

    def __init__(self) -> None:
        self._known: set[float] = set()

    def add(self, ratings: NDArray) -> None:
        """Take more ratings into account."""
        import numpy as np

        self._known.update(np.unique(ratings).tolist())
        if len(self._known) > _MOST_VALUES:
            middle = sorted(self._known)[1 : _MOST_VALUES + 1]
            self._known = {min(self._known), *middle, max(self._known)}

    def scale(self) -> Scale:
        """The scale that they have."""
        return scale_of(self._known)


def write_array(path: Path, blocks: Iterable[NDArray], n: int, digest: _Hash | None = None) -> None:
    """Write blocks of numbers as one `.npy` file, without holding all in memory.

    Args:
        blocks: arrays of one type and dimension, with `n` numbers together.
        digest: what their bytes are added to.
    """
    from numpy.lib import format as npy

    with path.open("wb") as file:
        for number, block in enumerate(blocks):
            if not number:
                kind = npy.dtype_to_descr(block.dtype)
                header = {"descr": kind, "fortran_order": False, "shape": (n,)}
                npy.write_array_header_1_0(file, header)
            data = block.tobytes()
            file.write(data)
            if digest:
                digest.update(data)


def write_users(folder: Path, users: Sequence[str]) -> None:
    """Write the table of users."""
    write_csv(folder / USERS, [["id"], *([each] for each in users)])


def write_items(folder: Path, items: Sequence[str], titles: Mapping[str, str]) -> None:
    """Write the table of items with their titles, by id."""
    rows = ([each, titles.get(each, "")] for each in items)
    write_csv(folder / ITEMS, [["id", "title"], *rows])


def digest_of_ids(users: Iterable[str], items: Iterable[str]) -> _Hash:
    """The sha256 of ids, to which arrays are added."""
    from hashlib import sha256

    digest = sha256()
    for ids in (users, items):
        for each in ids:
            digest.update(each.encode("utf-8", "surrogateescape") + b"\0")
        digest.update(b"\0")
    return digest


def write_record(folder: Path, record: Record) -> None:
    """Write the mark of the kind, and with it what was read."""
    held = {key: value for key, value in asdict(record).items() if value is not None}
    atomic_write(folder / MARK, dump_yaml(held), folder)


def write_split(root: Path, valid: NDArray, record: Mapping[str, object]) -> SplitRecord:
    """Write which rows are valid, and replace an earlier split.

    A kill in between leaves no split.

    Args:
        valid: uint8 of shape (n_ratings,), 1 for valid.
        record: what `SplitRecord` says, but for counts and digest.
    """
    import numpy as np

    held = int(np.count_nonzero(valid))
    split = SplitRecord(
        **record,  # type: ignore[arg-type]
        train=len(valid) - held,
        valid=held,
        digest=split_digest(valid),
    )
    remove_own(root / SPLIT, root)
    with atomic(root / ARRAYS / "split.npy", root) as temporary:
        write_array(temporary, [valid], len(valid))
    atomic_write(root / SPLIT, dump_yaml(asdict(split)), root)
    return split

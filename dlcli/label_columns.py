"""Which column, or which columns of zeros and ones, of a CSV holds the labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.label_tables import Table, plain_name

# What competitions call their labels, case and anything but letters and digits left out.
_NAMES = (
    *("label", "labels", "class", "classname", "classlabel", "labelname", "classid", "category"),
    *("categoryname", "target", "breed", "species", "diagnosis", "y"),
)
_ZERO, _ONE = ("0", "0.0"), ("1", "1.0")
_MOST_NAMED = 4


@dataclass(frozen=True)
class Column:
    """Labels, and the column that they are from; in words as a string.

    Args:
        names: the column, or of one-hot columns all.
        labels: one per row of the table.
        is_sure: whether name or values show that these are labels.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    is_sure: bool

    def __str__(self) -> str:
        if len(self.names) == 1:
            return f"column `{shown(self.names[0])}`"
        return f"the one that is 1 of columns {_listed(self.names)}"


def choose_label_column(
    table: Table, id_column: str, rows: Sequence[Sequence[int]], named: str | None
) -> Column:
    """The column of labels.

    Args:
        table: the CSV.
        id_column: the column that names the images.
        rows: the numbers of the rows that matter, those of each image.
        named: the column that somebody names.

    Raises:
        DlError: it is not plain which.
    """
    if named is not None:
        return Column((named,), table.column(named), is_sure=True)
    numbers = [number for each in rows for number in each]
    others = [name for name in table.header if name != id_column]
    called = [other for other in others if plain_name(other) in _NAMES]
    called.sort(key=lambda name: _NAMES.index(plain_name(name)))
    if called and all(_is_same(table, called[0], other, numbers) for other in called[1:]):
        words = [name for name in called if not _is_numeric(table, name, numbers)]
        name = (words or called)[0]
        return Column((name,), table.column(name), is_sure=True)
    if one_hot := _one_hot(table, others, numbers):
        return one_hot
    likely = (
        others
        if len(others) == 1
        else [name for name in others if _may_be_labels(table, name, numbers)]
    )
    if len(likely) != 1 or called:
        raise DlError(
            f"Which column of {shown(table.file)} holds the labels is not plain",
            why=f"there are {_listed(called or others)}" if others else "it has only ids",
            hint="Name it: `--label-column NAME`.",
        )
    (name,) = likely
    sure = _may_be_labels(table, name, numbers) and not _is_numeric(table, name, numbers)
    return Column((name,), table.column(name), is_sure=sure)


def _one_hot(table: Table, names: Sequence[str], numbers: Sequence[int]) -> Column | None:
    """Columns of zeros and ones, of which each row has one 1."""
    bits = {}
    for name in names:
        cells = table.column(name)
        if all(cells[number] in (*_ZERO, *_ONE) for number in numbers):
            bits[name] = [cell in _ONE for cell in cells]
    if len(bits) < 2:
        return None
    picked = [[name for name, ones in bits.items() if ones[i]] for i in range(len(table.rows))]
    if bad := [number for number in numbers if len(picked[number]) != 1]:
        raise DlError(
            f"{len(bad):,} rows of {shown(table.file)} are of no class or of several",
            why=f"of {_listed([*bits])} line {bad[0] + 2} has {len(picked[bad[0]])} ones",
            hint="One label per image is needed; name its column: `--label-column NAME`.",
        )
    labels = tuple(each[0] if len(each) == 1 else "" for each in picked)
    return Column(tuple(bits), labels, is_sure=True)


def _may_be_labels(table: Table, name: str, numbers: Sequence[int]) -> bool:
    """Whether a column has more than one value, and each one twice on average."""
    values = {table.column(name)[number] for number in numbers}
    return 2 <= len(values) <= len(numbers) / 2


def _is_numeric(table: Table, name: str, numbers: Sequence[int]) -> bool:
    values = {table.column(name)[number] for number in numbers}
    return all(re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", value) for value in values)


def _is_same(table: Table, one: str, other: str, numbers: Sequence[int]) -> bool:
    """Whether two columns tell the same classes apart."""
    pairs = {(table.column(one)[number], table.column(other)[number]) for number in numbers}
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(f"`{shown(name)}`" for name in names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{listed} and {more} more" if more > 0 else listed

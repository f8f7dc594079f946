"""Choose the columns of a CSV that name the images and hold their labels.

The column of ids is the one whose values name the images. The column of labels is the only one
left, or has a usual name of labels. Several columns of zeros and ones hold one class each. Where
the choice is ambiguous, it is an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from dlcli.data.photos.organize.tables import Form, Names, Table, plain_name
from dlcli.errors import DlError
from dlcli.files.paths import quoted, shown
from dlcli.words import first_of

# Names of columns of images, in lower case, letters and digits alone.
ID_NAMES = ("id", "image", "imageid", "img", "file", "filename", "path", "name")

# Names of label columns in competitions, in the same form.
_LABEL_NAMES = (
    "label",
    "labels",
    "class",
    "classname",
    "classlabel",
    "labelname",
    "classid",
    "category",
    "categoryname",
    "target",
    "breed",
    "species",
    "diagnosis",
    "y",
)
_ZERO, _ONE = ("0", "0.0"), ("1", "1.0")
# Columns of which a value may be several tags.
_TAG_NAMES = ("tag", "tags", "attributes", "attributeids", "keywords")
_NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?")
_MOST_NAMED = 4


@dataclass(frozen=True)
class Column:
    """A column of labels; `str` describes it.

    Args:
        names: the column, or all of the one-hot columns.
        labels: one per row of the table.
        is_sure: whether its name or values show that these are labels.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    is_sure: bool

    def __str__(self) -> str:
        if len(self.names) == 1:
            return f"column `{shown(self.names[0])}`"
        return f"one-hot columns {_listed(self.names)}"


def choose_id_column(
    table: Table, images: Sequence[str], named: str | None
) -> tuple[str, Form] | None:
    """Choose the column whose values name the images.

    Args:
        named: the column that the user names.

    Returns:
        its name, and how its values name images; None where no column does.

    Raises:
        DlError: several columns do, and each gives other rows.
    """
    # 193 of leaf-classification's 194 columns are not ids, which a few images are enough to see
    few = Names(images[:: max(1, len(images) // 50)])
    columns = dict.fromkeys(table.header)
    likely = (
        [named]
        if named
        else [name for name in columns if few.best_form({*table.ids(name)}).matched]
    )
    every = Names(images)
    matches = [(name, every.best_form({*table.ids(name)})) for name in likely]
    if not any(form.matched for _, form in matches):
        return None
    best_match = max(map(_quality, matches))
    best = [match for match in matches if _quality(match) == best_match]
    if len(best) > 1:  # ids are unique
        best = [each for each in best if table.is_unique(each[0])] or best
    if len(best) > 1:
        best = [each for each in best if plain_name(each[0]) in ID_NAMES] or best
    (name, form), *others = best
    rows = rows_of(table, name, form, images) if others else {}
    for other, its_form in others:
        if rows_of(table, other, its_form, images) != rows:
            raise DlError(
                f"Several columns of {shown(table.file)} name the images",
                why=f"`{shown(name)}` and `{shown(other)}` both do",
                hint="Choose one: `--id-column NAME`.",
            )
    return name, form


def choose_label_column(
    table: Table, id_column: str, rows: Sequence[Sequence[int]], named: str | None
) -> Column:
    """Choose the column of labels.

    Args:
        table: the CSV.
        id_column: the column that names the images.
        rows: the numbers of each image's rows.
        named: the column that the user names.

    Raises:
        DlError: several columns could hold the labels, or none could.
    """
    if named is not None:
        return Column((named,), table.column(named), is_sure=True)
    numbers = [number for each in rows for number in each]
    others = [name for name in table.header if name != id_column]
    called = [other for other in others if plain_name(other) in _LABEL_NAMES]
    called.sort(key=lambda name: _LABEL_NAMES.index(plain_name(name)))
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
            f"Can't tell which column of {shown(table.file)} holds the labels",
            why=f"there are {_listed(called or others)}" if others else "it has only ids",
            hint="Name it: `--label-column NAME`.",
        )
    (name,) = likely
    sure = _may_be_labels(table, name, numbers) and not _is_numeric(table, name, numbers)
    return Column((name,), table.column(name), is_sure=sure)


def require_classes(table: Table, column: Column, rows: Mapping[str, list[int]]) -> None:
    """Refuse a column that `dl` chose, and that does not hold one class per image.

    Raises:
        DlError: it holds several tags per image, or continuous numbers.
    """
    values = {column.labels[number] for numbers in rows.values() for number in numbers} - {""}
    name = column.names[0]
    where = f"Column `{shown(name)}` of {shown(table.file)}"
    if tagged := _tagged(name, values):
        raise DlError(
            f"{where} holds several tags per image",
            why=f"such as `{shown(tagged)}`",
            hint="`dl` learns one class per image. To make each combination of tags a class, name "
            f"the column: `--label-column {quoted(Path(name))}`.",
        )
    fractions = [value for value in values if re.fullmatch(r"[-+]?\d*\.\d*[1-9]\d*", value)]
    is_number = all(map(_NUMBER.fullmatch, values))
    nearly_all_differ = len(rows) > 2 and len(values) > 0.9 * len(rows)
    if is_number and (fractions or nearly_all_differ):
        such = min(fractions or values)
        raise DlError(
            f"{where} holds continuous numbers",
            why=f"such as {shown(such)}; {len(rows):,} images have {len(values):,} values",
            hint="`dl` learns classes, not numbers. Name a column of classes, such as ranges of "
            "them: `--label-column NAME`. To make each number a class: "
            f"`--label-column {quoted(Path(name))}`.",
        )


def rows_of(
    table: Table, id_column: str, form: Form, images: Sequence[str]
) -> dict[str, list[int]]:
    """The numbers of each image's rows."""
    numbers: dict[str, list[int]] = {}
    for number, value in enumerate(table.ids(id_column)):
        numbers.setdefault(value, []).append(number)
    return {image: numbers[key] for image in images if (key := form.of(image)) in numbers}


def _quality(match: tuple[str, Form]) -> tuple[int, bool]:
    """How well a column names the images: how many of them, and whether literally."""
    _, form = match
    return form.matched, not form.ids


def _one_hot(table: Table, names: Sequence[str], numbers: Sequence[int]) -> Column | None:
    """The label columns if they are one-hot: zeros, and a single 1 in each row."""
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
            f"{len(bad):,} rows of {shown(table.file)} have no class, or several",
            why=f"expected a single 1 per line in the columns {_listed([*bits])}, found "
            f"{len(picked[bad[0]])} in line {bad[0] + 2}",
            hint="`dl` learns one class per image. If each column is a tag of its own, name one: "
            "`--label-column NAME`.",
        )
    labels = tuple(each[0] if len(each) == 1 else "" for each in picked)
    return Column(tuple(bits), labels, is_sure=True)


def _may_be_labels(table: Table, name: str, numbers: Sequence[int]) -> bool:
    """Whether a column has several values, each of them twice on average."""
    values = _values(table, name, numbers)
    return 2 <= len(values) <= len(numbers) / 2


def _is_numeric(table: Table, name: str, numbers: Sequence[int]) -> bool:
    return all(map(_NUMBER.fullmatch, _values(table, name, numbers)))


def _values(table: Table, name: str, numbers: Sequence[int]) -> set[str]:
    cells = table.column(name)
    return {cells[number] for number in numbers}


def _is_same(table: Table, one: str, other: str, numbers: Sequence[int]) -> bool:
    """Whether two columns separate the same classes."""
    ones, others = table.column(one), table.column(other)
    pairs = {(ones[number], others[number]) for number in numbers}
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def _tagged(column: str, values: Set[str]) -> str:
    """A value of several tags; "" where each value is one class.

    Tags recur in other combinations. Names of several words share words too, "golden retriever"
    and "labrador retriever", but there are more words than names.
    """
    for separator in "|;, ":
        tags = {value: {tag.strip() for tag in value.split(separator)} for value in values}
        several = [value for value in values if len(tags[value]) > 1]
        seen = Counter(tag for each in tags.values() for tag in each)
        recur = any(seen[tag] > 1 for value in several for tag in tags[value])
        is_sure = separator in "|;" or plain_name(column) in _TAG_NAMES
        if recur and (is_sure or len(seen) < len(values)):
            return min(several)
    return ""


def _listed(names: Sequence[str]) -> str:
    return first_of([f"`{shown(name)}`" for name in names], _MOST_NAMED)

"""Read the class of each image from a CSV: find the file and its columns, check its rows.

The column of ids is the one whose values name the images. The column of labels is the only one
left, or has a usual name of labels. Several columns of zeros and ones hold one class each. The
choice is reported; where it is ambiguous, it is an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from dlcli.data.organize.tables import (
    Form,
    Table,
    best_form,
    plain_name,
    read_table,
    require_tables,
)
from dlcli.errors import DlError, did_you_mean
from dlcli.files.archive_members import MOST_NAME_BYTES
from dlcli.files.paths import quoted, shown

_ID_NAMES = ("id", "image", "imageid", "img", "file", "filename", "path", "name")
_COLUMNS = "`--labels FILE --id-column NAME --label-column NAME`"
_CORRECT = f"Correct the names in the CSV, or name other columns: {_COLUMNS}."
NAMING = f"Name them: {_COLUMNS}."

# Names of label columns in competitions, in lower case, letters and digits alone.
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
_MOST_NAMED, _MOST_GRADES = 4, 11


@dataclass(frozen=True)
class Naming:
    """Where the user says that labels are; None where nothing is said.

    Args:
        file: the CSV: a path, or the name of one among the files to organise.
        id_column: the column that names the images.
        label_column: the column that names their classes.
    """

    file: str | None = None
    id_column: str | None = None
    label_column: str | None = None

    @property
    def is_given(self) -> bool:
        """Whether the user says anything."""
        return any((self.file, self.id_column, self.label_column))


@dataclass(frozen=True)
class Labels:
    """The class of each image.

    Args:
        file: the CSV.
        of: the class of each image, by its path.
        notes: what was decided for the user, a sentence each.
        is_sure: whether the column's name or values show that these are labels.
    """

    file: Path
    of: Mapping[str, str]
    notes: tuple[str, ...]
    is_sure: bool


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


def read_labels(
    files: Sequence[Path], images: Sequence[str], elsewhere: Sequence[str], naming: Naming
) -> Labels | None:
    """Read the labels of all training images.

    Args:
        files: CSVs that may hold labels.
        images: paths of the images.
        elsewhere: paths of images that need no label but may have a row.
        naming: file and columns, as far as the user names them.

    Returns:
        the labels; None where no file is about these images.

    Raises:
        DlError: the file or its columns are ambiguous; an image has no label, or two; a label
            can't name a folder.
    """
    tables = [
        table for file in files if (table := read_table(file, is_named=naming.file is not None))
    ]
    found: list[Labels] = []
    errors: list[DlError] = []
    for table in tables:
        try:
            if labels := _labels_in(table, images, elsewhere, naming):
                found.append(labels)
        except DlError as error:
            errors.append(error)
    if found:
        return _the_one(found)
    if errors:
        raise errors[0]
    if naming.is_given and not naming.file:
        if not tables:
            require_tables(files)
        raise _no_such_columns(tables, images, naming)
    return None


def named_in(file: Path, images: Sequence[str]) -> set[str]:
    """The images that a file's first column names, such as a sample submission's."""
    table = read_table(file)
    if not table or not table.header:
        return set()
    ids = set(table.ids(table.header[0]))
    form = best_form(ids, images)
    ids.add(table.header[0])  # of a sample submission without a header, the first line's id
    return {image for image in images if form.of(image) in ids}


def require_folder_name(label: str, where: str) -> None:
    """Refuse a label that can't name a class's folder.

    Args:
        label: as it was read.
        where: the row it comes from, for the error's text.

    Raises:
        DlError: it can't.
    """
    if why := fault_of_name(label):
        raise DlError(
            f"The label `{shown(label[:60])}` of {where} can't name a folder",
            why=why,
            hint="Change it in the CSV, or name another column: `--label-column NAME`.",
        )


def fault_of_name(name: str) -> str:
    """Why a name can't be that of a visible file or folder; "" where it can."""
    if not name:
        return "it is empty"
    if "/" in name or "\0" in name:
        return "a name can't have a slash"
    if name.startswith("."):
        return "a name that begins with a dot is hidden"
    if len(name.encode("utf-8", "surrogateescape")) > MOST_NAME_BYTES:
        return f"it is longer than {MOST_NAME_BYTES} bytes"
    return ""


def _labels_in(
    table: Table, images: Sequence[str], elsewhere: Sequence[str], naming: Naming
) -> Labels | None:
    """The labels in one table; None where its rows are not about these images."""
    for name in (naming.id_column, naming.label_column):
        if name is not None and name not in table.header:
            if naming.file is None:
                return None
            raise DlError(
                f"{shown(table.file)} has no column `{shown(name)}`",
                hint=did_you_mean(name, table.header),
            )
    chosen = _id_column(table, images, naming)
    if chosen is None:
        if naming.file is None and naming.id_column is None:
            return None
        raise DlError(
            f"No column of {shown(table.file)} names the images"
            if naming.id_column is None
            else f"Column `{shown(naming.id_column)}` of {shown(table.file)} does not name images",
            why=_names_differ(table, naming.id_column or table.header[0], images),
            hint=_CORRECT,
        )
    id_column, form = chosen
    rows = _rows_of(table, id_column, form, images)
    _require_rows(table, id_column, rows, images)
    column = choose_label_column(table, id_column, [*rows.values()], naming.label_column)
    if naming.label_column is None:
        _require_classes(table, column, rows)
    of = _labels_of(table, column, rows, id_column, form)
    notes = [
        f"Labels: {column} of {shown(table.file.name)}, matched to images by `{shown(id_column)}`."
    ]
    known = {form.of(image) for image in (*images, *elsewhere)}
    if strangers := [each for each in table.ids(id_column) if each and each not in known]:
        notes.append(
            f"Rows of {shown(table.file.name)} without an image: {len(strangers):,}, such as "
            f"`{shown(strangers[0])}`."
        )
    if numbers := _as_numbers(set(of.values())):
        notes.append(
            f"The {len(numbers):,} classes are numbers, {_span(numbers)}: `dl` learns each as a "
            "class, without their order."
        )
    return Labels(table.file, of, tuple(notes), column.is_sure)


def _require_classes(table: Table, column: Column, rows: Mapping[str, list[int]]) -> None:
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


def _as_numbers(labels: Set[str]) -> list[int]:
    """Three or more labels that are all whole numbers, in numeric order; else []."""
    if len(labels) < 3 or not all(re.fullmatch(r"[0-9]{1,9}", label) for label in labels):
        return []
    numbers = sorted(map(int, labels))
    return numbers if len({*numbers}) == len(labels) else []


def _span(numbers: Sequence[int]) -> str:
    if len(numbers) > _MOST_GRADES:
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))


def _no_such_columns(tables: Sequence[Table], images: Sequence[str], naming: Naming) -> DlError:
    """The error where no CSV has the named columns, or none names the images."""
    files = ", ".join(shown(table.file.name) for table in tables)
    there = [*dict.fromkeys(name for table in tables for name in table.header)]
    for name in filter(None, (naming.id_column, naming.label_column)):
        if name not in there:
            why = f"looked in {files}" if tables else "there is no CSV"
            hint = did_you_mean(name, there)
            return DlError(f"No CSV has a column `{shown(name)}`", why=why, hint=hint or NAMING)
    return DlError(
        f"No column of {files} names the images",
        why=_names_differ(tables[0], tables[0].header[0], images),
        hint=_CORRECT,
    )


def _names_differ(table: Table, column: str, images: Sequence[str]) -> str:
    """The name of an image, and what a column holds in its place."""
    found = next(filter(None, table.ids(column)), "nothing")
    return f"expected names such as {shown(images[0])}, found {shown(found)}"


def _id_column(table: Table, images: Sequence[str], naming: Naming) -> tuple[str, Form] | None:
    """The column whose values name the images, and how; None where no column does."""
    # 193 of leaf-classification's 194 columns are not ids, which a few images are enough to see
    few = images[:: max(1, len(images) // 50)]
    matches: list[tuple[str, Form]] = []
    for name in [naming.id_column] if naming.id_column else table.header:
        ids = set(table.ids(name))
        if name == naming.id_column or best_form(ids, few).matched:
            form = best_form(ids, images)
            matches.append((name, form))
    if not any(form.matched for _, form in matches):
        return None
    best_match = max(map(_quality, matches))
    best = [match for match in matches if _quality(match) == best_match]
    if len(best) > 1:  # ids are unique
        best = [each for each in best if table.is_unique(each[0])] or best
    if len(best) > 1:
        best = [each for each in best if plain_name(each[0]) in _ID_NAMES] or best
    name, form = best[0]
    rows = _rows_of(table, name, form, images)
    for other, its_form in best[1:]:
        if _rows_of(table, other, its_form, images) != rows:
            raise DlError(
                f"Several columns of {shown(table.file)} name the images",
                why=f"`{shown(name)}` and `{shown(other)}` both do",
                hint="Choose one: `--id-column NAME`.",
            )
    return name, form


def _quality(match: tuple[str, Form]) -> tuple[int, bool]:
    """How well a column names the images: how many of them, and whether literally."""
    _, form = match
    return form.matched, not form.ids


def _rows_of(
    table: Table, id_column: str, form: Form, images: Sequence[str]
) -> dict[str, list[int]]:
    """The numbers of each image's rows."""
    numbers: dict[str, list[int]] = {}
    for number, value in enumerate(table.ids(id_column)):
        numbers.setdefault(value, []).append(number)
    return {image: numbers[key] for image in images if (key := form.of(image)) in numbers}


def _require_rows(
    table: Table, id_column: str, rows: Mapping[str, list[int]], images: Sequence[str]
) -> None:
    """Refuse images without a row, and a row that names several images."""
    if missing := [image for image in images if image not in rows]:
        if Path(id_column).stem in {Path(image).stem for image in missing}:
            raise DlError(
                f"{shown(table.file)} has no header, which names its columns",
                why=f"its first line names an image, {shown(id_column)}",
                hint="Add a first line to it, such as `id,label`.",
            )
        raise DlError(
            f"{len(missing):,} of {len(images):,} training images have no row in "
            f"{shown(table.file)}, such as {shown(missing[0])}",
            why=f"rows and images are matched by column `{shown(id_column)}`",
            hint="Add the rows, or move these images away, or name another file or column: "
            "`--labels FILE`, `--id-column NAME`.",
        )
    first: dict[int, str] = {}
    for image, (number, *_) in rows.items():
        if number in first:
            raise DlError(
                f"A row of {shown(table.file)} names two images, {shown(first[number])} and "
                f"{shown(image)}",
                why=f"its `{shown(id_column)}` is `{shown(table.column(id_column)[number])}`",
                hint="Rename one of the two, or name a column of paths: `--id-column NAME`.",
            )
        first[number] = image


def _labels_of(
    table: Table, column: Column, rows: Mapping[str, list[int]], id_column: str, form: Form
) -> dict[str, str]:
    of = {}
    empty, torn = [], []
    for image, numbers in rows.items():
        label, *others = {column.labels[number] for number in numbers}
        if others:
            torn.append(image)
        elif not label:
            empty.append(image)
        of[image] = label
    for problem, bad in (("have no label", empty), ("have two labels", torn)):
        if bad:
            raise DlError(
                f"{len(bad):,} images {problem} in {shown(table.file)}, such as {shown(bad[0])}",
                why=f"the `{shown(id_column)}` of its row is `{shown(form.of(bad[0]))}`",
                hint="Mend the rows, or name another column: `--label-column NAME`.",
            )
    for image, label in {label: (image, label) for image, label in of.items()}.values():
        require_folder_name(label, f"{shown(image)} in {shown(table.file.name)}")
    return of


def _the_one(found: list[Labels]) -> Labels:
    """The one file's labels that are sure; several files must agree."""
    sure = [labels for labels in found if labels.is_sure] or found
    for other in sure[1:]:
        if other.of != sure[0].of:
            raise DlError(
                "Several CSVs may hold the labels",
                why=f"{shown(sure[0].file.name)} and {shown(other.file.name)} both name all images",
                hint="Choose one: `--labels FILE`.",
            )
    return sure[0]


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
    values = {table.column(name)[number] for number in numbers}
    return 2 <= len(values) <= len(numbers) / 2


def _is_numeric(table: Table, name: str, numbers: Sequence[int]) -> bool:
    values = {table.column(name)[number] for number in numbers}
    return all(map(_NUMBER.fullmatch, values))


def _is_same(table: Table, one: str, other: str, numbers: Sequence[int]) -> bool:
    """Whether two columns separate the same classes."""
    pairs = {(table.column(one)[number], table.column(other)[number]) for number in numbers}
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(f"`{shown(name)}`" for name in names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{listed} and {more} more" if more > 0 else listed

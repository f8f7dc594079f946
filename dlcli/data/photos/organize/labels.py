"""Read the class of each image from a CSV: find the file, check its rows.

What was chosen is reported; where it is ambiguous, it is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from dlcli.data.photos.organize.columns import (
    ID_NAMES,
    Column,
    choose_id_column,
    choose_label_column,
    require_classes,
    rows_of,
)
from dlcli.data.photos.organize.tables import (
    Form,
    Table,
    best_form,
    plain_name,
    read_table,
    require_tables,
)
from dlcli.errors import DlError, did_you_mean
from dlcli.files.archive_members import MOST_NAME_BYTES
from dlcli.files.paths import shown
from dlcli.words import composed

_COLUMNS = "`--labels FILE --id-column NAME --label-column NAME`"
_CORRECT = f"Correct the names in the CSV, or name other columns: {_COLUMNS}."
NAMING = f"Name them: {_COLUMNS}."

_MOST_GRADES = 11


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


NOTHING_NAMED = Naming()


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
    # the first id of a sample submission without a header
    ids.add(composed(table.header[0]))
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
    chosen = choose_id_column(table, images, naming.id_column)
    if chosen is None:
        if naming.file is None and naming.id_column is None:
            return None
        raise DlError(
            f"No column of {shown(table.file)} names the images"
            if naming.id_column is None
            else f"Column `{shown(naming.id_column)}` of {shown(table.file)} does not name images",
            why=names_differ(table, naming.id_column or table.header[0], images),
            hint=_CORRECT,
        )
    id_column, form = chosen
    rows = rows_of(table, id_column, form, images)
    _require_rows(table, id_column, rows, images)
    column = choose_label_column(table, id_column, [*rows.values()], naming.label_column)
    if naming.label_column is None:
        require_classes(table, column, rows)
    of = _labels_of(table, column, rows, id_column, form)
    notes = [
        f"Labels: {column} of {shown(table.file.name)}, matched to images by `{shown(id_column)}`."
    ]
    known = {form.of(image) for image in elsewhere}
    named = {number for numbers in rows.values() for number in numbers}
    others = (each for number, each in enumerate(table.ids(id_column)) if number not in named)
    if strangers := [each for each in others if each and each not in known]:
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
        why=names_differ(tables[0], tables[0].header[0], images),
        hint=_CORRECT,
    )


def names_differ(table: Table, column: str, images: Sequence[str]) -> str:
    """The name of an image, and what a column holds in its place."""
    found = next(filter(None, table.ids(column)), "nothing")
    return f"expected names such as {shown(images[0])}, found {shown(found)}"


def _require_rows(
    table: Table, id_column: str, rows: Mapping[str, list[int]], images: Sequence[str]
) -> None:
    """Refuse images without a row, and a row that names several images."""
    if missing := [image for image in images if image not in rows]:
        if _is_a_row(table, id_column, images):
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


def _is_a_row(table: Table, id_column: str, images: Sequence[str]) -> bool:
    """Whether a table's first line is the one missing row, not a header."""
    ids = {*table.ids(id_column), composed(id_column)}
    every_image = best_form(ids, images).matched == len(images)
    return every_image and plain_name(id_column) not in ID_NAMES


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

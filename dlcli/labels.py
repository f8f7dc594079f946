"""A CSV that names the class of each image: which columns of which file, and what is wrong in it.

The column of ids is the one whose values name the images, the column of labels the one that is
left, or is called as labels are. Whatever is taken is said; where two would do, nothing is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcli.errors import DlError, did_you_mean
from dlcli.files.archive_members import MOST_NAME_BYTES
from dlcli.files.paths import shown
from dlcli.label_columns import Column, choose_label_column
from dlcli.label_tables import Form, Table, best_form, plain_name, read_table, require_tables

_ID_NAMES = ("id", "image", "imageid", "img", "file", "filename", "path", "name")
NAMING = "Name them: `--labels FILE --id-column NAME --label-column NAME`."


@dataclass(frozen=True)
class Naming:
    """Where labels are, as far as somebody says it.

    Args:
        file: the CSV: a path, or the name of one in what is organised.
        id_column: the column that names the images.
        label_column: the column that names their classes.
    """

    file: str | None = None
    id_column: str | None = None
    label_column: str | None = None

    @property
    def is_given(self) -> bool:
        """Whether anything is said."""
        return any((self.file, self.id_column, self.label_column))


@dataclass(frozen=True)
class Labels:
    """The class of each image.

    Args:
        file: the CSV.
        of: the class of each image, by its path.
        notes: what was decided on the user's behalf, a sentence each.
        is_sure: whether it is plain from its column, name and values, that these are labels.
    """

    file: Path
    of: Mapping[str, str]
    notes: tuple[str, ...]
    is_sure: bool


def read_labels(
    files: Sequence[Path], images: Sequence[str], elsewhere: Sequence[str], naming: Naming
) -> Labels | None:
    """The labels of all images that are to be learned from.

    Args:
        files: CSVs, one of which may hold them.
        images: paths of the images.
        elsewhere: paths of images that need no label, but may have a row.
        naming: what is said of file and columns.

    Returns:
        them; None where no file has anything to do with the images.

    Raises:
        DlError: it is not plain which file or columns; an image has no label, or two; a label is
            no name for a folder.
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
    """The images that the first column of a file names, as that of a sample submission."""
    table = read_table(file)
    if not table or not table.header:
        return set()
    ids = set(table.column(table.header[0]))
    form = best_form(ids, images)
    return {image for image in images if form.of(image) in ids}


def require_folder_name(label: str, where: str) -> None:
    """Refuse a label that can't be the name of a class's folder.

    Args:
        label: as it was read.
        where: the row it comes from, for the words of the error.

    Raises:
        DlError: it can't.
    """
    if why := fault_of_name(label):
        raise DlError(
            f"The label `{shown(label[:60])}` of {where} can't name a class's folder",
            why=why,
            hint="Change it in the CSV, or name another column: `--label-column NAME`.",
        )


def fault_of_name(name: str) -> str:
    """Why something can't be the name of a file or folder that is seen; "" where it can."""
    if not name:
        return "it is empty"
    if "/" in name or "\0" in name:
        return "a slash ends the name of a folder"
    if name.startswith("."):
        return "what begins with a dot is hidden"
    if len(name.encode("utf-8", "surrogateescape")) > MOST_NAME_BYTES:
        return f"it is longer than {MOST_NAME_BYTES} bytes"
    return ""


def _labels_in(
    table: Table, images: Sequence[str], elsewhere: Sequence[str], naming: Naming
) -> Labels | None:
    """What one table says; None where its rows are not about these images."""
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
            else f"Column `{shown(naming.id_column)}` of {shown(table.file)} names no image",
            why=f"an image is called {shown(images[0])}",
            hint=NAMING,
        )
    id_column, form = chosen
    rows = _rows_of(table, id_column, form, images)
    _require_rows(table, id_column, rows, images)
    column = choose_label_column(table, id_column, [*rows.values()], naming.label_column)
    of = _labels_of(table, column, rows, id_column, form)
    notes = [f"Labels: {column} of {shown(table.file.name)}, by `{shown(id_column)}`."]
    known = {form.of(image) for image in (*images, *elsewhere)}
    if strangers := [each for each in table.column(id_column) if each and each not in known]:
        notes.append(
            f"Rows of {shown(table.file.name)} without an image: {len(strangers):,}, such as "
            f"`{shown(strangers[0])}`."
        )
    return Labels(table.file, of, tuple(notes), column.is_sure)


def _no_such_columns(tables: Sequence[Table], images: Sequence[str], naming: Naming) -> DlError:
    """What to raise where no CSV has the columns that somebody names, and names the images."""
    files = ", ".join(shown(table.file.name) for table in tables)
    there = [*dict.fromkeys(name for table in tables for name in table.header)]
    for name in filter(None, (naming.id_column, naming.label_column)):
        if name not in there:
            why = f"looked into {files}" if tables else "there is none"
            hint = did_you_mean(name, there)
            return DlError(f"No CSV has a column `{shown(name)}`", why=why, hint=hint or NAMING)
    return DlError(
        f"No column of {files} names the images",
        why=f"an image is called {shown(images[0])}",
        hint=NAMING,
    )


def _id_column(table: Table, images: Sequence[str], naming: Naming) -> tuple[str, Form] | None:
    """The column whose values name the images, and how; None where none names any."""
    # of leaf-classification's 194 columns 193 are no ids, and a few images show it
    few = images[:: max(1, len(images) // 50)]
    matches: list[tuple[str, Form]] = []
    for name in [naming.id_column] if naming.id_column else table.header:
        ids = set(table.column(name))
        if name == naming.id_column or best_form(ids, few).matched:
            form = best_form(ids, images)
            matches.append((name, form))
    if not any(form.matched for _, form in matches):
        return None
    best_match = max(map(_quality, matches))
    best = [match for match in matches if _quality(match) == best_match]
    if len(best) > 1:  # an id stands once
        best = [each for each in best if table.is_unique(each[0])] or best
    if len(best) > 1:
        best = [each for each in best if plain_name(each[0]) in _ID_NAMES] or best
    name, form = best[0]
    rows = _rows_of(table, name, form, images)
    for other, its_form in best[1:]:
        if _rows_of(table, other, its_form, images) != rows:
            raise DlError(
                f"Which column of {shown(table.file)} names the images is not plain",
                why=f"`{shown(name)}` and `{shown(other)}` both do",
                hint="Name it: `--id-column NAME`.",
            )
    return name, form


def _quality(match: tuple[str, Form]) -> tuple[int, bool]:
    """How well a column names the images: how many of them, and as they are written or not."""
    _, form = match
    return form.matched, not form.ids


def _rows_of(
    table: Table, id_column: str, form: Form, images: Sequence[str]
) -> dict[str, list[int]]:
    """The numbers of each image's rows."""
    numbers: dict[str, list[int]] = {}
    for number, value in enumerate(table.column(id_column)):
        numbers.setdefault(value, []).append(number)
    return {image: numbers[key] for image in images if (key := form.of(image)) in numbers}


def _require_rows(
    table: Table, id_column: str, rows: Mapping[str, list[int]], images: Sequence[str]
) -> None:
    """Refuse images without a row, and a row that stands for several images."""
    if missing := [image for image in images if image not in rows]:
        raise DlError(
            f"{len(missing):,} of {len(images):,} images to learn from have no row in "
            f"{shown(table.file)}, as {shown(missing[0])}",
            why=f"rows and images were matched by column `{shown(id_column)}`",
            hint="Add the rows, or move these images away; or name another file or column: "
            "`--labels FILE`, `--id-column NAME`.",
        )
    first: dict[int, str] = {}
    for image, (number, *_) in rows.items():
        if number in first:
            raise DlError(
                f"A row of {shown(table.file)} stands for two images, {shown(first[number])} and "
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
                f"{len(bad):,} images {problem} in {shown(table.file)}, as {shown(bad[0])}",
                why=f"its row has `{shown(id_column)}` `{shown(form.of(bad[0]))}`",
                hint="Mend the rows, or name another column: `--label-column NAME`.",
            )
    for image, label in {label: (image, label) for image, label in of.items()}.values():
        require_folder_name(label, f"{shown(image)} in {shown(table.file.name)}")
    return of


def _the_one(found: list[Labels]) -> Labels:
    """The labels of several files, where they are the same or only one file's surely are labels."""
    sure = [labels for labels in found if labels.is_sure] or found
    for other in sure[1:]:
        if other.of != sure[0].of:
            raise DlError(
                "Which CSV holds the labels is not plain",
                why=f"{shown(sure[0].file.name)} and {shown(other.file.name)} both name all images",
                hint="Name it: `--labels FILE`.",
            )
    return sure[0]

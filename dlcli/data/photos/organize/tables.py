"""CSVs as tables, and the ways in which their values name images.

A value is an image's name or path, with or without suffix, or its number: 1 for 0001.jpg.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from dlcli.errors import DlError
from dlcli.files.formats import read_csv, read_text
from dlcli.files.paths import shown
from dlcli.words import composed

# The byte order marks of UTF-16, as they look when read as UTF-8.
_UTF_16 = ("\udcff\udcfe", "\udcfe\udcff")
# One-hot labels of thousands of classes have fewer; each column is read once per row.
_MOST_COLUMNS = 10_000
_MOST_MISSING = 10_000_000


@dataclass(frozen=True)
class Table:
    """A CSV's rows, as text.

    Args:
        file: where it was read.
        header: the columns' names.
        rows: their cells; a row may be shorter than the header.
    """

    file: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @cached_property
    def _places(self) -> dict[str, int]:
        # where two columns have the same name, the first counts
        return {name: place for place, name in reversed([*enumerate(self.header)])}

    def column(self, name: str) -> tuple[str, ...]:
        """A column's cells, stripped of blanks; "" where a row is too short."""
        place = self._places[name]
        return tuple(row[place] if place < len(row) else "" for row in self.rows)

    def ids(self, name: str) -> tuple[str, ...]:
        """A column's cells as names of images: in Unicode form NFC, as `Form.of` gives names."""
        return tuple(composed(cell) for cell in self.column(name))

    def is_unique(self, name: str) -> bool:
        """Whether no value of a column occurs twice."""
        cells = self.ids(name)
        return len(set(cells)) == len(cells)


@dataclass(frozen=True)
class Form:
    """How a value names an image.

    Args:
        parts: how many parts of the image's path: 1 is its name.
        has_suffix: whether the suffix, `.jpg`, is included.
        matched: how many images it matched.
        ids: the values by number, where images are matched by number.
    """

    parts: int
    has_suffix: bool
    matched: int = 0
    ids: Mapping[int, str] = field(default_factory=dict, hash=False)

    def of(self, image: str) -> str:
        """The value that names an image, in Unicode form NFC."""
        tail = composed("/".join(image.rsplit("/", self.parts)[-self.parts :]))
        value = tail if self.has_suffix else tail.rpartition(".")[0]
        return self.ids.get(int(value), value) if self.ids and _is_number(value) else value


def read_table(file: Path, *, is_named: bool = False) -> Table | None:
    """Read a CSV; None where it can't be read as one and the user did not name it.

    Raises:
        DlError: the user named it, and it is not a CSV.
    """
    try:
        rows = _rows(file)
    except (DlError, FileNotFoundError):
        if is_named:
            raise
        return None
    header, *rest = rows
    cells = [tuple(_value(cell) for cell in row) for row in rest if any(row)]
    return Table(file, tuple(name.strip() for name in header), tuple(cells))


def require_tables(files: Iterable[Path]) -> None:
    """Refuse CSVs that can't be read.

    Raises:
        DlError: names the first of them, and what is wrong with it.
    """
    for file in filter(Path.exists, files):  # leaves out broken links
        read_table(file, is_named=True)


def _rows(file: Path) -> list[list[str]]:
    """A CSV's rows, at least one.

    Raises:
        DlError: it is empty, not in UTF-8, not a CSV, or has too many columns.
    """
    text = read_text(file)
    if text.startswith(_UTF_16):
        why = "it is UTF-16, not UTF-8"
        raise _unusable(file, why, "Save it as UTF-8, as `iconv -f UTF-16 -t UTF-8` does.")
    try:
        text.encode()
    except UnicodeEncodeError as error:  # bytes that were not UTF-8 are surrogates
        why = f"line {text.count(chr(10), 0, error.start) + 1} is not UTF-8"
        hint = "Save it as UTF-8, as `iconv -f LATIN1 -t UTF-8` does."
        raise _unusable(file, why, hint) from error
    try:
        rows = read_csv(file, _separator(text))
    except DlError as error:
        # after an open quote the reader takes all the rest as one cell
        why = f"a quote may be left open: {error.why}"
        raise _unusable(file, why, "Mend it.") from error
    if not any(map(any, rows)):
        raise _unusable(file, "it is empty", "Download it again.")
    if why := _fault_of_width(rows):
        raise _unusable(file, why, "Keep only its columns of names and labels.")
    return rows


def _fault_of_width(rows: Sequence[Sequence[str]]) -> str:
    """Why a CSV has too many columns, or too few cells for them; "" where it has not."""
    width = len(rows[0])
    if width > _MOST_COLUMNS:
        return f"it has {width:,} columns; expected at most {_MOST_COLUMNS:,}"
    missing = sum(max(0, width - len(row)) for row in rows)
    if missing > _MOST_MISSING:
        return f"its rows have {missing:,} cells fewer than its {width:,} columns"
    return ""


def _unusable(file: Path, why: str, hint: str) -> DlError:
    return DlError(
        f"{shown(file)} can't be used", why=why, hint=f"{hint} Or name another: `--labels FILE`."
    )


class Names:
    """The values that name some images in each form, computed when a column first needs them.

    Args:
        images: their paths.
    """

    def __init__(self, images: Sequence[str]) -> None:
        self._images = images
        deepest = max((image.count("/") + 1 for image in images), default=1)
        self._forms = [
            Form(parts, has_suffix)
            for parts in range(1, deepest + 1)
            for has_suffix in (False, True)
        ]
        self._counts: dict[Form, Counter[str]] = {}

    def best_form(self, ids: Set[str]) -> Form:
        """The form in which some values name the most images; the shortest of equally good forms.

        Values are compared as numbers, not as text, only if that matches more images.
        """
        best = Form(1, has_suffix=False)
        for form in self._forms:
            counts = self._counts_in(form)
            matched = sum(counts[value] for value in counts.keys() & ids)
            if matched > best.matched:
                best = replace(form, matched=matched)
            if matched == len(self._images):
                return best  # no other form names more
        by_number = _by_number(ids) if self._numbers else {}
        matched = len(by_number.keys() & self._numbers)
        if matched > best.matched:
            return Form(1, has_suffix=False, matched=matched, ids=by_number)
        return best

    def _counts_in(self, form: Form) -> Counter[str]:
        """How many images each value names."""
        if form not in self._counts:
            self._counts[form] = Counter(map(form.of, self._images))
        return self._counts[form]

    @cached_property
    def _numbers(self) -> Set[int]:
        """The images' numbers; empty where an image's name is not a number, or two are equal."""
        stems = (image.rpartition("/")[2].rpartition(".")[0] for image in self._images)
        return _by_number(stems).keys()


def best_form(ids: Set[str], images: Sequence[str]) -> Form:
    """The form in which some values name the most images, for a single column."""
    return Names(images).best_form(ids)


def _by_number(values: Iterable[str]) -> dict[int, str]:
    """Values by their numbers; {} where one is not a number, or two are equal."""
    found = [*values]
    by_number = {int(value): value for value in found if _is_number(value)}
    return by_number if len(by_number) == len(found) else {}


def _is_number(value: str) -> bool:
    return re.fullmatch(r"[0-9]{1,18}", value) is not None


def _separator(text: str) -> str:
    """The separator of a CSV's cells: a comma, unless the header only has another."""
    header = text.partition("\n")[0]
    others = [each for each in ";\t" if each in header]
    return others[0] if len(others) == 1 and "," not in header else ","


def plain_name(column: str) -> str:
    """A column's name in lower case, letters and digits alone: "imageid" for "Image_ID"."""
    return re.sub(r"[\W_]", "", column.lower())


def _value(cell: str) -> str:
    return cell.strip().removeprefix("./")

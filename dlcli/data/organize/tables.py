"""CSVs as tables, and how their values may name images.

By name or path, with or without suffix; or by number, as 1 does 0001.jpg.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from dlcli.errors import DlError
from dlcli.files.formats import read_csv, read_text
from dlcli.files.paths import shown

# The byte order marks of UTF-16, as they come where UTF-8 is read.
_UTF_16 = ("\udcff\udcfe", "\udcfe\udcff")


@dataclass(frozen=True)
class Table:
    """A CSV's rows, as text.

    Args:
        file: where it was read.
        header: the columns' names.
        rows: their cells; a row may be short.
    """

    file: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @cached_property
    def _columns(self) -> dict[str, tuple[str, ...]]:
        width = len(self.header)
        whole = [(*row, *[""] * (width - len(row))) for row in self.rows]
        # of two columns of a name the first counts
        columns = zip(self.header, zip(*whole, strict=False), strict=False)
        return dict(reversed([*columns])) if whole else dict.fromkeys(self.header, ())

    def column(self, name: str) -> tuple[str, ...]:
        """A column's cells, without the blanks around them."""
        return self._columns[name]

    def is_unique(self, name: str) -> bool:
        """Whether no value stands in a column twice."""
        cells = self.column(name)
        return len(set(cells)) == len(cells)


@dataclass(frozen=True)
class Form:
    """How a value names an image.

    Args:
        parts: how much of the image's path: 1 is its name.
        has_suffix: whether with `.jpg`.
        matched: how many images were found by it.
        ids: the values by their numbers, where those are what counts.
    """

    parts: int
    has_suffix: bool
    matched: int = 0
    ids: Mapping[int, str] = field(default_factory=dict)

    def of(self, image: str) -> str:
        """The value that names an image."""
        tail = "/".join(image.split("/")[-self.parts :])
        value = tail if self.has_suffix else tail.rpartition(".")[0]
        return self.ids.get(int(value), value) if self.ids and _is_number(value) else value


def read_table(file: Path, *, is_named: bool = False) -> Table | None:
    """Read a CSV; None where it is none, and nobody said that it was.

    Raises:
        DlError: it is named, and is no CSV.
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
    """Refuse CSVs that can't be read, where something is wanted of them.

    Raises:
        DlError: the first of them, and what is wrong with it.
    """
    for file in filter(Path.exists, files):  # or a link to nowhere
        read_table(file, is_named=True)


def _rows(file: Path) -> list[list[str]]:
    """A CSV's rows, of which there is one at least.

    Raises:
        DlError: it is empty, UTF-16, or no CSV.
    """
    text = read_text(file)
    if text.startswith(_UTF_16):
        why = "it is UTF-16, not UTF-8"
        raise _unusable(file, why, "Save it as UTF-8, as `iconv -f UTF-16 -t UTF-8` does.")
    try:
        rows = read_csv(file, _separator(text))
    except DlError as error:
        # to the reader all that follows an open quote is one cell
        why = f"a quote may be left open: {error.why}"
        raise _unusable(file, why, "Mend it.") from error
    if not any(map(any, rows)):
        raise _unusable(file, "it is empty", "Download it again.")
    return rows


def _unusable(file: Path, why: str, hint: str) -> DlError:
    return DlError(
        f"{shown(file)} can't be used", why=why, hint=f"{hint} Or name another: `--labels FILE`."
    )


def best_form(ids: Set[str], images: Sequence[str]) -> Form:
    """The form in which some values name most of the images; the shortest of equally good ones.

    Numbers count, and not how they are written, where otherwise fewer images would be found.
    """
    deepest = max((image.count("/") + 1 for image in images), default=1)
    best = Form(1, has_suffix=False)
    for parts in range(1, deepest + 1):
        for has_suffix in (False, True):
            form = Form(parts, has_suffix)
            matched = sum(form.of(image) in ids for image in images)
            if matched > best.matched:
                best = Form(parts, has_suffix, matched)
    form = Form(1, has_suffix=False, ids=_by_number(ids))
    if best.matched < len(images) and form.ids:
        stems = [image.rpartition("/")[2].rpartition(".")[0] for image in images]
        matched = sum(form.of(image) in ids for image in images)
        if matched > best.matched and _by_number(stems):
            return replace(form, matched=matched)
    return best


def _by_number(values: Iterable[str]) -> dict[int, str]:
    """Values by their numbers; nothing where one is no number, or two are the same."""
    found = [*values]
    by_number = {int(value): value for value in found if _is_number(value)}
    return by_number if len(by_number) == len(found) else {}


def _is_number(value: str) -> bool:
    return re.fullmatch(r"[0-9]{1,18}", value) is not None


def _separator(text: str) -> str:
    """What stands between a CSV's cells: a comma, unless only another is in its header."""
    header = text.partition("\n")[0]
    others = [each for each in ";\t" if each in header]
    return others[0] if len(others) == 1 and "," not in header else ","


def plain_name(column: str) -> str:
    """A column's name without what people write differently: "imageid" for "Image_ID"."""
    return re.sub(r"[\W_]", "", column.lower())


def _value(cell: str) -> str:
    return cell.strip().removeprefix("./")

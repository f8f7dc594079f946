"""Tables in text files, read in blocks of rows: a file of 20 million rows takes a few MB of memory.

The cells of a row stand between commas, semicolons, tabs, `|` or MovieLens' `::`. The first row may
hold the columns' names.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.errors import DlError
from dlcli.files.formats import opened
from dlcli.files.paths import shown
from dlcli.words import count, short, written

if TYPE_CHECKING:
    from _csv import Reader

# 1,000 million ratings with times, in bytes.
MOST_BYTES = 1 << 36
# About 80,000 rows, which take 30 MB as Python's objects.
_READ_CHARACTERS = 1 << 21
# Python looks at all lists whenever a quarter of them is new, so there are few at a time.
_QUOTED_ROWS = 10_000
# A row of text that never ends would fill the memory.
_MOST_LINE = 1 << 22
_MOST_COLUMNS = 1_000
_SEPARATORS = ("::", "\t", ",", ";", "|")
# These have no quotes: a quotation mark in a title is one.
_WITHOUT_QUOTES = ("::", "|")
# The csv module takes one character; this one is in no text.
_UNIT = "\x1f"
_QUOTE = '"'
_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Block:
    """Some rows of a table.

    Args:
        lines: the number of each row's line in the file, from 1.
        columns: the cells of each column, as many in each.
    """

    lines: Sequence[int]
    columns: Sequence[Sequence[str]]

    def rows(self) -> Iterator[tuple[str, ...]]:
        """The cells of each row."""
        return zip(*self.columns, strict=True)


@dataclass(frozen=True)
class TextTable:
    """A text file with a row on each line.

    Args:
        header: the columns' names; () if the first row is data.
        width: the number of columns.
        encoding: UTF-8; bytes that are not UTF-8 are read as surrogates. Or Latin-1.
    """

    file: Path
    separator: str
    header: tuple[str, ...]
    width: int
    encoding: str = "utf-8-sig"

    def name(self, place: int) -> str:
        """The name of a column, or its number from 1 if columns have no names."""
        return self.header[place] if self.header else str(place + 1)

    def blocks(self) -> Iterator[Block]:
        """The rows below the header, in order; empty lines are passed over.

        Raises:
            DlError: a row has more or fewer cells than the first one, or it is not a table.
        """
        with opened(self.file, MOST_BYTES) as binary:
            texts = _whole_lines(
                io.TextIOWrapper(binary, self.encoding, "surrogateescape"), self.file
            )
            has_header, first = bool(self.header), 1
            for text in texts:
                if _QUOTE in text and self.separator not in _WITHOUT_QUOTES:
                    # a quoted cell may end in a later text, so there is no way back
                    yield from self._quoted(chain([text], texts), first, has_header)
                    return
                lines = text.split("\n")
                numbers: Sequence[int] = range(first, first + len(lines))
                first += len(lines)
                if set(map(methodcaller("count", self.separator), lines)) != {self.width - 1}:
                    numbers, lines = self._without_empty(numbers, lines)
                if has_header and lines:
                    has_header, numbers, lines = False, numbers[1:], lines[1:]
                if lines:
                    # much quicker than by the csv module, for lack of a list for each row
                    cells = self.separator.join(lines).split(self.separator)
                    yield Block(numbers, [cells[n :: self.width] for n in range(self.width)])

    def _without_empty(
        self, numbers: Sequence[int], lines: list[str]
    ) -> tuple[list[int], list[str]]:
        """Lines without empty ones, with their numbers."""
        kept = [n for n, line in enumerate(lines) if line.strip()]
        for n in kept:
            self._require_width(numbers[n], lines[n].count(self.separator) + 1)
        return [numbers[n] for n in kept], [lines[n] for n in kept]

    def _quoted(self, texts: Iterator[str], first: int, has_header: bool) -> Iterator[Block]:
        """The blocks of texts in which cells may be quoted."""
        reader = _reader((line for text in texts for line in text.split("\n")), self.separator)
        before = first - 1
        rows: list[tuple[int, list[str]]] = []
        try:
            for row in reader:
                if not any(row):
                    continue
                if has_header:
                    has_header = False
                    continue
                number = before + reader.line_num
                self._require_width(number, len(row))
                rows.append((number, row))
                if len(rows) == _QUOTED_ROWS:
                    yield _block(rows)
                    rows = []
        except csv.Error as error:
            raise _not_a_table(self.file, f"line {before + reader.line_num}: {error}") from error
        if rows:
            yield _block(rows)

    def _require_width(self, number: int, width: int) -> None:
        if width != self.width:
            raise DlError(
                f"Line {number:,} of {shown(self.file)} has {count(width, 'cell')}",
                why=f"the first line has {self.width:,}",
                hint="Mend or remove the line.",
            )


def open_table(file: Path, *, may_be_latin: bool = False) -> TextTable:
    """Find out how a file's rows are written, from its first rows.

    Args:
        may_be_latin: read a file that is not UTF-8 as Latin-1: for text that people read. Ids keep
            their bytes.

    Raises:
        DlError: it is empty, not text, or has no columns.
    """
    with opened(file, MOST_BYTES) as binary:
        head = binary.read(_MOST_LINE)
    if head.startswith(_MARKS) or b"\0" in head:
        why = "it is in UTF-16" if head.startswith(_MARKS) else "it is not text"
        raise DlError(
            f"{shown(file)} can't be read as a table",
            why=why,
            hint="Save it as CSV in UTF-8.",
        )
    text = head.decode("utf-8-sig", "surrogateescape")
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise DlError(f"{shown(file)} is empty", hint="Name a file with a rating on each line.")
    try:
        found = {each: next(_reader(iter([first]), each, strict=False)) for each in _SEPARATORS}
    except csv.Error as error:
        raise _not_a_table(file, f"line 1: {error}") from error
    separator = max(_SEPARATORS, key=lambda each: len(found[each]))
    cells = found[separator]
    if len(cells) > _MOST_COLUMNS:
        raise _not_a_table(file, f"it has {len(cells):,} columns")
    header = () if any(map(is_number, cells)) else tuple(cell.strip() for cell in cells)
    encoding = "latin-1" if may_be_latin and not _is_utf_8(head) else "utf-8-sig"
    return TextTable(file, separator, header, len(cells), encoding)


def is_number(text: str) -> bool:
    """Whether a cell holds a number."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def plain(name: str) -> str:
    """A column's name in lower case, its letters and digits alone: "userid" for "User-ID"."""
    return re.sub(r"[\W_]", "", name.lower())


def cell_of(text: str) -> str:
    """A cell in an error."""
    return written(short(text))


def _is_utf_8(head: bytes) -> bool:
    """Whether a file's beginning is UTF-8; MovieLens' titles of up to 2003 are not."""
    try:
        (head[: head.rfind(b"\n") + 1] or head).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _whole_lines(text: io.TextIOWrapper, file: Path) -> Iterator[str]:
    """Parts of a text that end where a line does, each without its last line break."""
    rest = ""
    while read := text.read(_READ_CHARACTERS):
        lines, end, rest = (rest + read).rpartition("\n")
        if end:
            yield lines
        if len(rest) > _MOST_LINE:
            raise _not_a_table(file, f"a line has more than {_MOST_LINE:,} characters")
    if rest:
        yield rest


def _block(rows: list[tuple[int, list[str]]]) -> Block:
    numbers, cells = zip(*rows, strict=True)
    return Block(numbers, list(zip(*cells, strict=True)))


def _reader(lines: Iterator[str], separator: str, *, strict: bool = True) -> Reader:
    if separator in _WITHOUT_QUOTES:
        split = (line.replace(separator, _UNIT) for line in lines)
        return csv.reader(split, delimiter=_UNIT, quoting=csv.QUOTE_NONE)
    return csv.reader(lines, delimiter=separator, strict=strict)


def _not_a_table(file: Path, why: str) -> DlError:
    return DlError(
        f"{shown(file)} can't be read as a table", why=why, hint="Mend the file, or save it as CSV."
    )

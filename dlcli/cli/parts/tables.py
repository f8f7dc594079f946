"""Print results on stdout: tables of aligned columns, text, and JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from math import inf, isfinite
from typing import Any
from unicodedata import combining, east_asian_width

import click

from dlcli.words import printable

GAP = "  "
# The indent of a row's further lines.
BELOW = 4
# Printed for a number that is not defined.
UNDEFINED = "-"

WIDE = click.option(
    "--wide", is_flag=True, help="print all columns, even if the terminal is too narrow"
)


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    spare: Sequence[str] = (),
    *,
    remarks: bool = False,
    wide: bool = False,
    ragged: bool = False,
) -> None:
    """Print rows under a header; columns of numbers are right-aligned.

    If the terminal, or the width in `COLUMNS`, is too narrow, columns are left out, the least
    important first. If the others do not fit on a line of the terminal either, each row continues
    on further lines, and text in the last column is wrapped.

    Args:
        header: column titles.
        rows: one value per column; None prints as nothing.
        spare: titles of columns to leave out on a narrow terminal, the first one first.
        remarks: whether the last column holds remarks; no other column is left out for them.
        wide: keep all columns.
        ragged: whether rows that fit stay on one line, even if others continue on a second.
    """
    lines = [list(header), *([_text(value) for value in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    right = [
        any(rows) and all(_is_number(row[i]) or row[i] in (None, UNDEFINED) for row in rows)
        for i in range(len(header))
    ]
    places = [] if wide else [list(header).index(title) for title in spare]
    told = os.environ.get("COLUMNS", "")
    room = int(told) if told.isdecimal() else _room()
    stay = kept_columns(widths[:-1] if remarks else widths, places, room)
    if remarks:
        stay.append(len(widths) - 1)
    lines = [[line[i] for i in stay] for line in lines]
    widths, right = [widths[i] for i in stay], [right[i] for i in stay]
    needed = list(widths)
    if not right[-1]:
        needed[-1] = _longest_word((line[-1] for line in lines), _room() - BELOW)
    groups = shared_lines(needed, _room(), text=not right[-1])
    for line in lines:
        cells = list(map(_filled, line, widths, right))
        mine = groups
        if ragged and _together([*widths[:-1], _width(line[-1])]) <= _room():
            mine = [list(range(len(widths)))]
        for group in mine:
            start = "" if group is mine[0] else " " * BELOW
            start += "".join(cells[i] + GAP for i in group[:-1])
            end = cells[group[-1]].rstrip()
            if group is mine[0] or (start + end).strip():
                _print_broken(end, start)


def kept_columns(widths: Sequence[int], spare: Sequence[int], room: float) -> list[int]:
    """The numbers of the columns that fit on a line.

    Args:
        widths: of all columns.
        spare: columns to leave out, one after the other until the rest fits.
        room: the width of a line in characters.
    """
    stay = list(range(len(widths)))
    for column in spare:
        if _together(widths[i] for i in stay) <= room:
            break
        stay.remove(column)
    return stay


def shared_lines(widths: Sequence[int], room: float, *, text: bool = False) -> list[list[int]]:
    """The numbers of the columns on each line of a row: all on one line, if they fit.

    Otherwise a row breaks after its widest column, the name, and wherever a line is full; further
    lines are indented.

    Args:
        widths: of all columns.
        room: the width of a line in characters.
        text: whether the last column holds text; it alone goes to a second line, if that is enough.
    """
    columns = list(range(len(widths)))
    if _together(widths) <= room:
        return [columns]
    if text and len(columns) > 1 and _together(widths[:-1]) <= room:
        return [columns[:-1], columns[-1:]]
    lines: list[list[int]] = [[]]
    for column in columns:
        indent = BELOW if len(lines) > 1 else 0
        together = indent + _together(widths[i] for i in (*lines[-1], column))
        if lines[-1] and (together > room or column == widths.index(max(widths)) + 1):
            lines.append([])
        lines[-1].append(column)
    return lines


def fits(header: Sequence[str], rows: Sequence[Sequence[object]]) -> bool:
    """Whether a table fits on the lines of the terminal."""
    lines = [header, *([_text(value) for value in row] for row in rows)]
    return _together(max(map(_width, column)) for column in zip(*lines, strict=True)) <= _room()


def print_text(text: str, start: str = "") -> None:
    """Print a sentence, wrapped between words on a terminal."""
    _print_broken(printable(text), start)


def _print_broken(text: str, start: str) -> None:
    """Print a text after a start; further lines are indented by the width of the start."""
    indent = _width(start)
    for piece in _broken(text, _room() - indent):
        click.echo((start + piece).rstrip())
        start = " " * indent


def _broken(text: str, room: float) -> list[str]:
    """Break a text between words into lines of a width in characters."""
    if _width(text) <= room:
        return [text]
    from textwrap import wrap

    # paths are not broken, so that they can be copied
    return wrap(text, max(int(room), 1), break_on_hyphens=False, break_long_words=False)


def _room() -> float:
    """The width of the terminal in characters; infinity if stdout is not a terminal."""
    if not sys.stdout.isatty():
        return inf
    from shutil import get_terminal_size

    return get_terminal_size().columns


def _together(widths: Iterable[int]) -> int:
    """The width of columns on one line."""
    return sum(width + len(GAP) for width in widths) - len(GAP)


def _longest_word(texts: Iterable[str], most: float) -> int:
    """The width of the longest word, without those that are wider than `most`."""
    widths = (_width(word) for text in texts for word in text.split())
    return max((width for width in widths if width <= most), default=0)


def _filled(text: str, width: int, right: bool) -> str:
    fill = " " * (width - _width(text))
    return fill + text if right else text + fill


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    return printable(str(value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _width(text: str) -> int:
    """The width of a text on a terminal: wide characters take two columns, combining marks none."""
    return sum(2 if east_asian_width(c) in "WF" else 0 if combining(c) else 1 for c in text)


def emit_json(value: Any) -> None:
    """Print a result as JSON on stdout."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


def finite(value: Any) -> Any:
    """A value for JSON, with None in place of infinity and NaN, which JSON does not have."""
    return None if isinstance(value, float) and not isfinite(value) else value

"""Results on stdout: tables of aligned columns, and JSON; one way for all commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import inf, isfinite
from typing import Any
from unicodedata import combining, east_asian_width

import click

from dlcli.words import printable

GAP = "  "
# A text is broken into pieces no narrower than this, or than its longest word.
LEAST_COLUMN = 20
# How far what has no room beside its row stands in, below it.
BELOW = 4


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[object]], spare: Sequence[str] = ()
) -> None:
    """Print rows under a header; columns that hold numbers stand to the right.

    On a terminal too narrow for it, text in the last column goes on below itself, or where not even
    its words have room, in lines of their own.

    Args:
        header: column titles.
        rows: one value per column; None prints as nothing.
        spare: titles of columns that a terminal too narrow goes without, the first one first.
    """
    for title in spare:
        if not fits(header, rows):
            place = list(header).index(title)
            header = [*header[:place], *header[place + 1 :]]
            rows = [[*row[:place], *row[place + 1 :]] for row in rows]
    texts = [list(map(_text, row)) for row in rows]
    columns = range(len(header))
    right = [
        any(rows) and all(_is_number(row[i]) or row[i] is None for row in rows) for i in columns
    ]
    widths = [max([_width(header[i]), *(_width(row[i]) for row in texts)]) for i in columns]
    indent = sum(widths[:-1]) + len(GAP) * (len(header) - 1)
    below = _room(indent) < min(LEAST_COLUMN, _longest_word([header[-1], *(r[-1] for r in texts)]))
    for row in [list(header), *texts]:
        cells = []
        for i in columns:
            fill = " " * (widths[i] - _width(row[i]))
            cells.append(fill + row[i] if right[i] else row[i] + fill)
        start = "".join(cell + GAP for cell in cells[:-1])
        if below:
            click.echo(start.rstrip())
            for line in _broken(cells[-1].strip(), BELOW):
                click.echo((" " * BELOW + line).rstrip())
            continue
        for line in _broken(cells[-1], indent):
            click.echo((start + line).rstrip())
            start = " " * indent


def fits(header: Sequence[str], rows: Sequence[Sequence[object]]) -> bool:
    """Whether a table is no wider than the terminal; True where the output goes elsewhere."""
    if _room(0) == inf:
        return True
    columns = zip(header, *([_text(value) for value in row] for row in rows), strict=True)
    widths = [max(map(_width, column)) for column in columns]
    return sum(widths) + len(GAP) * (len(widths) - 1) <= _room(0)


def print_text(text: str, start: str = "") -> None:
    """Print a sentence; on a terminal too narrow for it, it goes on between words, below itself."""
    for line in _broken(printable(text), len(start)):
        click.echo(start + line)
        start = " " * len(start)


def _broken(text: str, indent: int) -> list[str]:
    """A text as it fits the terminal; whole where the output goes elsewhere."""
    room = _room(indent)
    if _width(text) <= room:
        return [text]
    from textwrap import wrap

    # a path in one piece can be copied, wherever the terminal breaks it
    return wrap(text, max(int(room), 1), break_on_hyphens=False, break_long_words=False)


def _room(indent: int) -> float:
    """Columns beyond an indent; no end of them where the output goes elsewhere."""
    if not sys.stdout.isatty():
        return inf
    from shutil import get_terminal_size

    return get_terminal_size().columns - indent


def _longest_word(texts: Sequence[str]) -> int:
    return max((_width(word) for text in texts for word in text.split()), default=0)


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
    """Columns that a text takes on a terminal: wide characters two, marks on others none."""
    return sum(2 if east_asian_width(c) in "WF" else 0 if combining(c) else 1 for c in text)


def emit_json(value: Any) -> None:
    """Print a result as JSON on stdout."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


def finite(value: Any) -> Any:
    """A value as JSON can hold it, which knows no infinity and has no word for no number."""
    return None if isinstance(value, float) and not isfinite(value) else value

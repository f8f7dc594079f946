"""Tables on stdout: aligned columns of plain text, one way for all commands."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import east_asian_width

import click

from dlcli.places import printable


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a header; columns that hold numbers stand to the right.

    Args:
        header: column titles.
        rows: one value per column; None prints as nothing.
    """
    texts = [["" if value is None else _text(value) for value in row] for row in rows]
    columns = range(len(header))
    right = [
        any(rows) and all(isinstance(row[i], int | float) or row[i] is None for row in rows)
        for i in columns
    ]
    widths = [max([_width(header[i]), *(_width(row[i]) for row in texts)]) for i in columns]
    for row in [list(header), *texts]:
        cells = []
        for i in columns:
            fill = " " * (widths[i] - _width(row[i]))
            cells.append(fill + row[i] if right[i] else row[i] + fill)
        click.echo("  ".join(cells).rstrip())


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    return printable(str(value))


def _width(text: str) -> int:
    """Columns that a text takes on a terminal: wide characters take two."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)

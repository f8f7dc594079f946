"""`history.csv`: one row per epoch, numbers to the last digit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dlcli.errors import DlError
from dlcli.files.formats import read_csv, write_csv
from dlcli.files.paths import shown


def read_history(file: Path) -> list[dict[str, float | str]]:
    """The rows, numbers as numbers; [] where there is no file.

    Raises:
        DlError: the file is damaged.
    """
    if not file.is_file():
        return []
    header, *rows = read_csv(file) or [[]]
    if not header or any(len(row) != len(header) for row in rows):
        raise DlError(
            f"{shown(file)} is damaged",
            why="expected a header and as many values in each row",
            hint="Take another run, or restore the file.",
        )
    return [dict(zip(header, map(_number, row), strict=True)) for row in rows]


def write_history(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write the file whole; all rows have the same keys. Without rows there is none."""
    if rows:
        header = list(rows[0])
        write_csv(file, [header, *([row[key] for key in header] for row in rows)])


def _number(text: str) -> float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

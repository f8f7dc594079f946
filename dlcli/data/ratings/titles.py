"""Titles of items: found in a table beside the ratings, whose ids are those of the items."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcli.data.ratings.tables import TextTable, is_number, open_table, plain
from dlcli.errors import DlError
from dlcli.files.paths import shown

# Files of titles beside ratings, the most usual first.
FILES = (
    *("movies.csv", "movie.csv", "u.item", "movies.dat", "books.csv", "items.csv", "titles.csv"),
    *("products.csv", "anime.csv", "games.csv", "songs.csv", "BX-Books.csv", "BX_Books.csv"),
    *("films.csv", "movies_metadata.csv", "artists.dat"),
)
_TITLES = ("title", "name", "booktitle", "movietitle", "itemtitle", "producttitle", "originaltitle")
# Rows that tell which column is which.
_FIRST_ROWS = 5_000
# A longer title is a description.
_MOST_CHARACTERS = 500


@dataclass(frozen=True)
class Titles:
    """What a table says about the items of a dataset.

    Args:
        by_id: titles of those items that have one.
        said: a sentence on where they are from.
    """

    by_id: Mapping[str, str]
    said: str


def titles_in(file: Path, items: Collection[str]) -> Titles:
    """The titles of items.

    The column of ids is the one that names the most items; `book_id` of goodbooks' ratings is the
    column `id` of its books, for one, not their `book_id`.

    Args:
        file: a table with a column of ids and one of titles.
        items: the ids of the items, quick to look up.

    Raises:
        DlError: it is not a table, or has no column that names the items, or none of titles.
    """
    table = open_table(file, may_be_latin=True)
    first = next(table.blocks(), None)
    columns = [cells[:_FIRST_ROWS] for cells in first.columns] if first else []
    named = [sum(cell in items for cell in set(cells)) for cells in columns]
    if not any(named):
        raise DlError(
            f"{shown(file)} has no titles of these items",
            why="no column of its first rows has their ids",
            hint="Name the file of the titles: `--titles FILE`.",
        )
    # ids are unique; a tie goes to the first
    by_place = max(range(len(columns)), key=lambda p: (named[p], len(set(columns[p])), -p))
    title_place = _title_column(table, columns, by_place)
    if title_place is None:
        raise DlError(
            f"{shown(file)} has no column of titles",
            why=f"none of {', '.join(table.header) or 'its columns'} is called `title` or `name`",
            hint="Give the column of the titles the name `title`.",
        )
    found: dict[str, str] = {}
    for block in table.blocks():
        for each, title in zip(block.columns[by_place], block.columns[title_place], strict=True):
            text = " ".join(title.split())[:_MOST_CHARACTERS]
            if each in items and text:
                found.setdefault(each, text)
    names = f"column `{shown(table.name(title_place))}` of {shown(file.name)}"
    return Titles(found, f"Titles: {names}, by `{shown(table.name(by_place))}`.")


def _title_column(table: TextTable, columns: Sequence[Sequence[str]], ids: int) -> int | None:
    usual = [plain(name) for name in table.header]
    for name in _TITLES:
        if name in usual and usual.index(name) != ids:
            return usual.index(name)
    if table.header:
        return None
    text = [
        place
        for place, cells in enumerate(columns)
        if place != ids and not any(map(is_number, cells[:1]))
    ]
    return text[0] if text else None

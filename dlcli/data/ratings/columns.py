"""Find the columns of users, items, ratings and times: by what the user names, by name, by content.

A file without names, such as MovieLens' `u.data`, is told by its cells: times are large whole
numbers, ratings are few different numbers, and users stand before items. In Amazon's files of
2018 items stand first; there the form of the ids decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from dlcli.data.ratings.tables import TextTable, cell_of, is_number, plain
from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.files.paths import shown
from dlcli.words import first_of, short

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NAMES: Mapping[str, tuple[str, ...]] = {
    "user": (
        *("userid", "user", "uid", "reviewerid", "customerid", "memberid", "readerid", "personid"),
        *("accountid", "profileid", "visitorid", "username", "customer", "reviewer", "reader"),
    ),
    "item": (
        *("itemid", "movieid", "filmid", "bookid", "parentasin", "asin", "isbn", "productid"),
        *("item", "movie", "film", "book", "product", "songid", "trackid", "artistid", "animeid"),
        *("gameid", "jokeid", "businessid", "recipeid", "articleid", "mid", "iid"),
    ),
    "rating": ("rating", "ratings", "bookrating", "score", "stars", "overall", "preference"),
    "time": (
        *("timestamp", "unixreviewtime", "time", "datetime", "date", "ratedat", "createdat"),
        *("dateadded", "reviewtime", "ts"),
    ),
}
# Columns that number the rows.
_ROW_NUMBERS = ("", "id", "index", "rowid", "unnamed0")
# Amazon's ids: a user is A and 10 to 20 letters or digits, an item B and 9, or the ISBN of a book.
_AMAZON_USER = re.compile(r"A[0-9A-Z]{10,20}|A[0-9A-Z]{26,29}")
_AMAZON_ITEM = re.compile(r"B[0-9A-Z]{9}|[0-9]{9}[0-9X]")

# Seconds since 1970, from 1973 to 2096; in milliseconds above.
_EARLIEST, _LATEST = 10**8, 4 * 10**9
_DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?Z?")
# A larger rating is none: an id, or a time.
MOST_RATING = 1e6
# From 0 to 10 in steps of a tenth.
_MOST_GRADES = 101
# What leaves out the times.
NO_TIME = "none"


@dataclass(frozen=True)
class Naming:
    """The columns that the user names, by name or by number from 1; None: to be found."""

    user: str | None = None
    item: str | None = None
    rating: str | None = None
    time: str | None = None


NOTHING_NAMED = Naming()


@dataclass(frozen=True)
class Columns:
    """The places of the columns in a table, from 0.

    Args:
        rating: None in a file of pairs to predict.
        time: None if a file has no times.
        by_content: whether any was found by its cells alone.
    """

    user: int
    item: int
    rating: int | None = None
    time: int | None = None
    by_content: bool = False

    def names(self, table: TextTable) -> dict[str, str | None]:
        """The columns' names or numbers, by what they hold."""
        places = (self.user, self.item, self.rating, self.time)
        names = [None if place is None else table.name(place) for place in places]
        return dict(zip(_NAMES, names, strict=True))

    def described(self, table: TextTable) -> str:
        """A sentence on which columns were taken."""
        taken = ", ".join(f"{k} `{shown(v)}`" for k, v in self.names(table).items() if v)
        if not self.by_content:
            return f"Columns of {shown(table.file.name)}: {taken}."
        return (
            f"Columns of {shown(table.file.name)}, found by their content: {taken}. If that is "
            f"wrong, name them, such as `--user-column {shown(table.name(self.item))} "
            f"--item-column {shown(table.name(self.user))}`."
        )


def named_columns(table: TextTable, naming: Naming = NOTHING_NAMED) -> dict[str, int]:
    """The columns that the user names, or that have usual names.

    Raises:
        DlError: the user names a column that the table lacks, or one twice.
    """
    found: dict[str, int] = {}
    for field in fields(naming):
        name = getattr(naming, field.name)
        if name is not None and not (field.name == "time" and name == NO_TIME):
            place = _place_of(table, name, field.name)
            if place in found.values():
                raise DlError(
                    f"Column `{shown(name)}` can't hold two things",
                    why="it is named twice",
                    hint="Name another column.",
                    exit_code=ExitCode.USAGE,
                )
            found[field.name] = place
    usual = [plain(name) for name in table.header]
    for kind, names in _NAMES.items():
        if kind == "time" and naming.time == NO_TIME:
            continue
        places = [usual.index(name) for name in names if name in usual]
        free = [place for place in places if place not in found.values()]
        if kind not in found and free:
            found[kind] = free[0]
    return found


def find_columns(
    table: TextTable, cells: Sequence[Sequence[str]], naming: Naming = NOTHING_NAMED
) -> Columns:
    """Find the columns of a table of ratings.

    Args:
        cells: of each column, in the table's first rows.
        naming: what the user says.

    Raises:
        DlError: it has too few columns, or which holds what can't be told.
    """
    if table.width < 3:
        columns = f"{table.width} columns" if table.width > 1 else "one column"
        raise DlError(
            f"{shown(table.file)} has {columns}",
            why="ratings need three: the user, the item and the rating",
            hint="Name another file. If other signs than `,` `;` `|` `::` or tabs stand between "
            "the cells, save it as CSV.",
        )
    found = named_columns(table, naming)
    row_numbers = {p for p, name in enumerate(table.header) if plain(name) in _ROW_NUMBERS}
    by_name = set(found)
    rest = [p for p in range(table.width) if p not in found.values() and p not in row_numbers]
    may_have_times = naming.time != NO_TIME and not table.header and len(rest) + len(found) > 3
    if "time" not in found and may_have_times:
        times = [place for place in rest if _are_times(cells[place])]
        if times:
            found["time"] = times[-1]
            rest.remove(times[-1])
    if "rating" not in found:
        numeric = [place for place in rest if _are_ratings(cells[place])]
        if not numeric:
            raise _unclear(table, "rating", "no other column holds numbers")
        few = [place for place in numeric if len(set(cells[place])) <= _MOST_GRADES]
        # the third column nearly always; a user with all of the first rows has fewer numbers
        found["rating"] = 2 if 2 in few else min(numeric, key=lambda p: len(set(cells[p])))
        rest.remove(found["rating"])
    missing = [kind for kind in ("user", "item") if kind not in found]
    if missing and (len(rest) < len(missing) or (table.header and len(rest) > len(missing))):
        raise _unclear(table, missing[0], "none has a usual name")
    if len(missing) == 2 and _item_first(cells[rest[0]], cells[rest[1]]):
        missing.reverse()
    found |= dict(zip(missing, rest, strict=False))
    return Columns(**found, by_content=bool(set(found) - by_name))


def ratings_in(cells: Sequence[str], lines: Sequence[int], table: TextTable) -> NDArray:
    """The ratings of a column.

    Returns:
        float32 array of shape (n,).

    Raises:
        DlError: a cell is not a number, or is infinite or absurdly large; names its line.
    """
    import numpy as np

    try:
        ratings = np.fromiter(map(float, cells), np.float64, len(cells))
        if (np.abs(ratings) <= MOST_RATING).all() and "_" not in "".join(cells):
            return ratings.astype(np.float32)
    except ValueError:
        pass
    faulty = [place for place, cell in enumerate(cells) if not _is_rating(cell)]
    first = cells[faulty[0]]
    why = f"{cell_of(first)} is not a number"
    if not first.strip():
        why = "the cell is empty"
    elif is_number(first):
        why = f"{cell_of(first)} is not a rating"
    also = f" The same is true of {len(faulty) - 1:,} of the lines after it." if faulty[1:] else ""
    raise DlError(
        f"Line {lines[faulty[0]]:,} of {shown(table.file)} has no rating",
        why=why,
        hint=f"Mend or remove the line: `dl` does not guess a rating.{also}",
    )


def times_in(cells: Sequence[str], lines: Sequence[int], table: TextTable) -> NDArray:
    """The times of a column, given as seconds or milliseconds since 1970, or as 2015-03-31 12:30.

    Returns:
        int64 array of shape (n,), seconds since 1970 in UTC.

    Raises:
        DlError: a cell is not a time; names its line.
    """
    import numpy as np

    try:
        try:
            times = np.fromiter(map(int, cells), np.int64, len(cells))
        except ValueError:
            if not _DATE.fullmatch(cells[0].strip()):
                seconds = np.fromiter(map(float, cells), np.float64, len(cells))
                seconds[~np.isfinite(seconds)] = np.iinfo(np.int64).min
                times = seconds.astype(np.int64)
            else:
                dates = [cell.strip().removesuffix("Z") for cell in cells]
                times = np.array(dates, "datetime64[s]").astype(np.int64)
        in_milliseconds = np.abs(times) > _LATEST * 10
        times[in_milliseconds] //= 1000
        if (times > -_LATEST * 10).all() and (times < _LATEST * 10).all():
            return times
    except (ValueError, OverflowError):
        pass
    faulty = next((p for p, cell in enumerate(cells) if not _is_time(cell)), 0)
    raise DlError(
        f"Line {lines[faulty]:,} of {shown(table.file)} has no time that `dl` can read",
        why=f"expected seconds since 1970, or a date such as 2015-03-31 12:30:00, found "
        f"{cell_of(cells[faulty])}",
        hint="Mend the line, or leave the times out: `--time-column none`.",
    )


def are_times(cells: Sequence[str]) -> bool:
    """Whether all cells of a column with the name of times can be read as times."""
    return all(map(_is_time, cells))


def _place_of(table: TextTable, name: str, kind: str) -> int:
    if name in table.header:
        return table.header.index(name)
    alike = [place for place, each in enumerate(table.header) if plain(each) == plain(name)]
    if alike:
        return alike[0]
    if name.isdecimal() and 1 <= int(name) <= table.width:
        return int(name) - 1
    known = table.header or tuple(map(str, range(1, table.width + 1)))
    raise DlError(
        f"{shown(table.file)} has no column `{shown(name)}`",
        why=f"`--{kind}-column` names it",
        hint=did_you_mean(name, known),
        exit_code=ExitCode.USAGE,
    )


def _unclear(table: TextTable, kind: str, why: str) -> DlError:
    known = table.header or [f"column {place + 1}" for place in range(table.width)]
    return DlError(
        f"Can't tell which column of {shown(table.file)} holds the {kind}s",
        why=f"of {first_of([f'`{shown(short(name))}`' for name in known], 6)}, {why}",
        hint=f"Name it: `--{kind}-column NAME`.",
    )


def _item_first(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether the first of two columns has the form of Amazon's items, the second of its users."""

    def share(cells: Sequence[str], form: re.Pattern[str]) -> float:
        return sum(form.fullmatch(cell) is not None for cell in cells) / max(len(cells), 1)

    return share(first, _AMAZON_ITEM) > 0.5 and share(second, _AMAZON_USER) > 0.5


def _are_times(cells: Sequence[str]) -> bool:
    def is_plausible(cell: str) -> bool:
        if _DATE.fullmatch(cell.strip()):
            return True
        if not is_number(cell):
            return False
        seconds = float(cell)
        return _EARLIEST <= (seconds / 1000 if seconds > _LATEST * 10 else seconds) <= _LATEST

    return all(map(is_plausible, cells))


def _are_ratings(cells: Sequence[str]) -> bool:
    # one that can't be read is an error later; it must not hide the column
    good = sum(map(_is_rating, cells))
    return good > 0.5 * len(cells)


def _is_rating(cell: str) -> bool:
    return is_number(cell) and abs(float(cell)) <= MOST_RATING


def _is_time(cell: str) -> bool:
    if is_number(cell):
        return abs(float(cell)) < _LATEST * 10_000
    return bool(_DATE.fullmatch(cell.strip()))

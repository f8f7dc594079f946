"""CSVs of pixels, such as digit-recognizer's: draw their rows as grey PNGs.

    label,pixel0,pixel1,...,pixel783    train.csv: one row is one square image, pixels 0-255
    pixel0,pixel1,...,pixel783          test.csv: to predict

An image is named by the number of its row, from 1, as in the submissions of such competitions.
"""

# These run for every image, and making a Path costs more than the system call.
# ruff: noqa: PTH103, PTH123

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from math import isqrt
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dlcli.data.photos.organize.labels import fault_of_name, require_folder_name
from dlcli.data.photos.organize.layout import split_of
from dlcli.errors import DlError
from dlcli.files.atomic import require_room
from dlcli.files.paths import shown
from dlcli.progress import Bar, track

if TYPE_CHECKING:
    import numpy as np

# The header of 300 x 300 pixels takes a megabyte.
_MOST_HEADER_BYTES = 1 << 20
_ROWS_AT_ONCE = 1000
_MOST_NAMED = 3


@dataclass(frozen=True)
class PixelTable:
    """A CSV of pixels, as described by its header.

    Args:
        file: the CSV.
        side: pixels a side.
        first: the index of the first pixel's column; the others follow.
        label: the index of the label's column; None where there is none.
        id: the index of the column that names the images; None where row numbers name them.
        width: the number of columns.
    """

    file: Path
    side: int
    first: int
    label: int | None
    id: int | None
    width: int

    @property
    def split(self) -> str:
        """ "test" without labels or by its file name; else "train" or "valid"."""
        words = map(split_of, re.split(r"[-_ .]", self.file.stem))
        named = next((word for word in words if word), "train")
        return "test" if self.label is None else named


def pixel_table(file: Path) -> PixelTable | None:
    """The table that a CSV's header describes; None where it is not a CSV of square images."""
    names = _header(file)
    places, labels, ids = _places(names)
    if not places or _fault(names, file.name):
        return None
    label, its_id = (next(iter(found), None) for found in (labels, ids))
    side = isqrt(len(places))
    return PixelTable(file, side, first=places[0], label=label, id=its_id, width=len(names))


def fault_of_pixels(file: Path) -> str:
    """Why a CSV with columns of pixels can't be drawn; "" where it can, or has no such columns."""
    return _fault(_header(file), shown(file.name))


def _header(file: Path) -> list[str]:
    """The columns' names, normalised; [] where the first line doesn't end."""
    with file.open("rb") as content:
        line = content.readline(_MOST_HEADER_BYTES)
    if not line.endswith(b"\n"):
        return []
    cells = line.decode("utf-8-sig", "replace").split(",")
    return [name.strip().strip('"').lower() for name in cells]


def _places(names: Sequence[str]) -> tuple[list[int], list[int], list[int]]:
    """The indices of the columns of pixels, of those named like ids, and of all others."""
    pixels: list[int] = []
    others: list[int] = []
    for place, name in enumerate(names):
        (pixels if re.fullmatch(r"pixel\d+", name) else others).append(place)
    ids = [place for place in others if names[place] in ("id", "imageid", "image_id")]
    return pixels, [place for place in others if place not in ids], ids


def _fault(names: Sequence[str], file: str) -> str:
    """Why a header's pixels don't make an image; "" where they do."""
    places, labels, ids = _places(names)
    count = len(places)
    if not count:
        return ""
    if count < 4 or isqrt(count) ** 2 != count:
        return f"{file} has {count} columns of pixels; expected a square number, at least 4"
    numbers = [int(names[place][5:]) for place in places]
    if any(each != [*range(each[0], each[0] + count)] for each in (places, numbers)):
        first, last = names[places[0]], names[places[-1]]
        return f"the columns `{first}` to `{last}` of {file} are not in order"
    if more := next((found for found in (labels, ids) if len(found) > 1), None):
        beside = ", ".join(f"`{shown(names[place])}`" for place in more[:_MOST_NAMED])
        return f"besides its pixels {file} has {beside}; expected one label and one id at most"
    return ""


def draw(tables: Sequence[PixelTable], into: Path, *, hollow: bool = False) -> str:
    """Draw all images of some tables as `train/<label>/<number>.png` and `test/<number>.png`.

    The files get the time of their CSV, so that drawing them again changes no fingerprint.

    Args:
        into: the folder.
        hollow: make empty files instead.

    Returns:
        what was drawn, as a sentence.

    Raises:
        DlError: a row is not an image, or a label can't name a folder.
    """
    splits = [table.split for table in tables]
    drawn, taken = [], dict[str, str]()
    for table in tables:
        stem = table.file.stem
        alone = splits.count(table.split) == 1 or split_of(stem) == table.split
        prefix = "" if alone else f"{stem}-"
        count = _draw(table, into / table.split, prefix, taken, hollow)
        drawn.append(f"{count:,} images of {table.side}x{table.side} from {shown(table.file.name)}")
    called = "" if any(table.id is not None for table in tables) else ", named by row number"
    return f"Drew {' and '.join(drawn)}{called}."


def _draw(table: PixelTable, into: Path, prefix: str, taken: dict[str, str], hollow: bool) -> int:
    """Draw one table's images, and return how many there are.

    Args:
        prefix: what their names begin with.
        taken: the names used so far in all splits, and by which row; grows.
    """
    with table.file.open("rb") as content:
        total = sum(chunk.count(b"\n") for chunk in iter(lambda: content.read(1 << 20), b"")) - 1
    seconds = table.file.stat().st_mtime
    into.mkdir(parents=True, exist_ok=True)
    if not hollow:
        require_room(into, repeat(table.side**2, total), f"to draw {shown(table.file.name)}")
    with (
        table.file.open(encoding="utf-8-sig", errors="surrogateescape") as content,
        track(f"draw {shown(table.file.name)}:", total, "images") as bar,
    ):
        content.readline()
        for start, lines in _batches(content):
            folders = _folders(table, into, lines, start)
            names = _names(table, lines, start, prefix, taken)
            paths = [f"{a}/{b}" for a, b in zip(folders, names, strict=True)]
            for folder in set(folders):
                os.makedirs(folder, exist_ok=True)
            pixels = None if hollow else _pixels(table, lines, start)
            _write(paths, pixels, seconds, bar)
        return bar.done


def _write(paths: list[str], pixels: np.ndarray | None, seconds: float, bar: Bar) -> None:
    from PIL import Image

    for number, path in enumerate(paths):
        if pixels is None:
            Path(path).touch()
        else:
            with open(path, "xb") as file:
                # level 1: images this small take one block of the disk at any level
                Image.fromarray(pixels[number]).save(file, "PNG", compress_level=1)
            os.utime(path, (seconds, seconds))
        bar.advance()


def _batches(content: IO[str]) -> Iterator[tuple[int, list[str]]]:
    """Batches of rows, each with the number of its first row, counted from 1."""
    rows = (line for line in content if line.strip())
    start = 1
    while lines := [*islice(rows, _ROWS_AT_ONCE)]:
        yield start, lines
        start += len(lines)


def _folders(table: PixelTable, into: Path, lines: Sequence[str], start: int) -> list[str]:
    if table.label is None or table.split == "test":
        return [str(into)] * len(lines)
    labels = _cells(lines, table.label)
    for label, number in dict(zip(labels, range(start, start + len(lines)), strict=True)).items():
        require_folder_name(label, f"row {number:,} of {shown(table.file.name)}")
    return [f"{into}/{label}" for label in labels]


def _names(
    table: PixelTable, lines: Sequence[str], start: int, prefix: str, taken: dict[str, str]
) -> list[str]:
    """The names of the rows' images; for the arguments see `_draw`.

    Raises:
        DlError: an id can't name a file, or another image of the split has the name.
    """
    numbers = range(start, start + len(lines))
    ids = [*map(str, numbers)] if table.id is None else _cells(lines, table.id)
    names = [f"{prefix}{each}.png" for each in ids]
    for number, each, name in zip(numbers, ids, names, strict=True):
        if why := fault_of_name(each) or fault_of_name(name):
            raise _bad_id(table, each, number, why)
        mine = f"row {number:,} of {shown(table.file.name)}"
        if (other := taken.setdefault(f"{table.split}/{name}", mine)) != mine:
            raise DlError(
                f"{shown(table.file.name)} can't be turned into images",
                why=f"the image of row {number:,} would have the same name as that of {other}: "
                f"{shown(name)}",
                hint="Leave only one of these two CSVs in the folder."
                if table.id is None
                else "Change one of the two ids, or remove the row.",
            )
    return names


def _bad_id(table: PixelTable, name: str, number: int, why: str) -> DlError:
    return DlError(
        f"The id `{shown(name[:60])}` of row {number:,} of {shown(table.file.name)} can't name an "
        "image",
        why=why,
        hint="Change it in the CSV, or remove the row.",
    )


def _cells(lines: Sequence[str], place: int) -> list[str]:
    cells = [line.split(",", place + 1) for line in lines]
    return [row[place].strip().strip('"') if place < len(row) else "" for row in cells]


def _pixels(table: PixelTable, lines: Sequence[str], start: int) -> np.ndarray:
    """Rows as images.

    Returns:
        array of shape (rows, side, side), uint8.

    Raises:
        DlError: a row has too few values, or one that is not a whole number from 0 to 255.
    """
    import numpy as np

    columns = range(table.first, table.first + table.side**2)

    def read(some: Sequence[str]) -> np.ndarray:
        return np.loadtxt(some, np.float32, delimiter=",", usecols=columns, ndmin=2, comments=None)

    try:
        values = read(lines)
    except ValueError as error:
        raise _no_pixels(table, *_first_bad(table, lines, start, read)) from error
    odd = ~((values >= 0) & (values <= 255) & (values == np.rint(values))).all(axis=1)
    if odd.any():
        raise _no_pixels(table, start + int(odd.argmax()))
    return values.astype(np.uint8).reshape(-1, table.side, table.side)


def _first_bad(
    table: PixelTable, lines: Sequence[str], start: int, read: Callable[[Sequence[str]], object]
) -> tuple[int, int | None]:
    """The first row that can't be read, and its number of values where that is too small."""
    for number, line in enumerate(lines, start):
        values = line.count(",") + 1
        if values < table.first + table.side**2:
            return number, values
        try:
            read([line])
        except ValueError:
            return number, None
    raise AssertionError("all rows can be read one by one")


def _no_pixels(table: PixelTable, number: int, values: int | None = None) -> DlError:
    row = f"row {number:,} below the header"
    return DlError(
        f"{shown(table.file.name)} can't be turned into images",
        why=f"{row} has values other than {table.side**2} whole numbers from 0 to 255"
        if values is None
        else f"{row} has {values:,} values, the header {table.width:,}",
        hint="Download it again, or mend the row.",
    )

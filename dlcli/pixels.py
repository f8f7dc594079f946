"""Images that come as a CSV of their pixels, as digit-recognizer's: drawn as grey PNGs.

    label,pixel0,pixel1,...,pixel783    train.csv: one row is one square image, pixels 0-255
    pixel0,pixel1,...,pixel783          test.csv: to predict

An image is called by the number of its row, from 1, as such competitions' submissions count.
"""

# A Path costs more than the system call, and these run for every image.
# ruff: noqa: PTH103, PTH123

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from math import isqrt
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dlcli.errors import DlError
from dlcli.labels import fault_of_name, require_folder_name
from dlcli.layouts import split_of
from dlcli.places import shown
from dlcli.progress import Bar, track
from dlcli.room import require_room

if TYPE_CHECKING:
    import numpy as np

# A header of 300 x 300 pixels has a megabyte.
_MOST_HEADER_BYTES = 1 << 20
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class PixelTable:
    """A CSV of pixels, as its header tells of it.

    Args:
        file: the CSV.
        side: pixels a side.
        first: the place of the first pixel's column; the others follow.
        label: the place of the label's column; None where there is none.
        id: the place of the column that names the images; None where their rows' numbers do.
    """

    file: Path
    side: int
    first: int
    label: int | None
    id: int | None

    @property
    def split(self) -> str:
        """ "test" for what has no labels, or is called so; else "train" or "valid"."""
        words = map(split_of, re.split(r"[-_ .]", self.file.stem))
        named = next((word for word in words if word), "train")
        return "test" if self.label is None else named


def pixel_table(file: Path) -> PixelTable | None:
    """What a CSV's header tells; None where it is no CSV of square images' pixels."""
    with file.open("rb") as content:
        line = content.readline(_MOST_HEADER_BYTES)
    names = [
        name.strip().strip('"').lower() for name in line.decode("utf-8-sig", "replace").split(",")
    ]
    places = [place for place, name in enumerate(names) if re.fullmatch(r"pixel\d+", name)]
    count = len(places)
    if count < 4 or isqrt(count) ** 2 != count or not line.endswith(b"\n"):
        return None
    numbers = [int(names[place][5:]) for place in places]
    others = [place for place in range(len(names)) if place not in {*places}]
    is_id = {place: names[place] in ("id", "imageid", "image_id") for place in others}
    ids, labels = [p for p in others if is_id[p]], [p for p in others if not is_id[p]]
    in_order = places == [*range(places[0], places[0] + count)] and numbers == [
        *range(numbers[0], numbers[0] + count)
    ]
    if not in_order or len(labels) > 1 or len(ids) > 1:
        return None
    return PixelTable(file, isqrt(count), places[0], *(next(iter(p), None) for p in (labels, ids)))


def draw(tables: Sequence[PixelTable], into: Path, *, hollow: bool = False) -> str:
    """Draw all images of some tables, `train/<label>/<number>.png` and `test/<number>.png`.

    They get their CSV's time, so that the same images are the same whenever they are drawn.

    Args:
        into: the folder.
        hollow: make empty files instead.

    Returns:
        what was drawn, as a sentence.

    Raises:
        DlError: a row that is no image, or a label that can't name a folder.
    """
    splits = [table.split for table in tables]
    drawn, taken = [], dict[str, str]()
    for table in tables:
        stem = table.file.stem
        alone = splits.count(table.split) == 1 or split_of(stem) == table.split
        prefix = "" if alone else f"{stem}-"
        count = _draw(table, into / table.split, prefix, taken, hollow)
        drawn.append(f"{count:,} images of {table.side}x{table.side} from {shown(table.file.name)}")
    called = "" if any(table.id is not None for table in tables) else ", called by their rows"
    return f"Drew {' and '.join(drawn)}{called}."


def _draw(table: PixelTable, into: Path, prefix: str, taken: dict[str, str], hollow: bool) -> int:
    """Draw one table's images; how many there are.

    Args:
        prefix: what their names begin with.
        taken: the names there are in all splits, and whose each is; grows.
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
                # level 1: of images this small the smallest file takes one block of the disk too
                Image.fromarray(pixels[number]).save(file, "PNG", compress_level=1)
            os.utime(path, (seconds, seconds))
        bar.advance()


def _batches(content: IO[str]) -> Iterator[tuple[int, list[str]]]:
    """Rows, and the number of the first, counted from 1."""
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
    """The names of rows' images; for the arguments see `_draw`.

    Raises:
        DlError: an id that can't be one, or a name that another image of the split has.
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
                f"{shown(table.file.name)} can't be drawn",
                why=f"row {number:,} would be called {shown(name)}, as {other} is",
                hint="Leave only one of the two files there."
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
        DlError: a row has other than whole numbers from 0 to 255, or too few.
    """
    import numpy as np

    columns = range(table.first, table.first + table.side**2)
    try:
        values = np.loadtxt(
            lines, np.float32, delimiter=",", usecols=columns, ndmin=2, comments=None
        )
    except ValueError as error:
        rows = f"rows {start:,} to {start + len(lines) - 1:,}"
        raise _no_pixels(table, f"{rows}, of which it is said: {error}") from error
    odd = ~((values >= 0) & (values <= 255) & (values == np.rint(values))).all(axis=1)
    if odd.any():
        raise _no_pixels(table, f"row {start + int(odd.argmax()):,}")
    return values.astype(np.uint8).reshape(-1, table.side, table.side)


def _no_pixels(table: PixelTable, where: str) -> DlError:
    return DlError(
        f"{shown(table.file.name)} can't be drawn",
        why=f"expected {table.side**2} whole numbers from 0 to 255, found others in {where}",
        hint="Download it again, or mend the row.",
    )

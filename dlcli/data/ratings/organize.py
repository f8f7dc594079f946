"""Make a dataset of a file of ratings, or of a folder or archive that holds one.

A file of 20 million rows is read once, in blocks. Users and items get numbers as they come; the
numbers are put into the order of the ids when all are known.
"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dlcli.data.dataset import SETTINGS
from dlcli.data.ratings.columns import (
    NOTHING_NAMED,
    Columns,
    Naming,
    are_times,
    find_columns,
    named_columns,
    ratings_in,
    times_in,
)
from dlcli.data.ratings.ratings import (
    ARRAYS,
    MOST_ROWS,
    PAIRS,
    TEST,
    VERSION,
    Counts,
    Ratings,
    Record,
    is_ratings,
    open_ratings,
)
from dlcli.data.ratings.store import (
    Values,
    digest_of_ids,
    in_order,
    write_array,
    write_items,
    write_record,
    write_users,
)
from dlcli.data.ratings.tables import Block, TextTable, cell_of, open_table
from dlcli.data.ratings.titles import FILES as TITLE_FILES
from dlcli.data.ratings.titles import titles_in
from dlcli.errors import DlError
from dlcli.files.archive_members import Budget
from dlcli.files.archives import can_unpack, is_archive, open_archive
from dlcli.files.atomic import aside, atomic_folder, require_room, settle_folder
from dlcli.files.formats import csv_text
from dlcli.files.own import is_litter
from dlcli.files.paths import shown
from dlcli.images.formats import has_usual_suffix
from dlcli.progress import track
from dlcli.words import first_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Files of ratings by their usual names, the most usual first.
_RATING_FILES = (
    *("ratings.csv", "rating.csv", "u.data", "ratings.dat", "BX-Book-Ratings.csv"),
    *("train.csv", "ratings.tsv", "ratings.txt", "train.txt", "interactions.csv", "reviews.csv"),
)
_TEST_FILES = ("test.csv", "test.txt", "test.tsv", "test_pairs.csv")
# `u.data` and `ratings.dat` have no names of columns; others are ratings if they have these.
_NAMELESS = ("u.data", "ratings.dat")
_NEEDED = ("user", "item", "rating")
_TABLE_SUFFIXES = (".csv", ".tsv", ".dat", ".data", ".txt", ".item")
_MOST_FILES = 1_000
# Numbers that are read and written at a time: 8 MB of times.
_STEP = 1 << 20
# Rows that tell what a column holds.
_FIRST_ROWS = 10_000
# A longer id is a text.
_MOST_ID = 1_000
SAMPLE_SUBMISSIONS = ("sample_submission.csv", "sampleSubmission.csv", "sample_submission_v2.csv")
_MOST_SUBMISSION_BYTES = 1 << 30
_RAW = {"user": "i4", "item": "i4", "rating": "f4", "time": "i8"}


@dataclass(frozen=True)
class OrganizeOptions:
    """How a dataset is made.

    Args:
        titles: the table of titles that the user names.
        naming: the columns that the user names.
    """

    titles: Path | None = None
    naming: Naming = NOTHING_NAMED


DEFAULTS = OrganizeOptions()


@dataclass(frozen=True)
class Found:
    """The files of a download.

    Args:
        ratings: the file of ratings.
        titles: of the items' titles; None if there is none.
        test: of pairs to predict, likewise.
        submission: the sample of a submission, likewise.
    """

    ratings: Path
    titles: Path | None = None
    test: Path | None = None
    submission: Path | None = None


@dataclass(frozen=True)
class Organized:
    """What was made.

    Args:
        notes: what was decided for the user, a sentence each.
    """

    ratings: Ratings
    notes: tuple[str, ...]


def holds_ratings(source: Path) -> bool:
    """Whether a download is one of ratings: a file that is not an archive, or holds one by name."""
    if source.is_dir():
        return _ratings_in(source) is not None
    if not source.is_file():
        return False
    if not is_archive(source.name):
        return source.suffix.lower() in _TABLE_SUFFIXES
    if not can_unpack(source.name):
        return False
    with open_archive(source, Budget(source.stat().st_size)) as archive:
        names = list(archive.files)
    usual = {name.lower() for name in _RATING_FILES} - {"train.csv", "train.txt"}
    return any(_file_name(name) in usual for name in names) and not any(
        has_usual_suffix(name) for name in names
    )


def organize(source: Path, target: Path, options: OrganizeOptions = DEFAULTS) -> Organized | None:
    """Turn a download of ratings into a dataset.

    Args:
        source: the file of ratings, or a folder or archive that holds it; it never changes.
        target: the dataset's folder, which appears whole or not at all.

    Returns:
        what was made; None if it was made before.

    Raises:
        DlError: there are no ratings, a row of them can't be read, or something is in the way.
    """
    stamp = _stamp(source)
    if is_ratings(target):
        made = open_ratings(target).record
        if (made.source, made.stamp) == (str(source), stamp) and made.sample is None:
            return None
    _require_free(source, target)
    with _unpacked(source, target) as folder:
        found = find(folder, options.titles)
        size = found.ratings.stat().st_size
        # as numbers they take less than as text, but they are written twice
        require_room(target.parent, [2 * size], f"to organise {shown(source)}")
        with atomic_folder(target, replace=target.exists(), keep_others=True) as built:
            notes = _build(found, built, options, source=str(source), stamp=stamp)
    return Organized(open_ratings(target), tuple(notes))


def to_organize(source: Path, target: Path, options: OrganizeOptions = DEFAULTS) -> list[str]:
    """What `organize` would decide for the user, a sentence each; reads the first rows alone."""
    _require_free(source, target)
    with _unpacked(source, target) as folder:
        found = find(folder, options.titles)
        table = open_table(found.ratings)
        first = next(table.blocks(), Block((), ((),) * table.width))
        columns = find_columns(
            table, [cells[:_FIRST_ROWS] for cells in first.columns], options.naming
        )
        beside = [shown(path.name) for path in (found.titles, found.test) if path]
        notes = [columns.described(table)]
        if beside:
            notes.append(f"Beside it: {', '.join(beside)}.")
        return notes


def find(source: Path, titles: Path | None = None) -> Found:
    """Find the files of a download that is not packed.

    Args:
        source: the file of ratings, or a folder.
        titles: the file of titles that the user names.

    Raises:
        DlError: there is no file of ratings.
    """
    if not source.exists():
        raise DlError(f"{shown(source)} does not exist", hint="Check the path.")
    ratings = source
    if source.is_dir():
        named = _ratings_in(source)
        if named is None:
            raise DlError(
                f"No ratings in {shown(source)}",
                why="no file in it has columns of users, items and ratings",
                hint="Name the file itself: `dl data organize FILE`.",
            )
        ratings = named
    # a link may lead out of the download, to a file that nobody means to copy
    beside = [path for path in _files(ratings.parent) if not path.is_symlink()]
    by_name = {path.name.lower(): path for path in beside if path != ratings}

    def first(names: Sequence[str]) -> Path | None:
        return next((by_name[n.lower()] for n in names if n.lower() in by_name), None)

    if titles is not None and not titles.is_file():
        raise DlError(
            f"{shown(titles)} is not a file",
            why="`--titles` names it",
            hint="Name a table with the items' ids and titles.",
        )
    return Found(ratings, titles or first(TITLE_FILES), first(_TEST_FILES), _submission(by_name))


def _submission(by_name: dict[str, Path]) -> Path | None:
    found = [by_name[name.lower()] for name in SAMPLE_SUBMISSIONS if name.lower() in by_name]
    return next((p for p in found if p.stat().st_size <= _MOST_SUBMISSION_BYTES), None)


def _ratings_in(folder: Path) -> Path | None:
    """The file of ratings in a folder, or in the only folder in it."""
    files = _files(folder)
    folders = [path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._"]
    tables = [path for path in files if path.suffix.lower() in _TABLE_SUFFIXES]
    if not tables and len(folders) == 1:
        return _ratings_in(folders[0])
    usual = {name.lower(): number for number, name in enumerate(_RATING_FILES)}
    tables.sort(key=lambda path: (usual.get(path.name.lower(), len(usual)), path.name))
    return next(filter(_has_ratings, tables), None)


def _has_ratings(file: Path) -> bool:
    if file.name in _NAMELESS:
        return True
    try:
        table = open_table(file)
    except (DlError, OSError):
        return False
    return {*_NEEDED} <= named_columns(table).keys()


def _files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if not is_litter(path.name))
    return [path for path in found[:_MOST_FILES] if path.is_file() and path.name[0] != "."]


def _file_name(path: str) -> str:
    return path.rpartition("/")[2].lower()


def _stamp(source: Path) -> str:
    """The size and time of a download's file, or of the files in a folder."""
    from hashlib import sha256

    digest = sha256()
    for path in _files(source) if source.is_dir() else [source]:
        try:
            status = path.stat()
        except OSError:
            continue
        digest.update(os.fsencode(path) + f"\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()[:12]


def _require_free(source: Path, target: Path) -> None:
    if target.is_file():
        raise DlError(f"{shown(target)} is a file", why="a dataset is a folder")
    holds = [each.name for each in target.iterdir()] if target.is_dir() else []
    if set(holds) - {SETTINGS}:
        raise DlError(
            f"{shown(target)} is not empty",
            why="a new dataset needs an empty folder",
            hint="Name another folder, one that is empty or does not exist yet: "
            "`dl data organize SRC DEST`.",
        )


@contextmanager
def _unpacked(source: Path, target: Path) -> Iterator[Path]:
    """The download itself, or the tables of an archive in a temporary folder beside the dataset."""
    if not source.is_file() or not is_archive(source.name):
        yield source
        return
    place = target.with_name(f"{target.name}.unpacked")
    target.parent.mkdir(parents=True, exist_ok=True)
    settle_folder(place)
    with (
        aside(place) as folder,
        open_archive(source, Budget(source.stat().st_size)) as archive,
    ):
        wanted = {name for name in archive.files if name.lower().endswith(_TABLE_SUFFIXES)}
        archive.unpack(folder / place.name, wanted.__contains__)
        yield folder / place.name


class _Numbers(dict[str, int]):
    """Numbers from 0 for texts, in the order in which they are first seen."""

    def __missing__(self, text: str) -> int:
        number = self[text] = len(self)
        return number


@dataclass
class _Sums:
    """What is known once all rows were read.

    Args:
        rows: how many they are.
        users, items: their ids, with numbers in the order of the source.
        values: the different ratings.
    """

    rows: int = 0
    users: _Numbers = field(default_factory=_Numbers)
    items: _Numbers = field(default_factory=_Numbers)
    values: Values = field(default_factory=Values)


def _build(
    found: Found, folder: Path, options: OrganizeOptions, *, source: str, stamp: str
) -> list[str]:
    """Write the dataset of a download into an empty folder.

    Returns:
        what was decided for the user.
    """
    table = open_table(found.ratings)
    first = next(table.blocks(), Block((), []))
    if not first.lines:
        raise DlError(f"{shown(table.file)} has no ratings", why="it holds nothing but its header")
    columns = find_columns(table, [cells[:_FIRST_ROWS] for cells in first.columns], options.naming)
    notes = [columns.described(table)]
    time = columns.time
    if (
        time is not None
        and options.naming.time is None
        and not are_times(first.columns[time][:_FIRST_ROWS])
    ):
        name = shown(table.name(time))
        notes.append(f"Left out: column `{name}`, which holds no times that `dl` can read.")
        columns = replace(columns, time=None)
    (folder / ARRAYS).mkdir()
    raw = folder / f".{ARRAYS}"
    raw.mkdir()
    sums = _read_rows(table, columns, raw)
    users, items = in_order(sums.users), in_order(sums.items)
    _require_several(table, users, items)
    digest = digest_of_ids(users, items)
    for name, kind in _RAW.items():
        if not (raw / name).exists():
            continue
        ranks = {"user": (sums.users, users), "item": (sums.items, items)}.get(name)
        blocks = _raw_blocks(raw / name, kind, _ranks(*ranks) if ranks else None)
        write_array(folder / ARRAYS / f"{name}.npy", blocks, sums.rows, digest)
        (raw / name).unlink()
    raw.rmdir()
    write_users(folder, users)
    titles = _titles(found, sums.items, options, notes)
    write_items(folder, items, titles)
    without = len(items) - len(titles)
    if found.titles and without:
        notes.append(f"Without a title: {without:,} of {len(items):,} items.")
    n_test = _write_test(found.test, table, columns, folder, users, items, notes)
    if found.submission:
        (folder / found.submission.name).write_bytes(found.submission.read_bytes())
    for name, ids in (("users", users), ("items", items)):
        if alike := alike_ids(ids):
            notes.append(
                f"{len(alike):,} groups of {name} have ids that differ only in case, Unicode form, "
                f"spaces or leading zeros, such as {_quoted(alike[0])}. `dl` takes each for one "
                "of its own."
            )
    write_record(
        folder,
        Record(
            version=VERSION,
            source=source,
            stamp=stamp,
            columns=columns.names(table),
            counts=Counts(sums.rows, len(users), len(items), len(titles), n_test),
            scale=sums.values.scale(),
            digest=digest.hexdigest(),
        ),
    )
    return notes


def _read_rows(table: TextTable, columns: Columns, raw: Path) -> _Sums:
    """Read all rows, and write their numbers as they are, without headers."""
    sums = _Sums()
    held = [name for name in _RAW if name != "time" or columns.time is not None]
    files: dict[str, BinaryIO] = {name: (raw / name).open("wb") for name in held}
    try:
        size = table.file.stat().st_size
        with track(f"read {shown(table.file.name)}:", size, "bytes") as bar:
            for block in table.blocks():
                found = _numbers_of(block, table, columns, sums)
                for name, numbers in found.items():
                    files[name].write(numbers.tobytes())
                sums.rows += len(block.lines)
                if sums.rows > MOST_ROWS:
                    raise DlError(f"{shown(table.file)} has more than {MOST_ROWS:,} rows")
                bar.advance(min(_bytes_of(block), size - bar.done))
    finally:
        for file in files.values():
            file.close()
    return sums


def _bytes_of(block: Block) -> int:
    """About how many bytes a block has in its file, by its first row."""
    return len(block.lines) * sum(len(cells[0]) + 1 for cells in block.columns)


def _numbers_of(
    block: Block, table: TextTable, columns: Columns, sums: _Sums
) -> dict[str, NDArray]:
    import numpy as np

    assert columns.rating is not None
    found = {}
    n = len(block.lines)
    for name, place, known in (
        ("user", columns.user, sums.users),
        ("item", columns.item, sums.items),
    ):
        cells, before = block.columns[place], len(known)
        found[name] = np.fromiter(map(known.__getitem__, cells), np.int32, n)
        if len(known) > before:
            _require_ids(islice(reversed(known), len(known) - before), name, cells, block, table)
    found["rating"] = ratings_in(block.columns[columns.rating], block.lines, table)
    sums.values.add(found["rating"])
    if columns.time is not None:
        found["time"] = times_in(block.columns[columns.time], block.lines, table)
    return found


def _require_ids(
    new: Iterable[str], kind: str, cells: Sequence[str], block: Block, table: TextTable
) -> None:
    for each in new:
        if not each.strip() or len(each) > _MOST_ID:
            line = block.lines[cells.index(each)]
            why = "the cell is empty"
            if each.strip():
                why = f"{cell_of(each)} is longer than {_MOST_ID:,} characters"
            raise DlError(
                f"Line {line:,} of {shown(table.file)} has no {kind}",
                why=why,
                hint="Mend or remove the line.",
            )


def _require_several(table: TextTable, users: Sequence[str], items: Sequence[str]) -> None:
    """Refuse ratings of one user, or of one item: there is nothing to learn from others."""
    for ids, one, others in ((users, "user", "users"), (items, "item", "items")):
        if len(ids) < 2:
            raise DlError(
                f"{shown(table.file)} has ratings of one {one} alone, {cell_of(ids[0])}",
                why=f"a recommendation is learned from several {others}",
                hint=f"Name the column of the {others}, if this is not it: "
                f"`--{one}-column NAME`. Or take a file with more.",
            )


def _ranks(numbers: _Numbers, ids: Sequence[str]) -> NDArray:
    """The final number of each first number: from 1, in the order of the ids."""
    import numpy as np

    ranks = np.empty(len(ids), np.int32)
    ranks[np.fromiter(map(numbers.__getitem__, ids), np.int64, len(ids))] = np.arange(
        1, len(ids) + 1, dtype=np.int32
    )
    return ranks


def _raw_blocks(path: Path, kind: str, ranks: NDArray | None) -> Iterator[NDArray]:
    import numpy as np

    with path.open("rb") as file:
        while len(block := np.fromfile(file, f"<{kind}", _STEP)):
            yield block if ranks is None else ranks[block]


def _titles(
    found: Found, items: _Numbers, options: OrganizeOptions, notes: list[str]
) -> dict[str, str]:
    """The titles of the items; {} if there are none, which is an error only if the user asks."""
    if found.titles is None:
        return {}
    try:
        titles = titles_in(found.titles, items.keys())
    except DlError as error:
        if options.titles:
            raise
        notes.append(f"No titles: {error.what}: {error.why}.")
        return {}
    notes.append(titles.said)
    return dict(titles.by_id)


def _write_test(
    file: Path | None,
    ratings: TextTable,
    columns: Columns,
    folder: Path,
    users: Sequence[str],
    items: Sequence[str],
    notes: list[str],
) -> int:
    """Write the pairs to predict, if a file beside the ratings holds some.

    It has the ratings' columns of users and items, by the same names, and none of ratings.

    Returns:
        how many they are.
    """
    import numpy as np

    if file is None:
        return 0
    try:
        table = open_table(file)
    except DlError as error:
        notes.append(f"Left out: {error.what}: {error.why}.")
        return 0
    user, item = ratings.name(columns.user), ratings.name(columns.item)
    if not {user, item} <= {*table.header} or "rating" in named_columns(table):
        return 0
    places = table.header.index(user), table.header.index(item)
    numbers = [{each: number for number, each in enumerate(ids, start=1)} for ids in (users, items)]
    found: tuple[list[NDArray], list[NDArray]] = ([], [])
    (folder / TEST).mkdir()
    with (folder / TEST / PAIRS).open(
        "w", encoding="utf-8", errors="surrogateescape", newline=""
    ) as pairs:
        pairs.write(csv_text([table.header]))
        for block in table.blocks():
            pairs.write(csv_text(block.rows()))
            for place, known, into in zip(places, numbers, found, strict=True):
                cells = block.columns[place]
                into.append(np.fromiter((known.get(c, 0) for c in cells), np.int32, len(cells)))
    n = sum(map(len, found[0]))
    if not n:
        (folder / TEST / PAIRS).unlink()
        (folder / TEST).rmdir()
        return 0
    for name, blocks in zip(("user", "item"), found, strict=True):
        write_array(folder / TEST / f"{name}.npy", blocks, n)
    unknown = sum(int(((a == 0) | (b == 0)).sum()) for a, b in zip(*found, strict=True))
    note = f"Pairs to predict: {n:,} of {shown(file.name)}"
    if unknown:
        note += f"; {unknown:,} of them have a user or an item without a rating"
    notes.append(f"{note}.")
    return n


def alike_ids(ids: Sequence[str]) -> list[list[str]]:
    """Groups of ids that differ only in case, Unicode form, spaces around them or leading zeros."""
    groups: dict[str, list[str]] = defaultdict(list)
    for each in ids:
        text = each.strip()
        if not text.isascii():
            text = unicodedata.normalize("NFKC", text)
        text = text.casefold()
        groups[(text.lstrip("0") or "0") if text.isdecimal() else text].append(each)
    return [group for group in groups.values() if len(group) > 1]


def _quoted(group: Sequence[str]) -> str:
    return first_of([f"`{shown(each)}`" for each in group])

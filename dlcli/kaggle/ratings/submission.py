"""Put predicted ratings of pairs into the form that a competition wants.

The competition's sample submission gives the columns, the ids and their order. Its ids are those of
a column of the test file, or a user and an item, in two columns or in one; or they number the rows.
Without a sample, a file has the test file's own column of ids, else user and item, and the rating.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.data.ratings.pairs import PairsToPredict
from dlcli.data.ratings.tables import is_number, plain
from dlcli.errors import DlError
from dlcli.files.formats import read_csv
from dlcli.files.paths import shown
from dlcli.words import first_of, short

if TYPE_CHECKING:
    import numpy as np

# What stands between a user and an item in an id, such as `42_31`.
_BETWEEN = ("_", "-", ":", ",", " ", "|", "/")
_MOST_NAMED = 5
_HINT = "Give the right file with `--sample-submission FILE`."

Key = tuple[str, ...]


@dataclass(frozen=True)
class Submission:
    """A submission's content.

    Args:
        header: column names; () if the competition's file has no header.
        rows: the text of each cell.
        notes: decisions that the user should know, one sentence each.
    """

    header: Key
    rows: tuple[Key, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """A competition's sample submission.

    Args:
        header: column names, the rating's last; () for a file without a header.
        keys: the cells of each row before the rating, no two alike.
    """

    file: Path
    header: Key
    keys: tuple[Key, ...]


def read_sample(file: Path) -> Sample:
    """Read a competition's sample submission.

    Raises:
        DlError: it has no rows, not one or two columns before the rating, or a row twice.
    """
    rows = [row for row in read_csv(file) if row]
    header = rows[0] if rows and not is_number(rows[0][-1]) else []
    rows = rows[1:] if header else rows
    width = len(rows[0]) if rows else 0
    if width not in (2, 3) or any(len(row) != width for row in (*rows, header or rows[0])):
        raise DlError(
            f"{shown(file)} is not a sample submission of ratings",
            why="expected an id, or a user and an item, and a rating in each row",
            hint=_HINT,
        )
    keys = tuple(tuple(row[:-1]) for row in rows)
    if len(set(keys)) < len(keys):
        twice = Counter(keys).most_common(1)[0][0]
        named = shown(short(",".join(twice)))
        raise DlError(f"{shown(file)} has `{named}` twice", hint="Correct the file.")
    return Sample(file, tuple(header), keys)


def make_submission(
    pairs: PairsToPredict, predicted: np.ndarray, sample: Sample | None, rating: str
) -> Submission:
    """Put predicted ratings into the competition's form.

    Args:
        pairs: those of the test file.
        predicted: the rating of each, (n_pairs,).
        sample: the competition's sample submission; None for the plain form.
        rating: the name of the column of ratings in the plain form.

    Raises:
        DlError: the sample's ids are not those of the pairs.
    """
    if sample is None:
        names, keys = _plain_keys(pairs)
        header, rows, notes = (*names, rating), list(range(len(predicted))), list[str]()
    else:
        keys, header = list(sample.keys), sample.header
        rows, notes = _matched(pairs, sample)
    texts = [f"{value:.9g}" for value in predicted.tolist()]
    filled = tuple((*key, texts[row]) for key, row in zip(keys, rows, strict=True))
    return Submission(header, filled, tuple(notes))


def _plain_keys(pairs: PairsToPredict) -> tuple[Key, list[Key]]:
    """The first columns of the plain form: the file's own ids, else users and items."""
    for place in _others(pairs):
        cells = pairs.columns[place]
        if len(set(cells)) == len(cells):
            return (pairs.names[place],), [(cell,) for cell in cells]
    names = (pairs.names[pairs.user], pairs.names[pairs.item])
    return names, list(zip(pairs.users, pairs.items, strict=True))


def _others(pairs: PairsToPredict) -> list[int]:
    return [n for n in range(len(pairs.names)) if n not in (pairs.user, pairs.item)]


def _matched(pairs: PairsToPredict, sample: Sample) -> tuple[list[int], list[str]]:
    """The pair of each row of a sample, and what to say.

    Raises:
        DlError: a row has none.
    """
    best: Mapping[Key, int] = {}
    how, most = "", -1
    for name, keys in _forms(pairs, sample):
        rows = {key: row for row, key in enumerate(keys)}
        matched = sum(key in rows for key in sample.keys)
        if matched > most:
            best, how, most = rows, name, matched
        if matched == len(sample.keys):
            break
    missing = [",".join(key) for key in sample.keys if key not in best]
    if missing:
        some = first_of([repr(short(each)) for each in missing], _MOST_NAMED)
        raise DlError(
            f"{shown(sample.file)} has ids that the dataset's test file lacks",
            why=f"{len(missing):,} of {len(sample.keys):,}, such as {some}; ids were compared with "
            f"{how}",
            hint=_HINT,
        )
    notes = [f"Ids of {shown(sample.file.name)} are {how}."]
    if not sample.header:
        notes.append(f"{shown(sample.file)} has no header, so the submission has none.")
    if extra := len(set(best.values())) - len({best[key] for key in sample.keys}):
        notes.append(f"Pairs left out, because {shown(sample.file)} lacks them: {extra:,}.")
    return [best[key] for key in sample.keys], notes


def _forms(pairs: PairsToPredict, sample: Sample) -> Iterator[tuple[str, Iterator[Key]]]:
    """What a sample's ids may be, in words, each with the id that it would give every pair."""
    users, items = pairs.users, pairs.items
    if len(sample.keys[0]) == 2:
        yield "users and items", zip(users, items, strict=True)
        yield "items and users", zip(items, users, strict=True)
        return
    named = plain(sample.header[0]) if sample.header else ""
    # a column of the sample's own name first
    for place in sorted(_others(pairs), key=lambda n: plain(pairs.names[n]) != named):
        yield (
            f"column `{shown(short(pairs.names[place]))}`",
            ((cell,) for cell in pairs.columns[place]),
        )
    for sign in _BETWEEN:
        yield f"user{sign}item", ((u + sign + i,) for u, i in zip(users, items, strict=True))
        yield f"item{sign}user", ((i + sign + u,) for u, i in zip(users, items, strict=True))
    for first in (0, 1):
        yield f"row numbers from {first}", ((str(n),) for n in range(first, first + len(users)))

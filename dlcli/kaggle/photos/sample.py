"""Read a competition's sample submission, and match its ids with test images."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dlcli.errors import DlError
from dlcli.files.formats import read_csv
from dlcli.files.paths import shown
from dlcli.words import composed, count

MOST_NAMED = 5
STEMS = "file names without suffix"


@dataclass(frozen=True)
class SampleSubmission:
    """A competition's sample submission.

    Args:
        header: column names, the id's first; () for a file without a header.
        rows: the id and values of each row, each id once.
    """

    file: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids in order."""
        return tuple(row[0] for row in self.rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the value columns; "" for each in a file without a header."""
        return self.header[1:] or ("",) * (len(self.rows[0]) - 1)

    @property
    def values(self) -> tuple[str, ...]:
        """The different texts in the first value column, empty ones left out."""
        return tuple(dict.fromkeys(row[1] for row in self.rows if row[1].strip()))


def read_sample_submission(file: Path) -> SampleSubmission:
    """Read a competition's sample submission.

    Raises:
        DlError: it has no rows, no value column, or an id twice.
    """
    header, *rows = (read_csv(file) if file.is_file() else []) or [[]]
    rows = [row for row in rows if row]
    if len(header) < 2 or not rows or any(len(row) != len(header) for row in rows):
        raise DlError(
            f"{shown(file)} is not a sample submission",
            why="expected a header, and rows of an id and at least one value",
            hint="Give the right file with `--sample-submission FILE`.",
        )
    sample = SampleSubmission(file, tuple(header), tuple(map(tuple, rows)))
    _require_each_once(sample)
    return sample


def choose_sample(
    files: Sequence[Path], paths: Sequence[str]
) -> tuple[SampleSubmission | None, str]:
    """Choose the sample submission of a dataset.

    Args:
        files: those found, sorted by name.
        paths: the test images, relative to the dataset.

    Returns:
        the one whose ids name the most test images, the first of several; None without files.
        Then, if there are several, the reason in words.

    Raises:
        DlError: none can be read.
    """
    named: dict[Path, tuple[SampleSubmission, int]] = {}
    failures = []
    for file in files:
        try:
            sample = with_first_row(read_sample_submission(file), paths, ())
        except DlError as error:
            failures.append(error)
        else:
            matched = {row for rows in _match(sample.ids, paths)[0].values() for row in rows}
            named[file] = sample, len(matched)
    if failures and not named:
        raise failures[0]
    if not named:
        return None, ""
    best = max(named, key=lambda file: named[file][1])
    counts = [f"{shown(file.name)} names {n:,}" for file, (_, n) in named.items() if file != best]
    counts += [f"{shown(file.name)} can't be read" for file in files if file not in named]
    why = f"it names {count(named[best][1], 'test image')}, {', '.join(counts)}" if counts else ""
    return named[best][0], why


def with_first_row(
    sample: SampleSubmission, paths: Sequence[str], classes: Sequence[str]
) -> SampleSubmission:
    """The sample; if its first line is a test image's, that line is a row, not a header."""
    first = sample.header
    if not first or not all(is_number(each) or each in classes for each in first[1:]):
        return sample
    if not _match(first[:1], paths)[0]:
        return sample
    headless = dataclasses.replace(sample, header=(), rows=(first, *sample.rows))
    _require_each_once(headless)
    return headless


def _require_each_once(sample: SampleSubmission) -> None:
    (most, times), *_ = Counter(sample.ids).most_common(1)
    if times > 1:
        raise DlError(f"{shown(sample.file)} has the id {most!r} twice", hint="Correct the file.")


def _forms(paths: Sequence[str]) -> dict[str, list[str]]:
    """The forms of ids, each with the ids that it would give the images."""
    names = [PurePosixPath(path) for path in paths]
    return {
        STEMS: [name.stem for name in names],
        "file names": [name.name for name in names],
        "paths": ["/".join(name.parts[1:]) for name in names],
        "paths without suffix": ["/".join(name.with_suffix("").parts[1:]) for name in names],
    }


def _match(ids: Sequence[str], paths: Sequence[str]) -> tuple[dict[str, list[int]], str]:
    """Match ids with images.

    An id is compared with each image's file name, path and stem, then without its first folders: a
    sample may have `test_stg2/1.jpg` where the dataset has `test/1.jpg`. The Unicode form counts
    only if two images differ in nothing else.

    Returns:
        the rows of each id that has any; several rows if it is ambiguous. Then the form of id that
        fits most, in words.
    """
    forms = {
        form: _rows_by([*map(composed, names)]) | _rows_by(names)
        for form, names in _forms(paths).items()
    }
    how = max(forms, key=lambda form: sum(composed(each) in forms[form] for each in ids))
    by_path = forms["paths"], forms["paths without suffix"]
    found: dict[str, list[int]] = {}
    for each in ids:
        spelled = dict.fromkeys((each, composed(each)))
        places = [(table, text) for table in (forms[how], *forms.values()) for text in spelled]
        places += [(table, tail) for tail in _tails(composed(each)) for table in by_path]
        if rows := next((table[text] for table, text in places if text in table), None):
            found[each] = rows
    stems = [PurePosixPath(path).stem for path in paths]
    if len(found) < len(ids) and all(each.isdecimal() for each in (*ids, *stems)):
        numbers = _rows_by(list(map(int, stems)))  # 0003.jpg has the id 3, or 3.jpg the id 0003
        if all(int(each) in numbers for each in ids):
            return {each: numbers[int(each)] for each in ids}, "the numbers in file names"
    return found, how


def _rows_by(names: Sequence[Any]) -> dict[Any, list[int]]:
    rows: dict[Any, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return rows


def _tails(path: str) -> list[str]:
    """A path without its first folder, without its first two, and so on."""
    parts = path.split("/")
    return ["/".join(parts[i:]) for i in range(1, len(parts))]


def match_ids(
    paths: tuple[str, ...], sample: SampleSubmission | None, notes: list[str]
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Id -> row of the predictions, and the ids in order."""
    if sample is None:
        for form in _forms(paths).values():
            if len(set(form)) == len(form):
                return {i: row for row, i in enumerate(form)}, tuple(sorted(form, key=_natural))
        raise AssertionError("paths are unique")
    rows_of, how = _match(sample.ids, paths)
    ids_of = Counter(row for rows in rows_of.values() for row in rows)
    problems = {
        "ids that match several test images": [i for i in rows_of if len(rows_of[i]) > 1],
        "ids without a test image": [i for i in sample.ids if i not in rows_of],
        "several ids of one test image": [i for i in rows_of if ids_of[rows_of[i][0]] > 1],
    }
    for problem, bad in problems.items():
        if bad:
            raise DlError(
                f"{shown(sample.file)} has {problem}",
                why=f"{len(bad):,} of {len(sample.ids):,}, such as "
                f"{', '.join(map(repr, bad[:MOST_NAMED]))}; ids were compared with {how}",
                hint="Complete the test folder, or give another file with "
                "`--sample-submission FILE`.",
            )
    if extra := len(paths) - len(ids_of):
        notes.append(f"Test images left out, because {shown(sample.file)} lacks them: {extra:,}.")
    return {each: rows[0] for each, rows in rows_of.items()}, sample.ids


def is_number(text: str) -> bool:
    """Whether a cell holds a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _natural(text: str) -> list[tuple[int, str]]:
    """The sort key that puts `2` before `10`: numbers by value, the rest as text."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)
    ]

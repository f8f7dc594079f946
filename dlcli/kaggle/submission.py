"""Make and check a submission file from predictions.

The competition's sample submission gives the columns, the ids, and their order and form. Without
one, the file has `id` and either one probability (two classes) or a column per class.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dlcli.errors import DlError, did_you_mean
from dlcli.files.formats import read_csv
from dlcli.files.paths import shown
from dlcli.inference.predictions import Predictions

MOST_NAMED = 5
STEMS = "file names without suffix"


@dataclass(frozen=True)
class SampleSubmission:
    """A competition's sample submission.

    Args:
        header: column names, the id's first.
        ids: the ids in order, each once.
        example: the first row's first value: a number, or a class name.
    """

    file: Path
    header: tuple[str, ...]
    ids: tuple[str, ...]
    example: str


@dataclass(frozen=True)
class Submission:
    """A submission's content.

    Args:
        rows: the text of each cell.
        notes: decisions that the user should know, one sentence each.
        labels: whether it holds class names instead of probabilities.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    labels: bool = False


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
    ids = tuple(row[0] for row in rows)
    if len(set(ids)) < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise DlError(f"{shown(file)} has the id {twice!r} twice", hint="Correct the file.")
    return SampleSubmission(file, tuple(header), ids, rows[0][1])


def make_submission(
    predictions: Predictions,
    sample: SampleSubmission | None,
    *,
    positive: str | None = None,
    origin: str = "named",
) -> Submission:
    """Put predictions of the test images into the competition's form.

    Args:
        predictions: of the test images, already clipped if wanted.
        sample: the competition's sample submission; None for the plain form.
        positive: the class whose probability a single column holds; by default the last by name.
        origin: where `positive` was set, in words.

    Raises:
        DlError: the ids or columns do not match the images or classes.
    """
    notes: list[str] = []
    classes = predictions.classes
    if positive is not None and positive not in classes:
        raise DlError(f"There is no class {positive!r}", hint=did_you_mean(positive, classes))
    row_of, ids = _match_ids(predictions.paths, sample, notes)
    value_columns = sample.header[1:] if sample else _default_columns(classes, positive)
    id_column = sample.header[0] if sample else "id"
    by_id = [predictions.y_prob[row_of[i]] for i in ids]
    column, labels = value_columns[0], False
    if len(value_columns) > 1:
        order = _match_columns(value_columns, classes, sample)
        values = [tuple(f"{probs[k]:.9g}" for k in order) for probs in by_id]
    elif _wants_labels(column, classes, sample, positive):
        labels = True
        notes.append(f"Column {column!r} holds the name of the likeliest class.")
        values = [(classes[int(probs.argmax())],) for probs in by_id]
    else:
        chosen, how = _single_class(column, classes, positive, origin)
        notes.append(f"Column {column!r} holds the probability of {chosen!r} ({how}).")
        values = [(f"{probs[classes.index(chosen)]:.9g}",) for probs in by_id]
    rows = tuple((i, *value) for i, value in zip(ids, values, strict=True))
    return Submission((id_column, *value_columns), rows, tuple(notes), labels)


def check_submission(rows: Sequence[Sequence[str]], submission: Submission) -> None:
    """Check a written file the way the competition will.

    Args:
        rows: the file, read back, header first.
        submission: what was written.

    Raises:
        DlError: columns or rows differ, an id occurs twice, or a row does not hold probabilities.
    """
    header, *body = map(tuple, rows or [[]])
    ids = [row[0] for row in submission.rows]
    if header != submission.header:
        raise DlError(f"The submission's columns are {[*header]}, not {[*submission.header]}")
    if len(set(ids)) < len(ids):
        raise DlError(f"The submission has the id {Counter(ids).most_common(1)[0][0]!r} twice")
    if body != list(submission.rows):
        raise DlError(
            "The submission file differs from what was written",
            hint="Check the disk, then run `dl submit` again.",
        )
    for row in body if not submission.labels else ():
        try:
            values = [float(text) for text in row[1:]]
        except ValueError:
            values = []
        # NaN fails both. With nine digits each, a sum of many may be off in the last ones
        good = len(values) == len(header) - 1 and all(0 <= value <= 1 for value in values)
        if not good or (len(values) > 1 and abs(sum(values) - 1) > 1e-6):
            raise DlError(
                f"The submission's row for {row[0]!r} does not hold probabilities",
                why=f"expected values from 0 to 1 that sum to 1, found {', '.join(row[1:])}",
                hint="The training may have diverged: train with a lower learning rate.",
            )


def _wants_labels(
    column: str, classes: tuple[str, ...], sample: SampleSubmission | None, positive: str | None
) -> bool:
    """Whether a single column is for class names: the sample has one, or there are many classes.

    If the two classes are 0 and 1, a sample's 0 may be a name or a probability. It is read as a
    probability: a competition that wants names refuses probabilities with an error, but one that
    wants probabilities accepts names in silence.
    """
    if sample is not None and sample.example in classes:
        return set(classes) != {"0", "1"}
    return len(classes) > 2 and column not in classes and positive is None


def _single_class(
    column: str, classes: tuple[str, ...], positive: str | None, origin: str
) -> tuple[str, str]:
    """The class whose probability a single column holds, and the reason."""
    if positive is not None:
        return positive, origin
    if column in classes:
        return column, "the column's name; to change it, add `--positive CLASS`"
    return max(classes), "the last by name; to change it, add `--positive CLASS`"


def _default_columns(classes: tuple[str, ...], positive: str | None) -> tuple[str, ...]:
    return ("label",) if len(classes) == 2 or positive else classes


def _match_ids(
    paths: tuple[str, ...],
    sample: SampleSubmission | None,
    notes: list[str],
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Id -> row of the predictions, and the ids in order."""
    names = [PurePosixPath(path) for path in paths]
    forms: dict[str, list[str]] = {
        STEMS: [name.stem for name in names],
        "file names": [name.name for name in names],
        "paths": ["/".join(name.parts[1:]) for name in names],
    }
    if sample is None:
        for form in forms.values():
            if len(set(form)) == len(form):
                return {i: row for row, i in enumerate(form)}, tuple(sorted(form, key=_natural))
        raise AssertionError("paths are unique")
    wanted = set(sample.ids)
    how = max(forms, key=lambda each: len(wanted & set(forms[each])))
    ids = forms[how]
    if not wanted <= set(ids) and all(i.isdecimal() for i in (*wanted, *forms[STEMS])):
        written = {int(i): i for i in sample.ids}  # 0003.jpg has the id 3, or 3.jpg the id 0003
        numbers = [written.get(int(i), i) for i in forms[STEMS]]
        if wanted <= set(numbers):
            how, ids = "the numbers in file names", numbers
    row_of = {i: row for row, i in enumerate(ids) if i in wanted}
    counts = Counter(ids)
    twice = [i for i in row_of if counts[i] > 1]
    missing = [i for i in sample.ids if i not in row_of]
    if twice or missing:
        bad, problem = twice or missing, "ids without a test image"
        if twice:
            problem = "ids that match several test images"
        raise DlError(
            f"{shown(sample.file)} has {problem}",
            why=f"{len(bad):,} of {len(sample.ids):,}, such as "
            f"{', '.join(map(repr, bad[:MOST_NAMED]))}; ids were compared with {how}",
            hint="Complete the test folder, or give another file with `--sample-submission FILE`.",
        )
    if extra := len(ids) - len(row_of):
        notes.append(f"Test images left out, because {shown(sample.file)} lacks them: {extra:,}.")
    return row_of, sample.ids


def _match_columns(
    columns: tuple[str, ...], classes: tuple[str, ...], sample: SampleSubmission | None
) -> list[int]:
    """The class number of each column, by name."""
    if set(columns) != set(classes) or len(columns) != len(classes):
        file = shown(sample.file) if sample else "the submission"
        odd = sorted(set(columns) ^ set(classes))
        raise DlError(
            f"The columns of {file} are not the classes",
            why=f"expected {len(classes)} classes, found {len(columns)} columns; "
            f"not in both: {', '.join(map(repr, odd[:MOST_NAMED]))}",
            hint="Rename the class folders, or give another file with `--sample-submission FILE`.",
        )
    return [classes.index(column) for column in columns]


def _natural(text: str) -> list[tuple[int, str]]:
    """The sort key that puts `2` before `10`: numbers by value, the rest as text."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)
    ]

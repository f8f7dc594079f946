"""Make and check a submission file from predictions.

The competition's sample submission gives the columns, the ids, and their order and form. Without
one, the file has `id` and either one probability (two classes) or a column per class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlcli.errors import DlError, did_you_mean
from dlcli.files.paths import shown
from dlcli.inference.predictions import Predictions, class_columns
from dlcli.kaggle.photos.columns import classes_named, is_neutral
from dlcli.kaggle.photos.sample import (
    MOST_NAMED,
    SampleSubmission,
    is_number,
    match_ids,
    with_first_row,
)
from dlcli.words import first_of, short

if TYPE_CHECKING:
    import numpy as np

# Metrics of labels: a probability in their column scores as a wrong label, or not at all.
LABEL_METRICS = ("accuracy", "f1")
# How a sample submission writes that an image is of a class or not.
_NO_YES = (("0", "1"), ("0.0", "1.0"), ("false", "true"), ("no", "yes"), ("n", "y"))
# Two classes, of which any column but a class's own is about the second.
_OPPOSITES = (*_NO_YES, ("absent", "present"), ("f", "t"), ("neg", "pos"), ("negative", "positive"))


@dataclass(frozen=True)
class Submission:
    """A submission's content.

    Args:
        header: column names; () if the competition's file has no header.
        rows: the text of each cell.
        notes: decisions that the user should know, one sentence each.
        labels: whether it holds labels (class names, 0 and 1) instead of probabilities.
        about: the class that a single column is about; None for class names, or several columns.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    labels: bool = False
    about: str | None = None


@dataclass(frozen=True)
class _Values:
    """The cells of the value columns, one row per id, with what to say about them."""

    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()
    labels: bool = False
    about: str | None = None


def make_submission(
    predictions: Predictions,
    sample: SampleSubmission | None,
    *,
    positive: str | None = None,
    origin: str = "named",
    metric: str | None = None,
) -> Submission:
    """Put predictions of the test images into the competition's form.

    Args:
        predictions: of the test images, already clipped if wanted.
        sample: the competition's sample submission; None for the plain form.
        positive: the class that a single column is about; by default the one that its name means,
            or the last by name if the column could be about any.
        origin: where `positive` was set, in words.
        metric: the name of the competition's metric, if it is known.

    Raises:
        DlError: the ids or columns do not match the images or classes.
    """
    notes: list[str] = []
    classes = predictions.classes
    if positive is not None and positive not in classes:
        raise DlError(f"There is no class {positive!r}", hint=did_you_mean(positive, classes))
    if sample is not None:
        sample = with_first_row(sample, predictions.paths, classes)
        if not sample.header:
            notes.append(f"{shown(sample.file)} has no header, so the submission has none.")
    row_of, ids = match_ids(predictions.paths, sample, notes)
    columns = sample.columns if sample else _default_columns(classes, positive)
    y_prob = predictions.y_prob[[row_of[i] for i in ids]]
    if len(columns) > 1:
        order = _match_columns(columns, classes, sample)
        made = _Values([tuple(f"{probs[k]:.9g}" for k in order) for probs in y_prob])
    else:
        made = _single_column(
            y_prob, classes, columns[0], sample, positive=positive, origin=origin, metric=metric
        )
    rows = tuple((i, *value) for i, value in zip(ids, made.rows, strict=True))
    header = sample.header if sample else ("id", *class_columns(columns, ("id",)))
    return Submission(header, rows, (*notes, *made.notes), made.labels, made.about)


def check_submission(rows: Sequence[Sequence[str]], submission: Submission) -> None:
    """Check a written file the way the competition will.

    Args:
        rows: the file, read back, header first.
        submission: what was written.

    Raises:
        DlError: columns or rows differ, an id occurs twice, or a row does not hold probabilities.
    """
    header, *body = map(tuple, rows or [[]])
    if rows and not submission.header:
        header, body = (), [header, *body]
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
        good = len(values) == len(submission.rows[0]) - 1 and all(
            0 <= value <= 1 for value in values
        )
        if not good or (len(values) > 1 and abs(sum(values) - 1) > 1e-6):
            raise DlError(
                f"The submission's row for {row[0]!r} does not hold probabilities",
                why=f"expected values from 0 to 1 that sum to 1, found {', '.join(row[1:])}",
                hint="The training may have diverged: train with a lower learning rate.",
            )


def _single_column(
    y_prob: np.ndarray,
    classes: tuple[str, ...],
    column: str,
    sample: SampleSubmission | None,
    *,
    positive: str | None,
    origin: str,
    metric: str | None,
) -> _Values:
    """The values of a single column: class names, 0 or 1, or the probability of one class.

    If the two classes are 0 and 1, a sample's 0 may be a label or a probability. It is read as a
    probability unless the metric is known to be of labels: a competition that wants labels refuses
    probabilities with an error, but one that wants probabilities accepts labels in silence.

    Args:
        y_prob: array of shape (n_ids, n_classes).
    """
    place = f"Column {column!r}" if column else "Column 2"
    seen = sample.values if sample else ()
    wants_labels = metric in LABEL_METRICS
    likeliest = y_prob.argmax(axis=1)

    def names(spelled: Sequence[str], *notes: str) -> _Values:
        first = f"{place} holds the name of the likeliest class."
        return _Values([(spelled[k],) for k in likeliest], (first, *notes), labels=True)

    asks_probability = positive is not None or (len(classes) == 2 and not wants_labels)
    spelled = _spellings(classes, seen, sample, or_numbers=asks_probability)
    if spelled and (wants_labels or set(spelled) != {"0", "1"}):
        return names(spelled)
    about = classes_named(column, classes)
    no_yes = _no_yes(seen)
    is_other_text = bool(seen) and no_yes is None
    names_fit = len(classes) > 2 or is_other_text or (wants_labels and not seen)
    if names_fit and positive is None and not about:
        return names(classes, *_odd_value(seen, classes))
    chosen, how = _single_class(column, about, classes, sample, positive=positive, origin=origin)
    notes = (
        [f"Warning: the column's name means {about[0]!r}."] if about not in ((), (chosen,)) else []
    )
    number = classes.index(chosen)
    if wants_labels or (no_yes and not is_number(no_yes[0])):
        no, yes = no_yes or _NO_YES[0]
        note = f"{place} holds {yes} where {chosen!r} is likely ({how}), else {no}."
        cells = [(yes if p > 0.5 else no,) for p in y_prob[:, number]]
        return _Values(cells, (note, *notes), labels=True, about=chosen)
    notes.insert(0, f"{place} holds the probability of {chosen!r} ({how}).")
    if metric is None and seen and set(seen) <= {"0", "1"}:
        notes.append("If the competition scores labels, 0 or 1, add `--metric accuracy`.")
    cells = [(f"{p:.9g}",) for p in y_prob[:, number]]
    return _Values(cells, tuple(notes), about=chosen)


def _odd_value(seen: tuple[str, ...], classes: tuple[str, ...]) -> tuple[str, ...]:
    """A warning about a sample whose values are not class names."""
    if not seen:
        return ()
    name = short(seen[0])
    if set(seen[0].split()) <= set(classes):
        return (f"Warning: the sample has several classes in a row, {name!r}; `dl` writes one.",)
    return (f"Warning: the sample submission has {name!r}, not a class.",)


def _spellings(
    classes: tuple[str, ...],
    seen: tuple[str, ...],
    sample: SampleSubmission | None,
    *,
    or_numbers: bool,
) -> tuple[str, ...] | None:
    """How the sample writes each class's name; None if its values are not class names.

    Args:
        seen: the sample's values.
        or_numbers: whether numbers may be probabilities: 0 in each row names no `class_0`.

    Raises:
        DlError: it writes some in another way, and does not show how it writes the others.
    """
    if not seen:
        return None
    for change in (str, str.lower, str.upper, str.capitalize, str.title):
        spelled = tuple(change(name) for name in classes)
        if set(seen) <= set(spelled) and len(set(spelled)) == len(classes):
            return spelled
    shown_as: dict[str, str] = {}
    for text in seen:
        meant = classes_named(text, classes)
        if len(meant) != 1:
            return None
        shown_as[meant[0]] = text
    missing = [name for name in classes if name not in shown_as]
    if not missing and len(seen) == len(classes):
        return tuple(shown_as[name] for name in classes)
    if or_numbers and all(map(is_number, seen)):
        return None
    name, text = next(iter(shown_as.items()))
    raise DlError(
        f"The labels of {shown(sample.file) if sample else 'the sample'} are not the class names",
        why=f"it has {text!r} for {name!r}, and does not show each class once",
        hint="Name the class folders as the competition writes them, then train again.",
    )


def _no_yes(seen: tuple[str, ...]) -> tuple[str, str] | None:
    """How the sample writes no and yes; None if it does not hold numbers or such words."""
    if not seen:
        return None
    for pair in _NO_YES:
        for change in (str, str.capitalize, str.upper):
            no, yes = map(change, pair)
            if set(seen) <= {no, yes}:
                return no, yes
    return _NO_YES[0] if all(map(is_number, seen)) else None


def _single_class(
    column: str,
    about: tuple[str, ...],
    classes: tuple[str, ...],
    sample: SampleSubmission | None,
    *,
    positive: str | None,
    origin: str,
) -> tuple[str, str]:
    """The class that a single column is about, and the reason.

    Args:
        about: the classes that the column's name means.

    Raises:
        DlError: the column's name is that of no class, or of several.
    """
    if positive is not None:
        return positive, origin
    if len(about) == 1:
        return about[0], "the column's name; to change it, add `--positive CLASS`"
    if not about and (is_neutral(column) or tuple(map(str.lower, classes)) in _OPPOSITES):
        return max(classes), "the last by name; to change it, add `--positive CLASS`"
    file = shown(sample.file) if sample else "the submission"
    fault = "could be about several classes" if about else "is not the name of a class"
    raise DlError(
        f"Column {column!r} of {file} {fault}",
        why=f"the classes are {_listed(about or classes)}",
        hint="Name the class whose probability the column holds: `--positive CLASS`.",
    )


def _listed(names: Sequence[str]) -> str:
    """Names for an error's text, the first few of many."""
    return first_of([*map(repr, names)], MOST_NAMED)


def _default_columns(classes: tuple[str, ...], positive: str | None) -> tuple[str, ...]:
    return ("label",) if len(classes) == 2 or positive else classes


def _match_columns(
    columns: tuple[str, ...], classes: tuple[str, ...], sample: SampleSubmission | None
) -> list[int]:
    """The class number of each column, by name."""
    file = shown(sample.file) if sample else "the submission"
    if sample is not None and not sample.header:
        raise DlError(
            f"{file} has no header, which names the class of each column",
            why=f"its first line begins with a test image, {sample.ids[0]!r}",
            hint=f"Add a first line to it, such as `id,{','.join(classes[:MOST_NAMED])}`.",
        )
    if set(columns) == set(classes):
        return [classes.index(column) for column in columns]
    meant = {column: classes_named(column, classes) for column in columns}
    for column, found in meant.items():
        rivals = [other for other in columns if meant[other] == found]
        if found and (len(found) > 1 or len(rivals) > 1):
            fault = "could be about several classes"
            if len(found) == 1:
                fault = f"and {rivals[1]!r} could both be about {found[0]!r}"
            raise DlError(
                f"Column {column!r} of {file} {fault}",
                why=f"the classes are {_listed(classes if len(found) == 1 else found)}",
                hint="Name the class folders as the competition writes them, then train again.",
            )
    odd = sorted(column for column, found in meant.items() if not found)
    missing = sorted(set(classes) - {name for found in meant.values() for name in found})
    if odd or missing or len(columns) != len(classes):
        raise DlError(
            f"The columns of {file} are not the classes",
            why=f"expected {len(classes)} classes, found {len(columns)} columns; "
            f"not in both: {', '.join(map(repr, sorted([*odd, *missing])[:MOST_NAMED]))}",
            hint="Rename the class folders, or give another file with `--sample-submission FILE`.",
        )
    return [classes.index(meant[column][0]) for column in columns]

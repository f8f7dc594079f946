"""Files of predictions: path, true class if known, one probability per class.

Evaluation, reports and submissions read these files and never a model. To take the mean of several,
they are first brought into the same order of images and classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.errors import DlError
from dlcli.evaluation.metrics import accuracy, log_loss, rounded
from dlcli.files.formats import damaged, read_csv, read_text, write_csv
from dlcli.files.paths import shown
from dlcli.words import first_of

if TYPE_CHECKING:
    import numpy as np

    from dlcli.runs.run import Run


# The columns before the classes. Classes are found by position, so that a class may have any name.
COLUMNS = ("path", "true_class")
# Of more classes than these, an error names only so many.
_MOST_NAMED = 4


def class_columns(classes: Sequence[str], own: Sequence[str]) -> list[str]:
    """The names of the classes' columns beside a table's own columns; none occurs twice.

    A class that is called like one of `own`, "path", gets an underscore, "path_"; so that names
    stay apart, a class "path_" then gets one more.
    """
    return [f"{name}_" if name.rstrip("_") in own else name for name in classes]


def _classes_of(columns: Sequence[str], own: Sequence[str]) -> tuple[str, ...]:
    """The classes, given the names of their columns; the inverse of `class_columns`."""
    names = (name.removesuffix("_") if name.rstrip("_") in own else name for name in columns)
    return tuple(names)


@dataclass(frozen=True)
class Predictions:
    """A model's predictions of some images.

    Args:
        paths: relative to the dataset's folder, with forward slashes.
        classes: class names, in the order of the columns.
        y_prob: array of shape (n_samples, n_classes), float; rows sum to 1.
        true_classes: the class name of each image, "" if unknown.
    """

    paths: tuple[str, ...]
    classes: tuple[str, ...]
    y_prob: np.ndarray
    true_classes: tuple[str, ...]

    @property
    def examples(self) -> tuple[str, ...]:
        """The image of each row."""
        return self.paths

    @property
    def scores(self) -> dict[str, float]:
        """Log loss and accuracy.

        Raises:
            DlError: as for `y_true`.
        """
        y_true = self.y_true
        return {
            "loss": rounded(log_loss(y_true, self.y_prob)),
            "accuracy": rounded(accuracy(y_true, self.y_prob)),
        }

    @property
    def digest(self) -> str:
        """Sixteen hex digits that depend on the images and the probabilities."""
        from hashlib import sha256

        digest = sha256(self.y_prob.astype("<f4").tobytes())
        digest.update("\0".join(self.paths).encode(errors="surrogateescape"))
        return digest.hexdigest()[:16]

    @property
    def y_true(self) -> np.ndarray:
        """Class numbers, int array of shape (n_samples,).

        Raises:
            DlError: an image's class is not one of `classes`, or unknown, as for test images.
        """
        import numpy as np

        numbers = {name: number for number, name in enumerate(self.classes)}
        if "" in self.true_classes:
            raise DlError(
                "Not all of these images have a true class",
                why="test images have none",
                hint="Use the predictions of valid.",
            )
        unknown = set(self.true_classes) - set(numbers)
        if unknown:
            raise DlError(
                "The predictions name classes that the model does not know: "
                + ", ".join(f"{name!r:.40}" for name in sorted(unknown)[:_MOST_NAMED])
            )
        return np.array([numbers[name] for name in self.true_classes], dtype=np.int64)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a predictions file atomically, probabilities to the last digit of a float32."""
    path.parent.mkdir(exist_ok=True)
    rows = zip(predictions.paths, predictions.true_classes, predictions.y_prob, strict=True)
    write_csv(
        path,
        [
            [*COLUMNS, *class_columns(predictions.classes, COLUMNS)],
            *([name, true, *(f"{p:.9g}" for p in probs)] for name, true, probs in rows),
        ],
    )


def read_predictions(path: Path) -> Predictions:
    """Read a predictions file.

    Raises:
        DlError: the file is cut short, or is not a file of predictions.
    """
    import numpy as np

    header, *rows = read_csv(path) or [[]]
    try:
        if tuple(header[:2]) != COLUMNS or any(len(row) != len(header) for row in rows):
            raise ValueError("its columns are not those of a predictions file")
        y_prob = np.array([row[2:] for row in rows], dtype=np.float64)
        if not read_text(path).endswith("\n"):
            raise ValueError("it ends within a line")
        if not np.isfinite(y_prob).all():
            raise ValueError("it holds probabilities that are not numbers")
    except ValueError as error:
        raise damaged(path, error, "Remove it: it is made again.") from error
    paths, true = tuple(row[0] for row in rows), tuple(row[1] for row in rows)
    classes = _classes_of(header[2:], COLUMNS)
    return Predictions(paths, classes, y_prob.reshape(len(rows), len(header) - 2), true)


def aligned(members: Sequence[Predictions], classes: Sequence[str]) -> list[Predictions]:
    """The members' predictions, with the same image in each row and the same columns.

    Args:
        members: of one split; rows are matched by path, columns by the name of the class.
        classes: the order of the columns of the result.

    Returns:
        for each member, its predictions for the images that all of them have, sorted by path.

    Raises:
        DlError: the classes differ, or no image is in all of them.
    """
    for member in members:
        if set(member.classes) != set(classes):
            raise DlError(
                "The predictions of an ensemble's members name different classes",
                why=f"{_names_are(set(member.classes) ^ set(classes))} not in all of them",
                hint="Remove the wrong predictions file from its run. `dl` makes it again.",
            )
    paths = sorted(set(members[0].paths).intersection(*(member.paths for member in members)))
    if not paths:
        raise DlError(
            "The members have no image in common",
            why="an ensemble predicts the images that all its members could read",
            hint="Use runs of the same images.",
        )
    return [_ordered(member, tuple(paths), tuple(classes)) for member in members]


def _ordered(member: Predictions, paths: tuple[str, ...], classes: tuple[str, ...]) -> Predictions:
    import numpy as np

    number = {path: i for i, path in enumerate(member.paths)}
    rows = [number[path] for path in paths]
    columns = [member.classes.index(name) for name in classes]
    true = tuple(member.true_classes[row] for row in rows)
    return Predictions(paths, classes, member.y_prob[np.ix_(rows, columns)], true)


def mean_of(members: Sequence[Predictions]) -> Predictions:
    """The mean probabilities of `aligned` members.

    Its log loss is at most the mean of theirs, because -ln is convex (Jensen's inequality).
    """
    import numpy as np

    mean = np.mean([member.y_prob for member in members], axis=0)
    return dataclasses.replace(members[0], y_prob=mean)


def different_classes(one: Run, known: set[str], other: Run, here: set[str], hint: str) -> DlError:
    """The error of two runs with different classes: how many they have, and some that differ."""
    only = [
        f"{_names_are(names)} only in {run.name}"
        for names, run in ((known - here, one), (here - known, other))
        if names
    ]
    return DlError(
        f"{one.name} and {other.name} have different classes",
        why=f"{len(known):,} and {len(here):,}; {', '.join(only)}",
        hint=hint,
    )


def _names_are(names: set[str]) -> str:
    """Class names in words, some of many, with their verb: "`cat`, `dog` are"."""
    quoted = first_of([f"`{shown(name)}`" for name in sorted(names)], _MOST_NAMED)
    return f"{quoted} {'is' if len(names) == 1 else 'are'}"

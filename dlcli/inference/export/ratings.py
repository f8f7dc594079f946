"""Exports of runs on ratings: what goes in and comes out, and the check on validation ratings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.errors import DlError
from dlcli.inference.export.formats import (
    REMOVED,
    TOLERANCE,
    Agreement,
    Format,
    answers_of,
    at_most,
)
from dlcli.inference.kept import holder
from dlcli.inference.ratings.predictions import numbers_of, read_predictions
from dlcli.inference.ratings.serving import Labels, read_labels
from dlcli.runs.run import Run

if TYPE_CHECKING:
    import keras
    import numpy as np

MEANING_OF_CHECKED = (
    "pairs: validation ratings that it was checked on (0: random pairs); predictions, keras: the "
    "largest difference of a rating from the run's own, and from Keras'; null: the package that "
    "runs it was not installed"
)
PAIRS_CHECKED = 64
# What is typed after the script beside the model.
TYPED = "USER ITEM"
_SCRIPT = """\
\"\"\"Print the predicted rating of a user and an item: `python example.py USER ITEM`.\"\"\"

import csv
import sys
from pathlib import Path

import numpy
import {runtime}

MODEL = str(Path(__file__).with_name({name!r}))


def number(file, wanted):
    # the number of the id's row below the header, from 1; 0 stands for an unknown one
    path = Path(__file__).with_name(file)
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as rows:
        ids = [row[0] for row in csv.reader(rows)][1:]
    return ids.index(wanted) + 1 if wanted in ids else 0


user, item = sys.argv[1:]
inputs = numpy.array([[number({users!r}, user), number({items!r}, item)]], numpy.int32)
{run}
print(f"{{outputs[0]:.4f}}")
"""


@dataclass(frozen=True)
class PairsAgreement(Agreement):
    """How much an exported model's ratings differ from the run's.

    Args:
        pairs: how many were compared; 0 for random ones, if there are no predictions.
        keras: the largest difference of a rating from the run's model in Keras.
        predictions: the largest difference from the run's predictions; None for random pairs.
    """

    pairs: int
    keras: float
    predictions: float | None

    def __str__(self) -> str:
        by_keras = f"differs from that of the run's model in Keras by {at_most(self.keras)}"
        if self.predictions is None:
            return f"Checked on random pairs. Each predicted rating {by_keras}."
        by_run = at_most(self.predictions)
        return (
            f"Checked on {self.pairs} validation ratings. Each predicted rating {by_keras}, and "
            f"from that of the run's predictions by {by_run}."
        )


def example(run: Run, wanted: Format, model: keras.Model) -> str:
    """The script that runs the exported model on a user and an item."""
    return _SCRIPT.format(
        runtime=wanted.runtime,
        name=wanted.name,
        users=run.users_file.name,
        items=run.items_file.name,
        run=wanted.example,
    )


def described(run: Run, wanted: Format, model: keras.Model) -> dict[str, Any]:
    """The model's input and output, as plain values."""
    users, items = run.users_file.name, run.items_file.name
    return {
        "input": {
            "shape": [None, 2],
            "dtype": "int32",
            "values": f"the number of a user in {users}, and of an item in {items}: that of the "
            "id's row below the header, from 1; 0 for an unknown one",
            "batch": wanted.batch.format(one="pair", shape="2") or "any number of pairs",
        },
        "output": {
            "shape": [None, 1],
            "dtype": "float32",
            "values": "predicted ratings, which may lie outside of the scale",
        },
    }


def files_beside(run: Run) -> tuple[Path, ...]:
    """The files of ids, without which nobody knows the numbers."""
    return run.users_file, run.items_file


def check_export(
    run: Run, model: keras.Model, path: Path, format_name: str, root: Path | None
) -> PairsAgreement:
    """Run an exported model on pairs of the validation ratings, and compare with the run's ratings.

    Args:
        run: the exported run, whose predictions have all that is needed.
        model: the run's best model, in Keras.
        root: the dataset's folder.

    Raises:
        DlError: it can't be run, or its output differs from Keras', or from the run's.
    """
    import numpy as np

    pairs, predicted = _pairs_to_check(run, read_labels(run))
    answers = answers_of(path, format_name, pairs)
    expected = np.asarray(model.predict_on_batch(pairs))
    most = TOLERANCE * max(1.0, float(np.abs(expected).max()))
    by_keras = float(np.abs(answers - expected).max())
    if not by_keras <= most:
        raise DlError(
            "The exported model's output differs from the run's",
            why=f"a rating differs by {by_keras:.2g} from Keras'",
            hint=REMOVED,
        )
    if predicted is None:
        return PairsAgreement(0, by_keras, None)
    by_run = float(np.abs(answers[:, 0] - predicted).max())
    if not by_run <= most:
        raise DlError(
            "The exported model's output differs from the run's predictions",
            why=f"a rating differs by {by_run:.2g} from `predictions/valid.csv`",
            hint="The export was removed. The predictions may be out of date: remove that CSV, run "
            f"`dl evaluate {run.name}`, then export again.",
        )
    return PairsAgreement(len(pairs), by_keras, by_run)


def _pairs_to_check(run: Run, labels: Labels) -> tuple[np.ndarray, np.ndarray | None]:
    """Some pairs of numbers, int32 (n, 2), and the run's predicted ratings of them, if it has any.

    They need no dataset: predictions name users and items by their ids.
    """
    import numpy as np

    folder = holder(run, "valid", None)
    known = read_predictions(folder.predictions_file("valid")) if folder else None
    if known is None or not known.users:
        rng = np.random.default_rng(0)
        columns = [rng.integers(0, len(ids) + 1, 8) for ids in (labels.users, labels.items)]
        return np.column_stack(columns).astype(np.int32), None
    total = len(known.users)
    rows = [number * total // PAIRS_CHECKED for number in range(min(total, PAIRS_CHECKED))]
    if total < PAIRS_CHECKED:
        rows = list(range(total))
    users = numbers_of([known.users[row] for row in rows], labels.users)
    items = numbers_of([known.items[row] for row in rows], labels.items)
    return np.column_stack([users, items]), known.predicted[rows]

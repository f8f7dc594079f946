"""A finished run that nobody trained: its predictions are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dlcli.data.dataset import open_dataset
from dlcli.files.formats import write_yaml
from dlcli.inference.predictions import Predictions, write_predictions
from dlcli.runs.run import Run

Rows = Mapping[str, Sequence[float]]


def predicted_run(
    root: Path,
    name: str,
    valid: Rows,
    test: Rows | None = None,
    *,
    columns: tuple[str, ...] = ("cat", "dog"),
    runs_dir: Path | None = None,
) -> Run:
    """Write a run of a dataset under `~/runs`.

    Args:
        root: the dataset's folder.
        name: the run's.
        valid, test: for each image its probabilities, in the order of the rows to be.
        columns: the classes, in the order of the columns to be.
        runs_dir: where runs are.
    """
    dataset = open_dataset(root)
    run = Run((runs_dir or Path.home() / "runs") / dataset.name / name)
    (run.path / "predictions").mkdir(parents=True)
    prints = dataset.fingerprints()
    images = {split: len(paths) for split, paths in dataset.splits.items()}
    made_on = {"path": str(root), "fingerprints": prints, "images": images}
    made_with = {"command": "dl train finetune", "host": "laptop", "versions": {"dlcli": "0.1.0"}}
    record = {"recipe": "finetune", "dataset": made_on, "pixels": {"size": 64}, **made_with}
    write_yaml(run.config_file, {"run": record})
    write_yaml(run.classes_file, sorted(columns))
    for split, rows in (("valid", valid), ("test", test)):
        if rows is not None:
            y_prob = np.array(list(rows.values()))
            true = tuple("" if split == "test" else dataset.class_of(path) for path in rows)
            write_predictions(
                run.predictions_file(split), Predictions(tuple(rows), columns, y_prob, true)
            )
    write_yaml(
        run.status_file,
        {"state": "finished", "started": "2026-11-23T14:09:31Z", "predicted": prints},
    )
    return run

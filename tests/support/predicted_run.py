"""A finished run that nobody trained: its predictions are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from support.pictures import make_dataset

from dlcli.data.photos.photos import open_photos
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
    dataset = open_photos(root)
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


PETS = [f"valid/{kind}/{kind}.{1000 + n}.png" for kind in ("cat", "dog") for n in range(10)]


def two_runs_of_pets(home: Path, *names: str) -> tuple[Run, Run]:
    """Two runs of a new dataset: the second is surer of each image, and alone right about one."""
    root = make_dataset(home / "data" / "pets", train=2, valid=10, test=0)
    runs = []
    for name, gain in zip(names, (0.0, 0.012), strict=True):
        of_truth = [0.494 + gain + 0.02 * n for n in range(len(PETS))]
        rows = [
            (p, 1 - p) if "/cat/" in path else (1 - p, p)
            for path, p in zip(PETS, of_truth, strict=True)
        ]
        runs.append(predicted_run(root, name, dict(zip(PETS, rows, strict=True))))
    first, second = runs
    settings = {"seed": 1, "train": {"finetune": {"dropout": 0.3}}}
    write_yaml(second.config_file, second.config | settings)
    return first, Run(second.path)

"""A training that ends at once: a run with predictions and scores, and no model.

Where a test is about what is said before and after trainings, it need not wait for them.
"""

from __future__ import annotations

import numpy as np
import pytest

from dlcli.inference.predict import keep_predictions
from dlcli.runs.run import Run
from dlcli.training import launch, resume
from dlcli.training.photos.job import PhotosJob

SURE = 0.8
FOUND = {"kind": "good fit", "sentence": "It fits well.", "evidence": "Both losses.", "next": []}
SCORES = {"loss": 0.3, "accuracy": 0.9, "val_loss": 0.3, "val_accuracy": 0.9}


def train_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all trainings, resumed ones too, end at once; what is refused before stays refused."""
    monkeypatch.setattr(PhotosJob, "first_samples", lambda job: [])
    for module in (launch, resume):
        monkeypatch.setattr(module, "fit", _fit)


def _fit(job: PhotosJob, run: Run, samples: object = None) -> None:
    run.start(job.name, job.epochs)
    classes = job.dataset.classes
    for split in ("valid", "test"):
        paths = job.dataset.splits[split]
        y_prob = np.full((len(paths), len(classes)), (1 - SURE) / (len(classes) - 1))
        for row, path in enumerate(paths):
            right = classes.index(job.dataset.class_of(path)) if split == "valid" else 0
            y_prob[row, right] = SURE
        if paths:
            keep_predictions(run, job.dataset, split, paths, y_prob, job.fingerprints[split])
    row = {"epoch": 1, "phase": job.phases[0].name, "learning_rate": 1e-3}
    run.write_history([{**row, **SCORES}])
    run.update_status(
        state="finished",
        epoch=1,
        best_epoch=1,
        val_loss=SCORES["val_loss"],
        val_accuracy=SCORES["val_accuracy"],
        diagnosis=FOUND,
    )

"""What a finished training leaves: models that Keras alone opens, predictions, scores."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from dlcli.assembly import Job, Network, read_inputs
from dlcli.checkpoint import Progress
from dlcli.dataset import Dataset
from dlcli.evaluation import accuracy, log_loss
from dlcli.features import features_ready, load_features, store_folder
from dlcli.files import atomic
from dlcli.inputs import Inputs
from dlcli.predictions import Predictions, write_predictions
from dlcli.run import Run, utc_now

if TYPE_CHECKING:
    from pathlib import Path

    import keras
    import numpy as np


def keep_outcome(job: Job, run: Run, network: Network, valid: Inputs, progress: Progress) -> None:
    """Save the last and the best model, predict with the best, and call the run finished.

    Args:
        job: what was trained on what.
        run: where it goes.
        network: the last phase's, with the weights of the last epoch.
        valid: what it was judged on.
        progress: which epoch was the best.
    """
    phase = job.recipe.phases()[progress.best_phase]
    on_features, was_on_features = job.on_features(phase), job.on_features(network.phase)
    model = network.complete()
    _save(model, run.last_model)
    if progress.best_epoch == len(progress.history):
        with atomic(run.best_model) as temporary:
            try:
                os.link(run.last_model, temporary)
            except OSError:  # a file system without hard links; a full disk says so again
                shutil.copyfile(run.last_model, temporary)
    else:
        if progress.best_phase != progress.phase:  # in which other layers trained
            network = Network(job, phase, tuple(network.head.input_shape[1:]))
            model = network.complete()
            if on_features != was_on_features:
                (valid,) = read_inputs(job, on_features, ("valid",))
        network.assign_best(run.checkpoint, progress)
        _save(model, run.best_model)
    y_prob = network.predict(valid)
    keep_predictions(run, job.dataset, "valid", valid.paths, y_prob, job.fingerprints["valid"])
    if on_features and job.forward is not None:
        store = store_folder(job.dataset, job.forward)
        if features_ready(store, job.dataset, "test"):
            test = load_features(store, job.dataset, "test")
            test_prob = predict_rows(network.head, test.rows)
            before = job.fingerprints["test"]
            keep_predictions(run, job.dataset, "test", test.paths, test_prob, before)
    run.update_status(
        state="finished",
        finished=utc_now(),
        epoch=len(progress.history),
        best_epoch=progress.best_epoch,
        predicts_from="features" if on_features else "images",
        val_loss=float(f"{log_loss(valid.y_true, y_prob):.9g}"),
        val_accuracy=float(f"{accuracy(valid.y_true, y_prob):.9g}"),
    )
    shutil.rmtree(run.checkpoint, ignore_errors=True)


def predict_rows(head: keras.Model, rows: np.ndarray) -> np.ndarray:
    """A head's probabilities for stored features: float32 (n_samples, n_classes)."""
    import numpy as np

    parts = [rows[i : i + 256] for i in range(0, len(rows), 256)]
    return np.concatenate([np.asarray(head.predict_on_batch(part)) for part in parts])


def keep_predictions(
    run: Run,
    dataset: Dataset,
    split: str,
    paths: tuple[str, ...],
    y_prob: np.ndarray,
    fingerprint: str,
) -> Predictions:
    """Write one split's predictions, and which state of its folder they belong to.

    Args:
        run: where they go.
        dataset: where the images are.
        split: "valid" or "test".
        paths: the image of each row.
        y_prob: array of shape (n_samples, n_classes), a column for each of the run's classes.
        fingerprint: the split's, before its images were read.
    """
    true = tuple("" if split == "test" else dataset.class_of(path) for path in paths)
    predictions = Predictions(paths, run.classes(), y_prob, true)
    write_predictions(run.predictions(split), predictions)
    known = run.status().get("predicted", {})
    run.update_status(predicted=known | {split: fingerprint})
    return predictions


def _save(model: keras.Model, path: Path) -> None:
    with atomic(path) as temporary:
        model.save(temporary, include_optimizer=False)

"""A finished run's predictions, made once: read where they stand, made where they don't."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.config import Config
from dlcli.dataset import Dataset, open_dataset
from dlcli.errors import DlError
from dlcli.features import compute_features, load_features
from dlcli.folders import typed
from dlcli.images import PixelRule, UnreadableImage, none_readable, read_batches, refuse_unreadable
from dlcli.inference import Forward, KerasEngine
from dlcli.members import aligned, is_ensemble, mean_of, members_of
from dlcli.models.backbones import fetch_weights, get_backbone, weights_hash
from dlcli.outcome import keep_predictions, predict_rows
from dlcli.places import shown
from dlcli.predictions import Predictions, read_predictions
from dlcli.progress import say, track
from dlcli.run import Run

if TYPE_CHECKING:
    import keras
    import numpy as np


def predictions_of(run: Run, root: Path | None, config: Config, split: str) -> Predictions:
    """One split's predictions: from the run's file, unless it is missing or its images changed.

    Args:
        run: a finished run.
        root: its dataset's folder, see `current.ChosenRun`; None: it is gone.
        config: workers, weights, what to do about unreadable images.
        split: "valid" or "test".

    Raises:
        DlError: neither the file nor the images are there.
    """
    file = run.predictions(split)
    if root is None:
        if file.is_file():
            say(f"The dataset is gone; its predictions in {shown(file)} are used as they are.")
            return read_predictions(file)
        raise DlError(
            f"The dataset of {run.name} is gone, so {split} can't be predicted",
            why=f"neither {run.record()['dataset']['path']} nor a dataset of that name is there",
            hint="Put it back, or name its folder's parent with `--data-dir`.",
        )
    dataset = open_dataset(root)
    if not dataset.splits[split]:
        raise DlError(
            f"No images in {shown(root / split)}",
            why="so there is nothing to predict",
            hint=f"Put images into {shown(root / split)}."
            if split == "test"
            else f"Run `dl data split {typed(root)}`, then train.",
        )
    fingerprint = dataset.fingerprint(split)  # before any image is read
    if file.is_file():
        if has_predictions(run, split, fingerprint):
            return read_predictions(file)
        say(f"The images in {shown(root / split)} have changed: they are predicted again.")
    run.classes()  # or an error, before anything costs time
    predict = _predict_ensemble if is_ensemble(run) else _predict
    paths, y_prob = predict(run, config, dataset, split)
    return keep_predictions(run, dataset, split, paths, y_prob, fingerprint)


def has_predictions(run: Run, split: str, fingerprint: str | None) -> bool:
    """Whether a run's predictions of a split are there, and of its images as they are now.

    Args:
        run: a finished run.
        split: "valid" or "test".
        fingerprint: the split's; None where the dataset is gone, so that any will do.
    """
    current = fingerprint is None or run.status().get("predicted", {}).get(split) == fingerprint
    return current and run.predictions(split).is_file()


def member_predictions(
    members: Sequence[Run], classes: tuple[str, ...], root: Path | None, config: Config, split: str
) -> list[Predictions]:
    """What an ensemble's members say about one split, row by row about the same images.

    Images that a member left out are left out for all, which is said.

    Args:
        members: finished runs.
        classes: the order of the columns.
        root, config, split: as for `predictions_of`.
    """
    each = [predictions_of(member, root, config, split) for member in members]
    same = aligned(each, classes)
    images = {path for predictions in each for path in predictions.paths}
    if left_out := len(images) - len(same[0].paths):
        say(f"{left_out:,} of {split} left out: not every member has predictions of them.")
    return same


def _predict_ensemble(
    run: Run, config: Config, dataset: Dataset, split: str
) -> tuple[tuple[str, ...], np.ndarray]:
    """The images that all members can read, and the mean of their probabilities."""
    each = member_predictions(members_of(run), run.classes(), dataset.root, config, split)
    return each[0].paths, mean_of(each).y_prob


def _predict(
    run: Run, config: Config, dataset: Dataset, split: str
) -> tuple[tuple[str, ...], np.ndarray]:
    """Run the best model over one split, on the kind of input that it was judged on.

    Returns:
        the images that can be read, and their probabilities, (n_samples, n_classes).
    """
    from dlcli.backend import start_backend

    record, settings = run.record(), config.settings()
    threads, on_error = settings.threads, settings.on_error
    start_backend()
    import numpy as np

    model = load_model(run.best_model)
    if run.status().get("predicts_from") == "features":
        forward = Forward.from_description(record["forward"])
        weights = _same_weights(run, config, forward)
        folder = compute_features(
            dataset, forward, weights, workers=threads, on_error=on_error, splits=(split,)
        )
        features = load_features(folder, dataset, split)
        return features.paths, predict_rows(model.get_layer("head"), features.rows)
    paths = dataset.splits[split]
    parts: list[np.ndarray] = []
    unreadable: list[UnreadableImage] = []
    engine = KerasEngine(model)
    batches = read_batches(
        dataset.root, paths, PixelRule(**record["pixels"]), engine.batch_size, threads
    )
    with track(f"Predicting {split}", len(paths), "images") as bar:
        for batch, y_prob in engine.run(batches):
            unreadable += batch.unreadable
            parts.append(y_prob)
            bar.advance(batch.count)
    if on_error == "stop":
        refuse_unreadable(unreadable)
    if len(unreadable) == len(paths):
        raise none_readable(split, unreadable[0])
    if unreadable:
        say(f"{len(unreadable):,} of {split} left out: they can't be read.")
    bad = {error.path for error in unreadable}
    readable = tuple(path for path in paths if dataset.root / path not in bad)
    return readable, np.concatenate(parts)


def load_model(path: Path) -> keras.Model:
    """A run's model; `safe_mode` refuses layers that carry code.

    Raises:
        DlError: the file is missing, damaged, or would run code.
    """
    from zipfile import BadZipFile

    import keras

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, BadZipFile) as error:
        raise DlError(
            f"{shown(path)} can't be loaded",
            why=" ".join(str(error).split()),
            hint="Take another run, or train anew: `dl train`.",
        ) from error


def _same_weights(run: Run, config: Config, forward: Forward) -> Path:
    """The file of the backbone's weights that the run was trained with.

    Raises:
        DlError: it is gone, or holds other weights now.
    """
    recorded = run.config().get("weights")
    # a file in the settings is for the backbone there, which may be another one
    typed = config.settings().weights if config.is_flag("weights") else None
    named = typed or (Path(recorded) if recorded else None)
    weights = fetch_weights(get_backbone(forward.backbone), named)
    if weights_hash(weights) != forward.weights_hash:
        raise DlError(
            f"{shown(weights)} does not hold the weights that {run.name} was trained with",
            why=f"expected sha256 {forward.weights_hash}..., found {weights_hash(weights)}...",
            hint="Name the right file with `--weights FILE`.",
        )
    return weights

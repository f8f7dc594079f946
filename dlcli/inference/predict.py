"""A finished run's predictions: read from their file, or made if they are missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli import words
from dlcli.config import Config
from dlcli.data.choice import again
from dlcli.data.dataset import whole_of
from dlcli.data.photos.photos import Photos, open_photos, untrainable
from dlcli.errors import DlError
from dlcli.features.compute import (
    Features,
    compute_features,
    features_ready,
    open_features,
)
from dlcli.features.rules import kept_as
from dlcli.features.split_log import array_path
from dlcli.features.store import require_room, size_bytes, store_folder
from dlcli.files.paths import quoted, shown
from dlcli.images.augmentation import View
from dlcli.inference.kept import holder
from dlcli.inference.members import members_of
from dlcli.inference.predictions import (
    Predictions,
    aligned,
    mean_of,
    read_predictions,
    write_predictions,
)
from dlcli.inference.serving import predict_images, same_weights, start_head, start_serving
from dlcli.inference.tta import made_by, tta_of
from dlcli.models.forward import Forward
from dlcli.progress import say
from dlcli.runs.run import Run
from dlcli.runs.stand_in import runs_to_read, writable_run

if TYPE_CHECKING:
    import numpy as np


def predictions_of(
    run: Run, root: Path | None, config: Config, split: str, views: int = 0
) -> Predictions:
    """One split's predictions, from the run's file or made again if it is missing or outdated.

    Args:
        run: a finished run.
        root: its dataset's folder, see `runs.choice.ChosenRun`; None: it is gone.
        config: workers, weights, what to do about unreadable images, amounts of augmentation.
        split: "valid" or "test".
        views: augmented views of each image to take the mean with, see `tta`; 0: none.

    Raises:
        DlError: both the file and the images are missing; the views would not be augmented.
    """
    file = run.predictions_file(split, views)
    how = made_by(run, config, views) if views else None
    if root is None:
        if folder := holder(run, split, None, how):
            file = folder.predictions_file(split, views)
            say(f"The dataset is gone. Using its predictions in {shown(file)} as they are.")
            return read_predictions(file)
        raise DlError(
            f"The dataset of {run.name} is gone, so {split} can't be predicted"
            + (f" with `--tta {views}`" if views else ""),
            why=f"neither {shown(run.record.dataset.path)} nor a dataset of that name exists"
            + (f", and {shown(file)} was made with other augmentation" if file.is_file() else ""),
            hint="Put it back, or name it, `-d PATH`, or its parent folder, `--data-dir`.",
        )
    dataset = open_photos(root)
    require_images(dataset, split)
    fingerprint = dataset.fingerprint(split)  # before any image is read
    if folder := holder(run, split, fingerprint, how):
        return read_predictions(folder.predictions_file(split, views))
    if holder(run, split, None, how):
        say(f"The images in {shown(root / split)} have changed: predicting them again.")
    elif file.is_file():
        say(f"{shown(file)} was made with other augmentation: predicting {split} again.")
    _ = run.classes  # fails, if it does, before anything costs time
    if run.is_ensemble:
        members = members_of(run)
        each = member_predictions(members, run.classes, root, config, split, views)
    elif views:
        each = _views_and_plain(run, config, dataset, split, views)
    else:
        ((paths, y_prob),) = _predict(run, config, dataset, split)
        return keep_predictions(run, dataset, split, paths, y_prob, fingerprint)
    mean = mean_of(each)
    if how is None:
        return keep_predictions(run, dataset, split, mean.paths, mean.y_prob, fingerprint)
    kept_in = writable_run(run)
    write_predictions(kept_in.predictions_file(split, views), mean)
    kept_in.add_to_status("predicted", {file.stem: {"images": fingerprint, "made_by": how}})
    return mean


def require_images(dataset: Photos, split: str) -> None:
    """Refuse a split that has no images.

    Raises:
        DlError: there are none to predict.
    """
    if dataset.splits[split]:
        return
    folder = shown(dataset.root / split)
    hint = f"Put images into {folder}."
    if split == "valid" and (error := untrainable(dataset)):
        hint = error.hint
    elif whole := whole_of(dataset.root):
        hint = f"This is a sample. Submit the whole dataset: `dl submit -d {quoted(whole)}`."
    raise DlError(f"No images in {folder}", why="there is nothing to predict", hint=hint)


def predictions_of_needed(
    run: Run, root: Path | None, config: Config, split: str, views: int = 0
) -> Predictions:
    """The same of a run that another one needs; it says where they are kept, if not in the run."""
    kept_in = runs_to_read(run)[-1]
    before = kept_in.status.get("predicted")
    predictions = predictions_of(run, root, config, split, views)
    if kept_in != run and kept_in.status.get("predicted") != before:
        kept = f"its predictions of {split} are in {shown(kept_in.path)}"
        say(f"Can't write to {shown(run.path)}: {kept}.")
    return predictions


def member_predictions(
    members: Sequence[Run],
    classes: tuple[str, ...],
    root: Path | None,
    config: Config,
    split: str,
    views: int = 0,
) -> list[Predictions]:
    """The predictions of an ensemble's members for one split, with the same image in each row.

    Images that a member left out are left out for all, with a message.

    Args:
        members: finished runs.
        classes: the order of the columns.
        root, config, split, views: as for `predictions_of`.
    """
    each = [predictions_of_needed(member, root, config, split, views) for member in members]
    same = aligned(each, classes)
    images = {path for predictions in each for path in predictions.paths}
    if left_out := len(images) - len(same[0].paths):
        say(f"Left out {left_out:,} of {split}: not every member predicts them.")
    return same


def _views_and_plain(
    run: Run, config: Config, dataset: Photos, split: str, count: int
) -> list[Predictions]:
    """A run's predictions of one split's images as they are, and of each view of them."""
    tta = tta_of(run, config, count)
    plain = predictions_of(run, dataset.root, config, split)
    say(f"Test-time augmentation of {split} by {run.name}: {tta}.")
    if tta.mirrors_unasked:
        say("Images are mirrored as well. To prevent that, use `--preset mnist`.")
    nameless = ("",) * len(plain.paths)
    changed = [
        Predictions(paths, run.classes, y_prob, nameless[: len(paths)])
        for paths, y_prob in _predict(run, config, dataset, split, tta.views)
    ]
    return aligned([plain, *changed], run.classes)


def _predict(
    run: Run, config: Config, dataset: Photos, split: str, views: Sequence[View | None] = (None,)
) -> list[tuple[tuple[str, ...], np.ndarray]]:
    """Run the best model on one split, on the kind of input that it was validated on.

    Returns:
        for each view (None: the images as they are) the readable images and their probabilities,
        (n_samples, n_classes).
    """
    if forward := run.features_forward:
        stored, head = _features(run, forward, config, dataset, split, views), start_head(run)
        return [(each.paths, predict_rows(head, each.rows)) for each in stored]
    paths, predicted = dataset.splits[split], []
    serving = start_serving(run, config, len(paths))
    for view in views:
        if view:
            say(f"View {view.number} of {len(views)} of {split}")
        settings = config.settings()
        predicted.append(predict_images(dataset.root, paths, serving, settings, split, view))
    return predicted


def _features(
    run: Run,
    plain: Forward,
    config: Config,
    dataset: Photos,
    split: str,
    views: Sequence[View | None],
) -> list[Features]:
    """The features of each view by the run's backbone; computed if they aren't stored."""
    settings = config.settings()
    weights = same_weights(run, config, plain)
    plain = kept_as(dataset, plain, (split,))
    functions = [
        kept_as(dataset, dataclasses.replace(plain, view=view), (split,)) for view in views
    ]
    folders = [store_folder(dataset, function, (split,)) for function in functions]
    ready = [features_ready(folder, dataset, split) for folder in folders]
    like = store_folder(dataset, plain, (split,))
    if any(views) and features_ready(like, dataset, split):
        missing = ready.count(False)
        what = words.count(missing, "view")
        require_room(missing, what, like, (split,), "Use a smaller `--tta`")
    for number, function in enumerate(functions):
        if function.view and not ready[number]:
            say(f"View {function.view.number} of {len(views)} of {split}")
        kinds: dict[str, Any] = {"workers": settings.threads, "on_error": settings.on_error}
        compute_features(dataset, function, weights, splits=(split,), **kinds)
    if not all(ready) and any(views):
        held = sum(size_bytes(array_path(folder, split)) for folder in folders)
        where = f"{words.size(held)} in {shown(folders[0].parent)}"
        listing = f"`dl features ls{again(dataset.root)}`"
        say(f"Stored the views of {split}, {where}; {listing} lists them.")
    return [open_features(folder, dataset, split) for folder in folders]


def keep_predictions(
    run: Run,
    dataset: Photos,
    split: str,
    paths: tuple[str, ...],
    y_prob: np.ndarray,
    fingerprint: str,
) -> Predictions:
    """Write one split's predictions, and the fingerprint of the images that they are of.

    Args:
        run: the run; if it can't be written to, they go to its `writable_run`.
        dataset: the images.
        split: "valid" or "test".
        paths: the image of each row.
        y_prob: array of shape (n_samples, n_classes), a column for each of the run's classes.
        fingerprint: the split's, before its images were read.
    """
    true = tuple("" if split == "test" else dataset.class_of(path) for path in paths)
    predictions = Predictions(paths, run.classes, y_prob, true)
    kept_in = writable_run(run)
    write_predictions(kept_in.predictions_file(split), predictions)
    kept_in.add_to_status("predicted", {split: fingerprint})
    return predictions


def predict_rows(head: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
    """A head's probabilities for stored features, in memory or on disk: (n_samples, n_classes)."""
    import numpy as np

    parts = (rows[i : i + 256] for i in range(0, rows.shape[0], 256))
    return np.concatenate([np.asarray(head(part)) for part in parts])

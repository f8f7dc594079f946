"""A finished run's predictions of photos: read from their file, or made if they are missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from dlcli.inference.predictions import (
    Predictions,
    aligned,
    mean_of,
    read_predictions,
    write_predictions,
)
from dlcli.inference.predictor import Predictor
from dlcli.inference.serving import predict_images, same_weights, start_head, start_serving
from dlcli.inference.tta import made_by, tta_of
from dlcli.models.forward import Forward
from dlcli.progress import say
from dlcli.runs.run import Run

if TYPE_CHECKING:
    import numpy as np


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


class PhotosPredictor(Predictor[Photos, Predictions]):
    """Makes, reads and keeps predictions of photos: probabilities of classes."""

    def opened(self, root: Path) -> Photos:
        """The dataset in a folder."""
        return open_photos(root)

    def require(self, dataset: Photos, split: str) -> None:
        """Refuse a split that has no images."""
        require_images(dataset, split)

    def require_labels(self, run: Run) -> None:
        """Refuse a run without its classes."""
        _ = run.classes

    def read(self, file: Path) -> Predictions:
        """Read a file of probabilities."""
        return read_predictions(file)

    def write(self, file: Path, predictions: Predictions) -> None:
        """Write a file of probabilities."""
        write_predictions(file, predictions)

    def predict(self, run: Run, config: Config, dataset: Photos, split: str) -> Predictions:
        """Predict the images of a split as they are."""
        ((paths, y_prob),) = _predict(run, config, dataset, split)
        return Predictions(paths, run.classes, y_prob, _true(dataset, split, paths))

    def aligned(self, run: Run, members: Sequence[Predictions]) -> tuple[list[Predictions], int]:
        """The predictions of the images that all members have, with the run's classes in order."""
        same = aligned(members, run.classes)
        images = {path for predictions in members for path in predictions.paths}
        return same, len(images) - len(same[0].paths)

    def mean(self, members: Sequence[Predictions]) -> Predictions:
        """The mean probabilities."""
        return mean_of(members)

    def made_by(self, run: Run, config: Config, views: int) -> Mapping[str, Any]:
        """The amounts of augmentation, the seed and what else a view depends on, see `tta`."""
        return made_by(run, config, views)

    def views(
        self, run: Run, config: Config, dataset: Photos, split: str, count: int
    ) -> list[Predictions]:
        """A run's predictions of one split's images as they are, and of each view of them."""
        tta = tta_of(run, config, count)
        plain = self.of(run, dataset.root, config, split)
        say(f"Test-time augmentation of {split} by {run.name}: {tta}.")
        if tta.mirrors_unasked:
            say("Images are mirrored as well. To prevent that, use `--preset mnist`.")
        nameless = ("",) * len(plain.paths)
        changed = [
            Predictions(paths, run.classes, y_prob, nameless[: len(paths)])
            for paths, y_prob in _predict(run, config, dataset, split, tta.views)
        ]
        return aligned([plain, *changed], run.classes)


PHOTOS = PhotosPredictor()
predictions_of = PHOTOS.of


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
    predictions = Predictions(paths, run.classes, y_prob, _true(dataset, split, paths))
    return PHOTOS.keep(run, dataset, split, predictions, fingerprint)


def _true(dataset: Photos, split: str, paths: Iterable[str]) -> tuple[str, ...]:
    """The class of each image by its folder, "" for those of test."""
    return tuple("" if split == "test" else dataset.class_of(path) for path in paths)


def predict_rows(head: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
    """A head's probabilities for stored features, in memory or on disk: (n_samples, n_classes)."""
    import numpy as np

    parts = (rows[i : i + 256] for i in range(0, rows.shape[0], 256))
    return np.concatenate([np.asarray(head(part)) for part in parts])

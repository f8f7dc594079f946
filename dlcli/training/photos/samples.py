"""The samples of a phase of training on photos: images, or stored features, with their labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.features.compute import compute_features, features_ready, open_features
from dlcli.features.rules import kept_as
from dlcli.features.store import require_room, store_folder
from dlcli.features.windows import shares_of
from dlcli.images.augmentation import Augmenter, View
from dlcli.models.forward import Forward
from dlcli.progress import say
from dlcli.recipe import Phase
from dlcli.training.photos.inputs import (
    FeatureInputs,
    Inputs,
    JoinedInputs,
    class_numbers,
    one_hot,
    read_images,
    size_of,
)
from dlcli.training.photos.plan import PhotosPlan
from dlcli.words import count

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Samples:
    """Inputs and their labels.

    Args:
        y_prob: array of shape (n_samples, n_classes), rows sum to 1.
        labelled: how many are labelled by their folder; these come first.
    """

    inputs: Inputs
    y_prob: np.ndarray
    labelled: int

    @property
    def y_true(self) -> np.ndarray:
        """Class numbers of the labelled samples, int (labelled,)."""
        y_true: np.ndarray = self.y_prob[: self.labelled].argmax(axis=1)
        return y_true

    @property
    def paths(self) -> tuple[str, ...]:
        """The image of each labelled sample."""
        return self.inputs.paths[: self.labelled]


def read_samples(
    job: PhotosPlan, phase: Phase, splits: tuple[str, ...] = ("train", "valid")
) -> list[Samples]:
    """Train and valid as a phase needs them: images, or features, computed if missing.

    Raises:
        DlError: unreadable images, named all at once; features that can't be computed.
    """
    pseudo = ("test",) if job.pseudo_labels and "train" in splits else ()
    read = _features if job.on_features(phase) else _images
    inputs = dict(zip((*splits, *pseudo), read(job, phase, (*splits, *pseudo)), strict=True))
    samples = []
    for split in splits:
        labels = _by_folder(job, inputs[split])
        if split == "train" and job.pseudo_labels:
            samples.append(_with_pseudo_labels(job, inputs["train"], labels, inputs["test"]))
        else:
            samples.append(Samples(inputs[split], labels, len(labels)))
    return samples


def _by_folder(job: PhotosPlan, inputs: Inputs) -> np.ndarray:
    classes = job.dataset.classes
    return one_hot(class_numbers(inputs.paths, classes), len(classes))


def _with_pseudo_labels(
    job: PhotosPlan, train: Inputs, labels: np.ndarray, test: Inputs
) -> Samples:
    import numpy as np

    assert job.pseudo_labels is not None
    rows = {path: row for row, path in enumerate(job.pseudo_labels.paths)}
    known = np.array([path in rows for path in test.paths])
    if not known.all():
        left_out = int((~known).sum())
        run = job.recipe.pseudo_label
        say(f"Left out {left_out:,} of the test images: {run} has no labels for them.")
    theirs = job.pseudo_labels.y_prob[[rows.get(path, 0) for path in test.paths]]
    joined = JoinedInputs(train, test, known, job.recipe.pseudo_share)
    return Samples(joined, np.concatenate([labels, theirs]).astype(np.float32), len(labels))


def _images(job: PhotosPlan, phase: Phase, splits: tuple[str, ...]) -> list[Inputs]:
    settings = job.settings
    read = read_images(
        job.dataset,
        splits,
        job.pixels,
        settings.threads,
        settings.memory_bytes,
        settings.on_error,
    )
    for split, inputs in zip(splits, read, strict=True):
        if phase.augment and split != "valid":
            inputs.augmenter = Augmenter(settings.augmentation, settings.seed)
    return [*read]


def _features(job: PhotosPlan, phase: Phase, splits: tuple[str, ...]) -> list[Inputs]:
    assert job.forward is not None
    plain = _stored(job, job.forward, splits)
    changing = tuple(split for split in splits if split != "valid")
    views = [
        replace(job.forward, view=View(job.settings.augmentation, number))
        for number in range(1, job.passes(phase) + 1)
    ]
    ready = [_is_stored(job, view, changing) for view in views]
    missing = ready.count(False)
    what = count(missing, "augmented pass", "augmented passes")
    require_room(missing, what, plain, changing, "Use fewer `--augment-passes`")
    least = " (as many as there are epochs)" if len(views) < job.recipe.augment_passes else ""
    stores = []
    for number, (view, there) in enumerate(zip(views, ready, strict=True), start=1):
        if not there:
            say(f"Augmented pass {number} of {len(views)}{least}")
        stores.append(_stored(job, view, changing))
    passes = [
        [
            open_features(folder, job.dataset, split)
            for folder in [plain, *(stores if split in changing else [])]
        ]
        for split in splits
    ]
    shares = shares_of(job.settings.memory_bytes, [size_of(each) for each in passes])
    return [FeatureInputs(each, share) for each, share in zip(passes, shares, strict=True)]


def _is_stored(job: PhotosPlan, forward: Forward, splits: tuple[str, ...]) -> bool:
    folder = store_folder(job.dataset, kept_as(job.dataset, forward, splits), splits)
    return all(features_ready(folder, job.dataset, split) for split in splits)


def _stored(job: PhotosPlan, forward: Forward, splits: tuple[str, ...]) -> Path:
    assert job.weights is not None
    settings = job.settings
    return compute_features(
        job.dataset,
        forward,
        job.weights,
        workers=settings.threads,
        on_error=settings.on_error,
        splits=splits,
    )

"""The job of a training: recipe, dataset and settings, resolved, and the samples of its phases.

Unlabelled images may be added, with labels by a finished run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from dlcli.config import Config, Value
from dlcli.data.dataset import SETTINGS, dataset_settings, whole_of
from dlcli.data.photos.look_alikes import say_look_alikes
from dlcli.data.photos.photos import Photos, open_photos, require_trainable
from dlcli.errors import DlError, ExitCode
from dlcli.features.compute import compute_features, features_ready, open_features
from dlcli.features.rules import kept_as
from dlcli.features.store import require_room, store_folder
from dlcli.features.windows import shares_of
from dlcli.files.formats import below, read_yaml
from dlcli.files.paths import quoted, shown
from dlcli.images.augmentation import Augmenter, View
from dlcli.images.pixels import NEWEST, PixelRule, RuleVersion
from dlcli.inference.predict import predictions_of_needed
from dlcli.inference.predictions import Predictions, aligned
from dlcli.models.engines import resolve_forward
from dlcli.models.forward import Forward
from dlcli.progress import say
from dlcli.recipe import Phase, Recipe
from dlcli.runs.changes import Change, batch_size_at, changed_phases
from dlcli.runs.choice import find_finished_run, name_among
from dlcli.runs.run import Run
from dlcli.runs.tensorboard import require_tensorboard
from dlcli.settings.augmentation import AMOUNTS
from dlcli.settings.shared import Settings
from dlcli.settings_file import RECORD
from dlcli.training.inputs import (
    FeatureInputs,
    Inputs,
    JoinedInputs,
    class_numbers,
    one_hot,
    read_images,
    size_of,
)
from dlcli.words import count

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Job:
    """Everything that a training needs.

    Args:
        name: the recipe's.
        fingerprints: of its splits before any image was read; a later change shows against them.
        settings: seed, workers and the rest.
        forward: the function that made or makes the features; None where the recipe sees pixels.
        weights: the file of the backbone's weights.
        pixels: how files become pixels if images go through the network; exact, so that the saved
            model gives the same numbers anywhere.
        pseudo_labels: predictions of the test images, used as labels.
        init_from: the run with the initial weights.
        changes: changes that were requested by `dl resume`.
    """

    name: str
    recipe: Recipe
    dataset: Photos
    fingerprints: Mapping[str, str]
    settings: Settings
    forward: Forward | None
    weights: Path | None
    pixels: PixelRule
    pseudo_labels: Predictions | None = None
    init_from: Run | None = None
    changes: tuple[Change, ...] = ()

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of training, with the requested changes."""
        return changed_phases(self.recipe.phases(), self.changes)

    @property
    def epochs(self) -> int:
        """Total number of epochs, with the requested changes."""
        return sum(phase.schedule.epochs for phase in self.phases)

    def batch_size(self, epoch: int) -> int:
        """Images per step in an epoch, numbered from 1."""
        return batch_size_at(epoch, self.recipe.batch_size, self.changes)

    def on_features(self, phase: Phase) -> bool:
        """Whether a phase trains on the feature store."""
        stored = not phase.augment or self.passes(phase)
        return self.forward is not None and not phase.trains_backbone and bool(stored)

    def passes(self, phase: Phase) -> int:
        """How many stored passes of augmented images a phase uses, besides the plain one.

        The epochs of all phases use them in turn, so there are never more than epochs.
        """
        wanted = self.recipe.augment_passes if phase.augment else 0
        return min(wanted, sum(phase.schedule.epochs for phase in self.phases))

    def same_samples(self, one: Phase, other: Phase) -> bool:
        """Whether two phases use the same samples."""
        kinds = [(self.on_features(phase), phase.augment) for phase in (one, other)]
        return kinds[0] == kinds[1]


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

    def some(self, count: int, seed: int) -> np.ndarray:
        """Numbers of random labelled samples, ascending: int (n,), n at most `count`."""
        import numpy as np

        rng = np.random.default_rng(seed)
        return np.sort(rng.permutation(self.labelled)[:count])

    @property
    def paths(self) -> tuple[str, ...]:
        """The image of each labelled sample."""
        return self.inputs.paths[: self.labelled]


def read_samples(
    job: Job, phase: Phase, splits: tuple[str, ...] = ("train", "valid")
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


def _by_folder(job: Job, inputs: Inputs) -> np.ndarray:
    classes = job.dataset.classes
    return one_hot(class_numbers(inputs.paths, classes), len(classes))


def _with_pseudo_labels(job: Job, train: Inputs, labels: np.ndarray, test: Inputs) -> Samples:
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


def _images(job: Job, phase: Phase, splits: tuple[str, ...]) -> list[Inputs]:
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


def _features(job: Job, phase: Phase, splits: tuple[str, ...]) -> list[Inputs]:
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


def _is_stored(job: Job, forward: Forward, splits: tuple[str, ...]) -> bool:
    folder = store_folder(job.dataset, kept_as(job.dataset, forward, splits), splits)
    return all(features_ready(folder, job.dataset, split) for split in splits)


def _stored(job: Job, forward: Forward, splits: tuple[str, ...]) -> Path:
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


def pseudo_labels_of(run: Run, config: Config, dataset: Photos) -> Predictions:
    """A run's predictions of a dataset's test images, with a column for each class in order.

    Raises:
        DlError: the dataset or its classes are not the run's.
    """
    if set(run.classes) != set(dataset.classes):
        raise DlError(
            f"{run.name} can't label the test images of {shown(dataset.root)}",
            why=f"its classes are {', '.join(run.classes)}, not {', '.join(dataset.classes)}",
            hint="Name a run of this dataset: `--pseudo-label RUN`.",
        )
    if not dataset.splits["test"]:
        whole = whole_of(dataset.root)
        raise DlError(
            f"No images in {shown(dataset.root / 'test')}",
            why="a sample has no test images" if whole else "there is nothing to label",
            hint=f"Train on the whole dataset: `-d {quoted(whole)}`."
            if whole
            else "Train without `--pseudo-label`.",
        )
    now = dataset.fingerprint("test")
    known = run.record.dataset.fingerprints["test"], run.status.get("predicted", {}).get("test")
    if run.dataset_path != dataset.root and now not in known:
        raise DlError(
            f"{run.name} is a run of another dataset than {shown(dataset.root)}",
            why="its test images are different ones",
            hint="Name a run of this dataset: `--pseudo-label RUN`.",
        )
    labels = predictions_of_needed(run, dataset.root, config, "test")
    return aligned([labels], dataset.classes)[0]


def make_job(config: Config, recipe_name: str, root: Path, like: Run | None = None) -> Job:
    """Resolve everything that `train` needs, and refuse early what can't work.

    Args:
        like: the run that is resumed or rerun, whose version of the rule for pixels stays; None:
            that of the run with the initial weights, of the run whose file `--config` names, or
            the newest.

    Raises:
        DlError: a dataset that can't be trained on, an unknown backbone, missing weights.
    """
    recipe = config.recipe(recipe_name)
    pins = {name: Value(value, f"recipe {recipe_name}") for name, value in recipe.pinned.items()}
    config = config.with_defaults(dataset_settings(root), shown(root / SETTINGS))
    settings = Config(config.values | pins).settings()
    dataset = open_photos(root)
    require_trainable(dataset)
    if like is None:
        say_look_alikes(dataset, once=True)
    before = dataset.fingerprints()
    if config.fits_epochs(recipe_name):
        recipe = recipe.fitted(len(dataset.splits["train"]), len(dataset.classes))
    _require_augmenting(recipe, config, settings)
    if settings.tensorboard:
        require_tensorboard()
    if config.is_flag(f"train.{recipe_name}.pseudo_share") and not recipe.pseudo_label:
        raise DlError(
            "`--pseudo-share` has no effect without `--pseudo-label RUN`",
            hint="Use both, or neither.",
            exit_code=ExitCode.USAGE,
        )
    forward, weights, size = None, None, settings.image_size or recipe.image_size
    if recipe.layer is not None:
        forward, weights = resolve_forward(settings, recipe.layer)  # type: ignore[arg-type]
        size = forward.pixels.size
    begun, labels = None, None
    recorded = like is not None  # no part of a name: another run may have it
    if recipe.init_from:
        begun = _run_to_begin_with(recipe.init_from, settings, whole=recorded)
        recipe = replace(recipe, init_from=name_among(begun, settings.runs_dir))
    if recipe.pseudo_label:
        labeller = find_finished_run(
            recipe.pseudo_label, settings.runs_dir, settings.data_dir, whole=recorded
        )
        labels = pseudo_labels_of(labeller, config, dataset)
        recipe = replace(recipe, pseudo_label=name_among(labeller, settings.runs_dir))
    version = _version_of(like or begun) or _version_in(config.file) or NEWEST
    return Job(
        name=recipe_name,
        recipe=recipe,
        dataset=dataset,
        fingerprints=before,
        settings=settings,
        forward=forward.by_rule(version) if forward else None,
        weights=weights,
        pixels=PixelRule(size, version=version),
        pseudo_labels=labels,
        init_from=begun,
    )


def _version_of(run: Run | None) -> RuleVersion | None:
    """The version of the rule for pixels that another run recorded."""
    pixels = run.record.pixels if run else None
    return pixels.version if pixels else None


def _version_in(file: Path | None) -> RuleVersion | None:
    """The version of the rule for pixels in a run's `config.yaml` that `--config` names."""
    if file is None:
        return None
    pixels = below(read_yaml(file), RECORD, "pixels")
    if not isinstance(pixels, Mapping):
        return None
    recorded = pixels.get("version", PixelRule.version)
    known: tuple[RuleVersion, ...] = get_args(RuleVersion)
    version = next((each for each in known if each == recorded), None)
    if version and version != NEWEST:
        say(f"Images become pixels by version {version} of the rule, as {shown(file)} records.")
    return version


def _run_to_begin_with(named: str, settings: Settings, *, whole: bool) -> Run:
    run = find_finished_run(named, settings.runs_dir, settings.data_dir, whole=whole)
    run.require_single("--init-from RUN")
    if not run.best_model.is_file():
        raise DlError(
            f"{run.name} has no model to start from",
            why=f"{shown(run.best_model)} does not exist",
            hint="Name another run: `--init-from RUN`.",
        )
    return run


def _require_augmenting(recipe: Recipe, config: Config, settings: Settings) -> None:
    """Refuse amounts of augmentation without `--augment`, and `--augment` without amounts.

    Raises:
        DlError: says which option is missing.
    """
    if (flags := config.given_flags(AMOUNTS)) and not recipe.augment:
        raise DlError(
            f"`{flags[0]}` has no effect without `--augment`",
            hint="Add `--augment`.",
            exit_code=ExitCode.USAGE,
        )
    if recipe.augment and settings.augmentation.changes_nothing:
        raise DlError(
            "`--augment` would change nothing",
            why=f"with the preset {settings.augmentation.preset!r}, every amount is 0",
            hint="Use another `--preset`, or set an amount, such as `--rotation 15`.",
            exit_code=ExitCode.USAGE,
        )

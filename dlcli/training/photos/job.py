"""The job of a training on photos."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from dlcli.backend import start_backend
from dlcli.config import Config
from dlcli.data.dataset import whole_of
from dlcli.data.photos.look_alikes import say_look_alikes
from dlcli.data.photos.photos import Photos, open_photos, require_trainable
from dlcli.errors import DlError, ExitCode
from dlcli.evaluation.metrics import accuracy, log_loss
from dlcli.files.formats import below, read_yaml, write_yaml
from dlcli.files.paths import quoted, shown
from dlcli.images.pixels import NEWEST, PixelRule, RuleVersion
from dlcli.inference.predict import PHOTOS
from dlcli.inference.predictions import Predictions, aligned
from dlcli.models.engines import resolve_forward
from dlcli.progress import say
from dlcli.recipe import Phase, Recipe
from dlcli.runs.choice import find_finished_run, name_among
from dlcli.runs.record import RunRecord
from dlcli.runs.run import Run
from dlcli.runs.tensorboard import require_tensorboard
from dlcli.settings.augmentation import AMOUNTS
from dlcli.settings.schedule import Schedule
from dlcli.settings.shared import Settings
from dlcli.settings_file import RECORD
from dlcli.training.checkpoint import Progress
from dlcli.training.job import Job, Outcome, run_to_begin_with, settings_for
from dlcli.training.photos.build import Network, begin, build_head, require_layers, restored
from dlcli.training.photos.outcome import outcome_of
from dlcli.training.photos.plan import PhotosPlan
from dlcli.training.photos.samples import Samples, read_samples
from dlcli.training.photos.targets import Targets, targets_of
from dlcli.words import count

if TYPE_CHECKING:
    import keras
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class PhotosJob(PhotosPlan, Job[Samples, Network]):
    """A training on photos: images, or the stored features of a frozen backbone.

    A frozen backbone runs only once per image: if only the head trains and nothing is augmented,
    the head trains on stored features. Otherwise the images go through the whole network.
    """

    def say_fitted(self, usual: Schedule) -> None:
        """Say why the epochs are not the recipe's default (`Recipe.fitted`)."""
        now, before = self.recipe.schedule.epochs, usual.epochs
        if now > before:
            images = count(len(self.dataset.splits["train"]), "image")
            classes = count(len(self.dataset.classes), "class", "classes")
            say(
                f"{now} epochs, not the usual {before}: {images} of {classes} need more steps. "
                "`--epochs N` sets another number."
            )

    def read_samples(
        self, phase: Phase, splits: tuple[str, ...] = ("train", "valid")
    ) -> list[Samples]:
        """Images, or features, computed if missing; see `samples.read_samples`."""
        return read_samples(self, phase, splits)

    def first_samples(self) -> list[Samples]:
        """Train and valid as the first phase needs them; read before the run's folder is made.

        Raises:
            DlError: unreadable images, weights that don't fit, or layers that don't exist.
        """
        first = self.phases[0]
        if any(phase.trains_backbone for phase in self.phases):
            start_backend()
            require_layers(self)
        samples = self.read_samples(first)
        if self.forward is None or self.on_features(first):
            start_backend()
            build_head(self, samples[0].inputs.shape)  # a project recipe may fail in it
        return samples

    def described(self, phase: Phase, train: Samples) -> str:
        """Describe what a phase trains on."""
        what = "the images"
        if self.on_features(phase):
            what = "the stored features"
            if passes := self.passes(phase):
                what += f" and {count(passes, 'augmented pass', 'augmented passes')}"
        if train.inputs.from_disk:
            what += ", read from disk"
        what += f": {count(train.labelled, 'image')}"
        if beside := len(train.inputs.paths) - train.labelled:
            what += f" and {beside:,} pseudo-labelled"
        return what

    def is_quick(self, phase: Phase) -> bool:
        """Whether a phase trains on stored features, whose epochs take milliseconds."""
        return self.on_features(phase)

    def is_watched(self, phase: Phase) -> bool:
        """Whether a phase trains on stored features, of which a head memorises a few hundred."""
        return self.on_features(phase)

    def targets(self, train: Samples) -> Targets:
        """The labels of the training samples, with smoothing, mixing and weights."""
        return targets_of(self, train)

    def network(
        self, phase: Phase, shape: tuple[int, ...], *, full_precision: bool = False
    ) -> Network:
        """The compiled network of a phase."""
        return Network(self, phase, shape, full_precision=full_precision)

    def begin(self, network: Network, train: Samples) -> None:
        """Set the initial weights of a network, as its recipe and the job say."""
        begin(self, network, train)

    def restored(self, phase: Phase, file: Path) -> Network:
        """The network of a phase, with a saved model's weights."""
        return restored(self, phase, file) if self.forward else super().restored(phase, file)

    def trained_scores(self, means: Mapping[str, float]) -> dict[str, float]:
        """Mean loss and accuracy while training."""
        return {name: means[name] for name in self.scores}

    def valid_scores(self, y_true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        """Log loss and accuracy of probabilities, (n, n_classes)."""
        return {"loss": log_loss(y_true, predicted), "accuracy": accuracy(y_true, predicted)}

    def guess_loss(self, y_true: np.ndarray) -> float:
        """The log loss of the shares of the classes."""
        import numpy as np

        counts = np.bincount(y_true)
        share = counts[counts > 0] / len(y_true)
        return float(-(share * np.log(share)).sum())

    def outcome(
        self,
        run: Run,
        network: Network,
        model: keras.Model,
        samples: list[Samples],
        progress: Progress,
    ) -> Outcome:
        """Judge the best model, predict with it, and make the files for quick predictions."""
        return outcome_of(self, run, network, model, samples, progress)

    def resolved(self) -> Settings:
        """The settings, with every value as it was used."""
        settings = replace(
            super().resolved(),
            image_size=self.pixels.size,
            # as named; the backbone's own file is looked up again on each machine
            weights=_absolute(self.settings.weights) if self.forward else None,
        )
        if self.forward is None:
            return settings
        chosen: dict[str, Any] = {
            "engine": self.forward.engine,
            "precision": self.forward.precision,
        }
        return replace(settings, **chosen)

    def record(self) -> dict[str, Any]:
        """Classes, the function that made the features, the rule for pixels."""
        return {
            "classes": list(self.dataset.classes),
            "forward": self.forward.describe() if self.forward else None,
            "pixels": self.pixels.describe(),
            "pixel_rule": str(self.pixels),
            "pseudo_labels": self.pseudo_labels.digest if self.pseudo_labels else None,
        }

    def write_labels(self, run: Run) -> None:
        """Write the names of the classes, in the order of the model's outputs."""
        write_yaml(run.classes_file, list(self.dataset.classes))

    def changed_since(self, record: RunRecord) -> tuple[str, str]:
        """Whether labels or backbone would now be others."""
        labels = self.pseudo_labels.digest if self.pseudo_labels else None
        if labels != record.pseudo_labels:
            return f"{self.recipe.pseudo_label} now labels the test images differently", ""
        if self.forward != record.forward:
            then, now = (each and each.describe() for each in (record.forward, self.forward))
            mend = "Restore the weights and packages that `config.yaml` names. "
            return f"it used {then}, and would now use {now}", mend
        return "", ""


def _absolute(file: Path | None) -> Path | None:
    return file and Path(os.path.abspath(file))


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
    labels = PHOTOS.of_needed(run, dataset.root, config, "test")
    return aligned([labels], dataset.classes)[0]


def make_job(config: Config, recipe_name: str, root: Path, like: Run | None = None) -> PhotosJob:
    """Resolve everything that `train` needs, and refuse early what can't work.

    Args:
        like: the run that is resumed or rerun, whose version of the rule for pixels stays; None:
            that of the run with the initial weights, of the run whose file `--config` names, or
            the newest.

    Raises:
        DlError: a dataset that can't be trained on, an unknown backbone, missing weights.
    """
    recipe = config.recipe(recipe_name)
    assert isinstance(recipe, Recipe)
    config, settings = settings_for(config, recipe_name, recipe, root)
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
        begun = run_to_begin_with(recipe.init_from, settings, whole=recorded)
        recipe = replace(recipe, init_from=name_among(begun, settings.runs_dir))
    if recipe.pseudo_label:
        labeller = find_finished_run(
            recipe.pseudo_label, settings.runs_dir, settings.data_dir, whole=recorded
        )
        labels = pseudo_labels_of(labeller, config, dataset)
        recipe = replace(recipe, pseudo_label=name_among(labeller, settings.runs_dir))
    version = _version_of(like or begun) or _version_in(config.file) or NEWEST
    return PhotosJob(
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

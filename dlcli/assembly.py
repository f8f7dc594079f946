"""Images or features, backbone and head, put together as one phase of training needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.backend import jit_compile
from dlcli.checkpoint import Progress, load_best
from dlcli.dataset import Dataset
from dlcli.errors import DlError
from dlcli.features import compute_features, load_features
from dlcli.images import PixelRule
from dlcli.inference import Forward
from dlcli.inputs import FeatureInputs, Inputs, read_images
from dlcli.recipe import Phase, Recipe
from dlcli.settings import Settings

if TYPE_CHECKING:
    import keras
    import numpy as np

# Samples per step where nothing trains; any number gives the same probabilities.
PREDICT_BATCH = 64


@dataclass(frozen=True)
class Job:
    """All that a training needs.

    Args:
        recipe: model and hyperparameters.
        dataset: images and classes.
        fingerprints: of its splits before any image was read; a later change shows against them.
        settings: seed, workers and the rest.
        forward: the function that made or makes the features; None where the recipe sees pixels.
        weights: the file of the backbone's weights.
        pixels: how files become pixels where images go through the network: exact, so that the
            saved model gives the same numbers anywhere.
    """

    recipe: Recipe
    dataset: Dataset
    fingerprints: Mapping[str, str]
    settings: Settings
    forward: Forward | None
    weights: Path | None
    pixels: PixelRule

    def on_features(self, phase: Phase) -> bool:
        """Whether a phase trains on the feature store."""
        return self.forward is not None and phase.frozen


def read_inputs(
    job: Job, on_features: bool, splits: tuple[str, ...] = ("train", "valid")
) -> list[Inputs]:
    """Some splits, as stored features (computed where they are missing) or as images.

    Raises:
        DlError: unreadable images, named all at once; features that can't be made.
    """
    dataset, classes, settings = job.dataset, job.dataset.classes, job.settings
    threads, on_error = settings.threads, settings.on_error
    if not on_features:
        return [*read_images(dataset, splits, job.pixels, threads, on_error)]
    assert job.forward is not None and job.weights is not None
    folder = compute_features(
        dataset, job.forward, job.weights, workers=threads, on_error=on_error, splits=splits
    )
    return [FeatureInputs(load_features(folder, dataset, split), classes) for split in splits]


def require_layers(job: Job) -> None:
    """Refuse, before the first epoch, to unfreeze more layers than there are.

    Raises:
        DlError: says how many there are.
    """
    wanted = max(phase.unfreeze for phase in job.recipe.phases())
    if not wanted or job.forward is None:
        return
    from dlcli.models.backbones import layers_with_weights

    there = len(layers_with_weights(_load_backbone(job)))
    if wanted > there:
        raise DlError(
            f"Can't unfreeze {wanted} layers of {job.forward.backbone}",
            why=f"{there} of its layers can train",
            hint=f"Take `--unfreeze {there}` for all of them, or fewer.",
        )


class Network:
    """What trains in one phase, compiled: the head alone, or the whole network.

    Args:
        job: recipe, backbone, classes.
        phase: which layers train.
        shape: of one sample of the phase's inputs.
    """

    def __init__(self, job: Job, phase: Phase, shape: tuple[int, ...]) -> None:
        self.job, self.phase = job, phase
        recipe, n_classes = job.recipe, len(job.dataset.classes)
        if job.forward is None or job.on_features(phase):
            self.backbone = None
            self.head = recipe.head(shape, n_classes)
            self.model = self.head
        else:
            from dlcli.models.backbones import join, unfreeze

            self.backbone = _load_backbone(job)
            unfreeze(self.backbone, phase.unfreeze)
            self.head = recipe.head(tuple(self.backbone.output_shape[1:]), n_classes)
            self.model = join(self.backbone, self.head)
        self.optimizer = recipe.optimizer(phase.schedule.steps[0][0])
        self.model.compile(
            self.optimizer,
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=jit_compile(),
        )
        self.optimizer.build(self.model.trainable_variables)
        self.trained = [
            variable
            for variable in self.model.variables
            if variable.trainable or any(variable is own for own in self.head.variables)
            if "seed_generator_state" not in variable.path
        ]

    def weights(self) -> list[np.ndarray]:
        """What training changes, in the model's order."""
        return [to_numpy(variable) for variable in self.trained]

    def assign(self, weights: list[np.ndarray], optimizer: list[np.ndarray] | None = None) -> None:
        """Put back what `weights` gave, and the optimizer's state."""
        for variable, value in zip(self.trained, weights, strict=True):
            variable.assign(value)
        if optimizer is not None:
            for variable, value in zip(self.optimizer.variables, optimizer, strict=True):
                variable.assign(value)

    def assign_best(self, checkpoint: Path, progress: Progress) -> None:
        """Put in the best epoch so far, which may be one of an earlier phase.

        What trains is always the backbone's last layers and then the head, so weights of a phase
        that trained fewer or more of them fit from the end.
        """
        from dlcli.models.backbones import layers_with_weights

        layers = layers_with_weights(self.backbone) if self.backbone is not None else []
        trainable = [variable for layer in layers for variable in layer.variables]
        trainable += self.head.variables
        kept = [each for each in trainable if "seed_generator_state" not in each.path]
        weights = load_best(checkpoint, progress)
        for variable, value in zip(reversed(kept), reversed(weights), strict=False):
            variable.assign(value)

    def complete(self) -> keras.Model:
        """The model from pixels 0-255 to probabilities, backbone and preprocessing inside."""
        if self.job.forward is None or self.backbone is not None:
            return self.model
        from dlcli.models.backbones import join

        return join(_load_backbone(self.job), self.head)

    def predict(self, inputs: Inputs, step: Callable[[], None] = lambda: None) -> np.ndarray:
        """Probabilities of all samples, in order: float32 (n_samples, n_classes).

        Args:
            inputs: the samples.
            step: called after each batch.
        """
        import numpy as np

        parts = []
        for x, _ in inputs.batches(np.arange(len(inputs.y_true)), PREDICT_BATCH):
            parts.append(np.asarray(self.model.predict_on_batch(x)))
            step()
        return np.concatenate(parts)


def _load_backbone(job: Job) -> keras.Model:
    """The backbone up to the recipe's layer, frozen, in f32."""
    from dlcli.models.backbones import get_backbone, load_cut

    assert job.forward is not None
    backbone = get_backbone(job.forward.backbone)
    return load_cut(backbone, job.forward.layer, job.weights, job.pixels.size)


def to_numpy(variable: keras.Variable) -> np.ndarray:
    """A variable's value, as an array of its own."""
    from keras import ops

    value: np.ndarray = ops.convert_to_numpy(variable.value)
    return value

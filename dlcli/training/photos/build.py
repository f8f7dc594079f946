"""Build and compile backbone and head for one phase of training.

Also the initial weights of a new network (random, pretrained or a run's), and an optimizer with
different learning rates per layer.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.catalog import recipe_file
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.models.saved import load_model
from dlcli.progress import say
from dlcli.recipe import Beginning, Phase
from dlcli.runs.run import Run
from dlcli.training.job import some_of
from dlcli.training.network import AnyNetwork
from dlcli.training.photos.plan import PhotosPlan
from dlcli.training.photos.samples import Samples

if TYPE_CHECKING:
    import keras
    import numpy as np


# Samples that a head may measure before training: enough for the mean of a channel.
MEASURED = 512


def require_layers(job: PhotosPlan) -> None:
    """Refuse to train layers that the backbone doesn't have, before the first epoch.

    Raises:
        DlError: says how many layers there are, or which name is nearest.
    """
    phases = [phase for phase in job.phases if phase.trains_backbone]
    if phases and job.forward is not None:
        backbone = load_backbone(job)
        for phase in phases:
            _layers_to_train(job, backbone, phase)


def _layers_to_train(job: PhotosPlan, backbone: keras.Model, phase: Phase) -> list[keras.Layer]:
    """The backbone's layers that train in a phase, from the input up."""
    from dlcli.models.network import layers_from, layers_with_weights

    if phase.freeze_to:
        layers = layers_from(backbone, phase.freeze_to)
        if not layers:
            raise DlError(
                f"No layer of {backbone.name} would train from {phase.freeze_to!r} up",
                why="neither this layer nor any layer above it has weights",
                hint=f"Name a lower layer. `dl backbones {backbone.name}` lists them.",
            )
        return layers
    layers = layers_with_weights(backbone)
    if phase.unfreeze > len(layers):
        raise DlError(
            f"Can't unfreeze {phase.unfreeze} layers of {backbone.name}",
            why=f"{len(layers)} of its layers can train",
            hint=f"Use `--unfreeze {len(layers)}` for all of them, or less.",
        )
    return layers[len(layers) - phase.unfreeze :]


def build_head(job: PhotosPlan, shape: tuple[int, ...]) -> keras.Model:
    """Build the recipe's head for samples of a shape, with random weights.

    Raises:
        DlError: a project recipe fails in it, or outputs another number of classes.
    """
    n_classes, file = len(job.dataset.classes), recipe_file(job.name)
    try:
        head = job.recipe.head(shape, n_classes)
    except Exception as error:
        if file is None or isinstance(error, DlError):
            raise
        raise DlError(
            f"The recipe `{job.name}` can't build its head",
            why=f"{type(error).__name__}: {error}",
            hint=f"Mend `head` in {shown(file)}; `--debug` shows where it failed.",
        ) from error
    if head.output_shape != (None, n_classes):
        raise DlError(
            f"The head of the recipe `{job.name}` doesn't have {n_classes} classes as output",
            why=f"expected an output of shape (None, {n_classes}), received {head.output_shape}",
            hint='Make its last layer `Dense(n_classes, activation="softmax")`.',
        )
    head.name = "head"  # the name by which it is found in the whole model
    return head


class Network(AnyNetwork):
    """The compiled network of one phase: the head alone, or backbone and head.

    Attributes:
        backbone: None if the phase runs the head alone.
        head: the recipe's layers.
        model: backbone and head.
    """

    loss = "categorical_crossentropy"
    metrics = ("accuracy",)

    def __init__(
        self, job: PhotosPlan, phase: Phase, shape: tuple[int, ...], *, full_precision: bool = False
    ) -> None:
        self.job = job
        super().__init__(job.recipe, phase, shape, full_precision=full_precision)

    def again(self, *, full_precision: bool = False) -> Network:
        """The same network as it is when it is new."""
        return Network(self.job, self.phase, self.shape, full_precision=full_precision)

    def build(self) -> None:
        """Build the head, and the backbone below it if images go through both."""
        self.backbone: keras.Model | None = None
        if self.job.forward is None or self.job.on_features(self.phase):
            self.head = build_head(self.job, self.shape)
            self.model = self.head
        else:
            from dlcli.models.network import join, train_layers

            self.backbone = load_backbone(self.job)
            if self.phase.trains_backbone:
                layers = _layers_to_train(self.job, self.backbone, self.phase)
                train_layers(self.backbone, layers)
            self.head = build_head(self.job, tuple(self.backbone.output_shape[1:]))
            self.model = join(self.backbone, self.head)
        if self.mixed:
            self.head.layers[-1].dtype_policy = "float32"  # 16 bits are too few for probabilities

    def make_optimizer(self) -> keras.Optimizer:
        """The recipe's optimizer, with lower rates for lower layers if the phase has them."""
        optimizer = super().make_optimizer()
        if self.backbone is not None and self.phase.layer_decay != 1:
            layers = _layers_to_train(self.job, self.backbone, self.phase)
            grade(optimizer, decaying_shares(layers[::-1], self.phase.layer_decay))
        return optimizer

    def own(self) -> list[keras.Variable]:
        """The head's variables; a frozen backbone's are in its own file."""
        return list(self.head.variables)

    def restorable(self) -> list[keras.Variable]:
        """The backbone's variables, and the head's."""
        from dlcli.models.network import layers_with_weights

        layers = layers_with_weights(self.backbone) if self.backbone is not None else []
        return [*(variable for layer in layers for variable in layer.variables), *self.own()]

    def complete(self) -> keras.Model:
        """The model from pixels 0-255 to probabilities, with backbone and preprocessing."""
        if self.job.forward is None or self.backbone is not None:
            return self.model
        from dlcli.models.network import join

        return join(load_backbone(self.job), self.head)


def load_backbone(job: PhotosPlan) -> keras.Model:
    """The backbone up to the recipe's layer, frozen; with the weights of `init_from`, if any."""
    backbone = load_pretrained(job)
    if job.init_from is not None:
        old = {layer.name: layer for layer in layers_within(load_model(job.init_from.best_model))}
        for layer in layers_within(backbone):
            if layer.name in old and same_shapes(layer, old[layer.name]):
                layer.set_weights(old[layer.name].get_weights())
    return backbone


def load_pretrained(job: PhotosPlan) -> keras.Model:
    """The backbone up to the recipe's layer, frozen, with its published weights."""
    from dlcli.models.backbones import get_backbone
    from dlcli.models.network import load_cut

    assert job.forward is not None
    backbone = get_backbone(job.forward.backbone)
    return load_cut(backbone, job.forward.layer, job.weights, job.pixels.size)


def layers_within(model: keras.Model) -> Iterator[keras.Layer]:
    """A model's layers with weights; nested models are replaced by their layers."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from layers_within(layer)
        elif layer.weights:
            yield layer


def same_shapes(one: keras.Layer, other: keras.Layer) -> bool:
    """Whether two layers have weights of the same shapes."""
    return [w.shape for w in one.weights] == [w.shape for w in other.weights]


def begin(job: PhotosPlan, network: Network, train: Samples) -> None:
    """Set the initial weights of a network, as its recipe and the job say.

    Raises:
        DlError: they don't fit.
    """
    carried = _carry_over(job, network, job.init_from) if job.init_from else frozenset()
    beginning = Beginning(lambda: _top(job), lambda: _sample(job, network, train), carried)
    job.recipe.begin(network.head, beginning)
    # layers refer to each other in circles, so networks that were read for their weights (for VGG16
    # a gigabyte) stay in memory until they are collected
    gc.collect()


def _top(job: PhotosPlan) -> keras.Model | None:
    from dlcli.models.backbones import get_backbone
    from dlcli.models.network import load_network
    from dlcli.models.surgery import top_of

    assert job.forward is not None
    backbone = get_backbone(job.forward.backbone)
    try:
        return top_of(load_network(backbone, job.weights), backbone)
    except DlError as error:  # a file without the top still has all other layers
        say(f"Pretrained top layers not used: {error.what}.")
        return None


def _sample(job: PhotosPlan, network: Network, train: Samples) -> np.ndarray:
    """The head's input for some training images, chosen at random."""
    import numpy as np

    order = some_of(train, MEASURED, job.settings.seed)
    train.inputs.start_epoch(0)
    x = np.concatenate([x for x, _ in train.inputs.batches(order, 64)])
    if network.backbone is not None:
        x = network.backbone.predict(x, batch_size=32, verbose=0)
    return x


def _carry_over(job: PhotosPlan, network: Network, run: Run) -> frozenset[str]:
    """Copy the weights of head layers that a run's best model also has, by name and shape.

    The backbone already has the run's weights.

    Returns:
        their names.
    """
    old = {layer.name: layer for layer in layers_within(load_model(run.best_model))}
    if job.forward is not None and network.backbone is None:
        _require_same_below(job, run)
    same_classes = run.classes == job.dataset.classes
    in_head = list(layers_within(network.head))
    carried = []
    for layer in in_head:
        like = old.get(layer.name)
        last = layer is network.head.layers[-1]
        if like is not None and same_shapes(layer, like) and (same_classes or not last):
            layer.set_weights(like.get_weights())
            carried.append(layer.name)
    if not carried:
        names = " or ".join(layer.name for layer in in_head)
        raise DlError(
            f"No weights of {run.name} fit this network",
            why=f"the run has no layer {names} with weights of the same shapes",
            hint="Use a run of a similar recipe on the same backbone.",
        )
    from_run = carried if network.backbone is None else ["the backbone", *carried]
    say(f"Started from {run.name}: {', '.join(from_run)}.")
    return frozenset(carried)


def _require_same_below(job: PhotosPlan, run: Run) -> None:
    """Refuse a run whose backbone would compute other features than the stored ones.

    Raises:
        DlError: names a layer that was trained.
    """
    import numpy as np

    pretrained = layers_within(load_pretrained(job))
    for ours, theirs in zip(pretrained, layers_within(load_backbone(job)), strict=True):
        if not all(map(np.array_equal, ours.get_weights(), theirs.get_weights())):
            raise DlError(
                f"Stored features can't be used when starting from {run.name}",
                why=f"the weights of its layer {ours.name} differ from the pretrained ones, "
                "which computed the features",
                hint="Use a run on the same backbone in which this layer was frozen.",
            )


def grade(optimizer: keras.Optimizer, shares: Mapping[int, float]) -> None:
    """Train some variables at a share of the learning rate.

    Scaling the gradients would have no effect: Adam and RMSprop divide by their size.

    Args:
        optimizer: any of Keras' but Nadam, which counts its steps itself.
        shares: id of a variable -> share of the learning rate; 1 for all others.
    """
    plain: Any = type(optimizer)

    class Graded(plain):  # type: ignore[misc]
        """The same optimizer, with one update for each group of variables of the same rate."""

        # not in the update of one variable: PyTorch's optimizers update all variables at once
        def _backend_update_step(
            self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any
        ) -> None:
            groups: dict[float, tuple[list[Any], list[Any]]] = {}
            for gradient, variable in zip(grads, trainable_variables, strict=True):
                group = groups.setdefault(shares.get(id(variable), 1.0), ([], []))
                group[0].append(gradient)
                group[1].append(variable)
            for share, (theirs, variables) in groups.items():
                super()._backend_update_step(theirs, variables, learning_rate * share)

    object.__setattr__(optimizer, "__class__", Graded)


def decaying_shares(layers_from_the_top: list[keras.Layer], decay: float) -> dict[int, float]:
    """Shares of the learning rate: each layer's is `decay` times that of the layer above it.

    Discriminative fine-tuning: Howard & Ruder 2018, arXiv:1801.06146, section 3.2.

    Args:
        layers_from_the_top: the backbone's layers, the one next to the head first; the head's
            share is 1.
        decay: the factor, above 0 and at most 1.
    """
    return {
        id(variable): decay**depth
        for depth, layer in enumerate(layers_from_the_top, start=1)
        for variable in layer.trainable_variables
    }


def restored(job: PhotosPlan, phase: Phase, file: Path) -> Network:
    """The network of a phase with a backbone, with a saved model's weights.

    Raises:
        DlError: the model is damaged.
    """
    import keras

    model = load_model(file)
    head = model.get_layer("head")
    network = Network(job, phase, tuple(head.input_shape[1:]))
    network.head.set_weights(head.get_weights())
    if network.backbone is not None:
        (backbone,) = (
            layer for layer in model.layers if isinstance(layer, keras.Model) and layer is not head
        )
        network.backbone.set_weights(backbone.get_weights())
    return network

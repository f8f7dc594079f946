"""What a new network begins with: random weights, a pretrained network's, or those of a run."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from dlcli.assembly import (
    Network,
    layers_within,
    load_backbone,
    load_pretrained,
    same_shapes,
)
from dlcli.errors import DlError
from dlcli.job import Job, Samples
from dlcli.models.saved import load_model
from dlcli.progress import say
from dlcli.recipe import Beginning
from dlcli.runs.run import Run

if TYPE_CHECKING:
    import keras
    import numpy as np

# Samples that a head may measure before it is trained: enough for the mean of a channel.
MEASURED = 512


def begin(job: Job, network: Network, train: Samples) -> None:
    """Give a network that was never trained the weights that its recipe and the job want.

    Raises:
        DlError: they don't fit.
    """
    carried = _carry_over(job, network, job.init_from) if job.init_from else frozenset()
    beginning = Beginning(lambda: _top(job), lambda: _sample(job, network, train), carried)
    job.recipe.begin(network.head, beginning)
    # layers refer to each other in circles: networks that were read for their weights, of VGG16 a
    # gigabyte, stay until somebody looks for such
    gc.collect()


def _top(job: Job) -> keras.Model | None:
    from dlcli.models.backbones import get_backbone
    from dlcli.models.network import load_network
    from dlcli.models.surgery import top_of

    assert job.forward is not None
    backbone = get_backbone(job.forward.backbone)
    try:
        return top_of(load_network(backbone, job.weights), backbone)
    except DlError as error:  # weights without a top serve for all below it
        say(f"No layers are carried over: {error.what}.")
        return None


def _sample(job: Job, network: Network, train: Samples) -> np.ndarray:
    """What the head receives for some of the training images, chosen at random."""
    import numpy as np

    order = train.some(MEASURED, job.settings.seed)
    train.inputs.start_epoch(0)
    x = np.concatenate([x for x, _ in train.inputs.batches(order, 64)])
    if network.backbone is not None:
        x = network.backbone.predict(x, batch_size=32, verbose=0)
    return x


def _carry_over(job: Job, network: Network, run: Run) -> frozenset[str]:
    """Take the head's layers from a run's best model that it has too, by name and shape.

    The backbone has the run's weights already, wherever it is loaded.

    Returns:
        their names.
    """
    old = {layer.name: layer for layer in layers_within(load_model(run.best_model))}
    if job.forward is not None and network.backbone is None:
        _require_same_below(job, run)
    same_classes = run.classes() == job.dataset.classes
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
            f"Nothing of {run.name} fits into this network",
            why=f"it has no layer called {names} with weights of the same shapes",
            hint="Begin with a run of a recipe like this one, on the same backbone.",
        )
    below = "the backbone, " * (network.backbone is not None)
    say(f"Began with {run.name}: {below}{', '.join(carried)}.")
    return frozenset(carried)


def _require_same_below(job: Job, run: Run) -> None:
    """Refuse a run whose network sees something else in an image than the stored features hold.

    Raises:
        DlError: names a layer that was trained.
    """
    import numpy as np

    pretrained = layers_within(load_pretrained(job))
    for ours, theirs in zip(pretrained, layers_within(load_backbone(job)), strict=True):
        if not all(map(np.array_equal, ours.get_weights(), theirs.get_weights())):
            raise DlError(
                f"{run.name} can't be begun with on stored features",
                why=f"its layer {ours.name} is not the pretrained one, which these rest on",
                hint="Begin with a run on the same backbone in which this layer was frozen.",
            )

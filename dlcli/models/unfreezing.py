"""Which layers of a pretrained network train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlcli.errors import DlError
from dlcli.models import preprocessing
from dlcli.models.network import named_layer

if TYPE_CHECKING:
    import keras


def layers_with_weights(backbone: keras.Model) -> list[keras.Layer]:
    """The backbone's layers that can be unfrozen, from the image to the top.

    Not among them: preprocessing, and normalisation by statistics, which stays as it was trained.
    """
    from keras import layers

    fixed = layers.BatchNormalization | layers.Normalization
    return [
        layer
        for layer in backbone.layers
        if layer.weights and not isinstance(layer, fixed) and layer.name != preprocessing.NAME
    ]


def layers_from(backbone: keras.Model, name: str) -> list[keras.Layer]:
    """The layers that train when everything below one of them is frozen.

    Args:
        backbone: as `load_cut` gives it.
        name: of the lowest layer that is not frozen; it may be one without weights, such as a
            pooling.

    Returns:
        those of `layers_with_weights` from that layer up, itself included; none where it stands
        above them all.

    Raises:
        DlError: the backbone has no layer of this name.
    """
    try:
        lowest = backbone.layers.index(named_layer(backbone, name))
    except DlError as error:
        error.hint = f"{error.hint} `dl backbones {backbone.name}` lists those that can train."
        raise
    above = {id(layer) for layer in backbone.layers[lowest:]}
    return [layer for layer in layers_with_weights(backbone) if id(layer) in above]


def train_layers(backbone: keras.Model, train: Sequence[keras.Layer]) -> None:
    """Let exactly these layers of a backbone train.

    Batch normalisation between them keeps its statistics, scale and offset: see `models.network`.

    Args:
        backbone: as `load_cut` gives it, alone or already joined to a head. Compile afterwards:
            Keras takes the list of what trains then.
        train: some of `layers_with_weights`; none freezes all.
    """
    backbone.trainable = len(train) > 0  # sets every layer too
    for layer in backbone.layers:
        layer.trainable = any(layer is each for each in train)


def unfreeze(backbone: keras.Model, n: int) -> None:
    """Let the last `n` layers with weights train, and no other; see `train_layers`.

    Args:
        backbone: as `load_cut` gives it.
        n: layers, counted from the top as `layers_with_weights` lists them; 0 freezes all.
    """
    train_layers(backbone, layers_with_weights(backbone)[-n:] if n else [])

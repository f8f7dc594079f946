"""VGG16 with few filters in its convolutions, and the same layers on top under the same names.

A picture takes VGG16 15 billion multiplications before its first fully connected layer, which holds
three quarters of its weights. Where a test is about what becomes of the layers on top, `network`
gives these the same 7x7x512 numbers for next to nothing; the other two make their weights few too.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from dlcli.models.backbones import BACKBONES, Backbone

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor

NAME = "vgg16"
# convolutions and filters of all blocks but the last; VGG16 has 64, 128, 256 and 512 filters
BLOCKS = ((2, 4), (2, 4), (3, 8), (3, 8))
FEW_UNITS = 64


def network(
    include_top: bool,
    weights: None,
    input_tensor: KerasTensor,
    input_shape: tuple[int, int, int],
    *,
    filters: int = 512,
    units: int = 4096,
) -> keras.Model:
    """Build it as Keras' function does.

    Args:
        include_top, weights, input_tensor, input_shape: as there.
        filters: of the last block.
        units: of each hidden layer.
    """
    from keras import Model, layers
    from keras.utils import get_source_inputs

    x = input_tensor
    for block, (convolutions, width) in enumerate((*BLOCKS, (3, filters)), 1):
        for number in range(1, convolutions + 1):
            name = f"block{block}_conv{number}"
            x = layers.Conv2D(width, 3, padding="same", activation="relu", name=name)(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    if include_top:
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dense(units, activation="relu", name="fc1")(x)
        x = layers.Dense(units, activation="relu", name="fc2")(x)
        x = layers.Dense(1000, activation="softmax", name="predictions")(x)
    return Model(get_source_inputs(input_tensor), x, name=NAME)


with_few_units = partial(network, units=FEW_UNITS)
with_few_features = partial(network, filters=16)


def row(function: str) -> Backbone:
    """What stands in the table for one of these."""
    return replace(BACKBONES[NAME], function=f"{__name__}.{function}")

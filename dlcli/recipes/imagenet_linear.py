"""Train a linear model on a pretrained network's 1000 ImageNet class probabilities.

This is the simplest use of a pretrained network: compute its 1000 probabilities for each image, and
learn which of them go with which class. It works well for classes that ImageNet covers in detail,
such as dogs.

Source: fast.ai, Practical Deep Learning for Coders (2017), lesson 2: Dense on VGG16's
probabilities, RMSprop at 0.1 for three epochs, valid accuracy 0.9770 on dogs and cats.
Command: `dl train imagenet-linear`
Expected: on 2,002 photos of dogs and cats, valid accuracy 0.990 and log loss 0.051 (means of 20
random splits). Training takes about a second once the features are computed.
Defaults: the course's three epochs and three more at 0.01 are too few: the loss still falls after
them, with accuracy 0.987 and log loss 0.120 on the same splits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dlcli.recipe import Recipe, Schedule, rates

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class ImagenetLinear(Recipe):
    """One Dense layer on 1000 probabilities."""

    schedule: Schedule = rates("0.1x12,0.01x4")
    layer: ClassVar[str | None] = "imagenet"
    fits: ClassVar[bool] = True
    richer: ClassVar[str | None] = "dl train finetune"

    def head(self, input_shape: tuple[int, ...], n_classes: int) -> keras.Model:
        """Softmax regression: (n, 1000) probabilities -> (n, n_classes)."""
        from keras import Input, Sequential, layers

        classes = layers.Dense(n_classes, activation="softmax", name="classes")
        return Sequential([Input(input_shape), classes], name="head")

    def optimizer(self, learning_rate: float) -> keras.Optimizer:
        """RMSprop: the inputs are so small that Adam's steps at such rates would overshoot."""
        from keras import optimizers

        return optimizers.RMSprop(learning_rate)

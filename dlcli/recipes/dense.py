"""Train a network with one hidden layer on the pixels.

A Dense layer with a ReLU stands between the pixels and the classes. It has more parameters than
`linear`, but does not know which pixels are neighbours. So it memorises the training images, and
training scores become much better than validation scores. The later recipes close that gap.

Source: fast.ai, Practical Deep Learning for Coders (2017), the mnist notebook (512 units) and the
statefarm ones (100).
Command: `dl train dense`
Expected: accuracy 0.94 on handwritten digits (MNIST, the course's notebook), and hardly more than
`linear` on photos. An epoch of 2,000 photos takes a second or two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dlcli.recipe import MOMENTUM, Recipe, Schedule, rates, setting

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Dense(Recipe):
    """BatchNormalization, a hidden Dense layer, and one for the classes."""

    schedule: Schedule = rates("3e-4x4,3e-5x2")
    units: int = setting(512, "outputs of the hidden layer", at_least=1, below=100_001)
    layer: ClassVar[str | None] = None
    simpler: ClassVar[str | None] = "dl train linear"
    richer: ClassVar[str | None] = "dl train cnn"

    def head(self, input_shape: tuple[int, ...], n_classes: int) -> keras.Model:
        """Two Dense layers: (n, height, width, 3) pixels 0-255 -> (n, n_classes)."""
        from keras import Input, Sequential, layers

        return Sequential(
            [
                Input(input_shape),
                layers.BatchNormalization(momentum=MOMENTUM, name="normalize"),
                layers.Flatten(name="pixels"),
                layers.Dense(self.units, activation="relu", name="hidden"),
                # from zero: it begins by guessing evenly, not at random
                layers.Dense(
                    n_classes, activation="softmax", kernel_initializer="zeros", name="classes"
                ),
            ],
            name="head",
        )

    def telling(self) -> tuple[str, ...]:
        """Epochs, first rate, width."""
        return (*super().telling(), f"u{self.units}")

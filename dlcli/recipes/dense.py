"""One hidden layer on the pixels: what weighing them twice is worth.

A Dense layer with a ReLU between the pixels and the classes. It can learn more than `linear`, and
by heart rather than in general: it knows nothing of neighbouring pixels. Training does much better
than validation, which the later recipes set right.

Source: fast.ai, Practical Deep Learning for Coders (2017), the mnist notebook (512 units) and the
statefarm ones (100).
Command: `dl train dense`
Expected: 0.94 on handwritten digits (MNIST, the course's notebook), hardly more than `linear` on
photos; a second or two an epoch for 2,000 photos.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dlcli.recipe import MOMENTUM, Recipe, Schedule, setting

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Dense(Recipe):
    """BatchNormalization, a hidden Dense layer, and one for the classes."""

    schedule: Schedule = setting(
        Schedule.parse("3e-4x4,3e-5x2"), "learning rates and epochs, such as 1e-3x2,1e-4x2"
    )
    units: int = setting(512, "outputs of the hidden layer", at_least=1)
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

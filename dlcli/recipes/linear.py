"""Train a linear model on the pixels, as a baseline for the other recipes.

BatchNormalization scales pixels of 0 to 255 to mean 0 and deviation 1, so that one learning rate
fits all of them. One Dense layer follows. The model underfits. The recipes that come after it show
how much convolutions help.

Source: fast.ai, Practical Deep Learning for Coders (2017), lesson 3's mnist and statefarm
notebooks, which use Adam at 1e-5 for two epochs, then 1e-3 for four.
Command: `dl train linear`
Expected: accuracy 0.6 on photos of dogs and cats, where guessing has 0.5, and 0.9 on handwritten
digits. An epoch of 2,000 photos takes a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dlcli.recipe import MOMENTUM, Recipe, Schedule, rates

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Linear(Recipe):
    """BatchNormalization and one Dense layer on the pixels."""

    schedule: Schedule = rates("1e-4x4,1e-5x2")
    layer: ClassVar[str | None] = None
    richer: ClassVar[str | None] = "dl train dense"

    def head(self, input_shape: tuple[int, ...], n_classes: int) -> keras.Model:
        """Logistic regression: (n, height, width, 3) pixels 0-255 -> (n, n_classes)."""
        from keras import Input, Sequential, layers

        return Sequential(
            [
                Input(input_shape),
                layers.BatchNormalization(momentum=MOMENTUM, name="normalize"),
                layers.Flatten(name="pixels"),
                # from zero: as many random weights as pixels would begin worse than guessing
                layers.Dense(
                    n_classes, activation="softmax", kernel_initializer="zeros", name="classes"
                ),
            ],
            name="head",
        )

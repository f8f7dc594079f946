"""Two Dense layers on the pixels: a recipe of this project.

It serves to look at stripes, which a single layer can't tell from each other.

Command: `dl train two-layers`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dlcli.fields import setting
from dlcli.recipe import Recipe
from dlcli.schedule import Schedule

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class TwoLayers(Recipe):
    """Dense, ReLU, then the classes."""

    schedule: Schedule = setting(
        Schedule.parse("1e-3x2"), "learning rates and epochs, such as 1e-3x2,1e-4x2"
    )
    units: int = setting(8, "outputs of the first layer", at_least=1)
    layer: ClassVar[str | None] = None

    def head(self, input_shape: tuple[int, ...], n_classes: int) -> keras.Model:
        """Two Dense layers: (n, height, width, 3) pixels 0-255 -> (n, n_classes)."""
        from keras import Input, Sequential, layers

        return Sequential(
            [
                Input(input_shape),
                layers.Rescaling(1 / 127.5, -1.0, name="rescale"),
                layers.Flatten(name="pixels"),
                layers.Dense(self.units, activation="relu", name="first"),
                layers.Dense(n_classes, activation="softmax", name="classes"),
            ],
            name="head",
        )

    def telling(self) -> tuple[str, ...]:
        """Epochs, first rate, width."""
        return (*super().telling(), f"u{self.units}")

"""Images a little different in every epoch, so that a network can't learn them by heart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np


class Augmenter:
    """The course's settings for photos: flip, turn, shift, zoom.

    Lesson 3's dogs and cats: rotation of up to 15 degrees, shifts and zoom of up to a tenth,
    horizontal flips.

    Args:
        seed: with the epoch, it decides every random choice.
    """

    def __init__(self, seed: int) -> None:
        from keras import Sequential, layers

        self._seed = seed
        self._layers = Sequential(
            [
                layers.RandomFlip("horizontal", seed=seed),
                layers.RandomRotation(15 / 360, fill_mode="nearest", seed=seed),
                layers.RandomTranslation(0.1, 0.1, fill_mode="nearest", seed=seed),
                layers.RandomZoom(0.1, fill_mode="nearest", seed=seed),
            ]
        )

    def start_epoch(self, epoch: int) -> None:
        """Draw as epoch `epoch` draws, whatever was drawn before."""
        reseed(self._layers.variables, self._seed, epoch)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Change each image: pixels 0-255 (n, height, width, 3) -> the same."""
        from keras import ops

        changed: np.ndarray = ops.convert_to_numpy(self._layers(x, training=True))
        return changed


def reseed(variables: Iterable[keras.Variable], seed: int, epoch: int) -> None:
    """Set every random generator among Keras variables to the start of an epoch."""
    for number, variable in enumerate(variables):
        if "seed_generator_state" in variable.path:
            variable.assign([(seed + number) % 2**32, epoch * 2**16 % 2**32])

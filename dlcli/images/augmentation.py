"""Random augmentation of images, so that a network does not memorise them.

It uses Keras' preprocessing layers, which work the same on every backend.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlcli.backend import chosen_backend, start_backend
from dlcli.settings.augmentation import Augmentation

if TYPE_CHECKING:
    import keras
    import numpy as np

    from dlcli.images.pixels import Batch


@dataclass(frozen=True)
class View:
    """One reproducible augmentation of every image.

    It does not depend on a seed, so that trainings with different seeds share a view's stored
    features.

    Args:
        augmentation: the amounts; they are kept without the preset's name.
        number: the view's number, from 1; with the path of a batch's first image it determines the
            random changes.
        backend: Keras' backend; each draws different random numbers.
    """

    augmentation: Augmentation
    number: int
    backend: str = field(default_factory=chosen_backend)

    def __post_init__(self) -> None:
        """Make views with the same amounts equal, whatever preset they came from."""
        object.__setattr__(self, "augmentation", self.augmentation.by_amounts())

    def describe(self) -> dict[str, Any]:
        """The fields as plain values."""
        return {
            "number": self.number,
            "backend": self.backend,
            **self.augmentation.amounts(),
        }

    @classmethod
    def from_description(cls, values: Mapping[str, Any]) -> View:
        """A view from the result of `describe`."""
        amounts = dict(values)
        number, backend = amounts.pop("number"), amounts.pop("backend")
        return cls(Augmentation("none", **amounts), number, backend)

    def of(self, batches: Iterable[Batch], paths: Sequence[str]) -> Iterator[Batch]:
        """Augment each batch; batches with the same first image always get the same changes."""
        augmenter = Augmenter(self.augmentation, 0)
        for batch in batches:
            first = f"{self.number} {paths[batch.start]}"
            augmenter.start_at(zlib.crc32(first.encode(errors="surrogateescape")))
            yield dataclasses.replace(batch, pixels=augmenter.bytes(batch.pixels))


class Augmenter:
    """Augments images at random.

    Args:
        seed: with the place of `start_at`, it determines every random choice.
    """

    def __init__(self, augmentation: Augmentation, seed: int) -> None:
        start_backend()
        from keras import Sequential, layers, random

        how = augmentation.amounts()
        seed %= 2**31  # the limit of PyTorch's generators
        turn = how["rotation"] / 360  # Keras' unit: whole turns
        zoom, more = how["zoom"], {"fill_mode": "nearest", "seed": seed}
        wanted = [
            how["horizontal_flip"] and layers.RandomFlip("horizontal", seed=seed),
            turn and layers.RandomRotation(turn, **more),
            (how["height_shift"] or how["width_shift"])
            and layers.RandomTranslation(how["height_shift"], how["width_shift"], **more),
            zoom and layers.RandomZoom(zoom, **more),
        ]
        self._layers = Sequential([layer for layer in wanted if layer])
        self._shear, self._channel_shift = how["shear"], how["channel_shift"]
        self._generator = random.SeedGenerator(seed)
        self._seed = seed

    def start_at(self, place: int) -> None:
        """Set the random generators to a place in their sequence."""
        reseed([*self._layers.variables, self._generator.state], self._seed, place)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Augment images: pixels 0-255 (n, height, width, 3), float32 -> the same."""
        from keras import ops, random

        if not len(x):
            return x
        if self._shear:
            x = self._slanted(x)
        if self._layers.layers:
            x = self._layers(x, training=True)
        if self._channel_shift:
            most = self._channel_shift
            shape = (len(x), 1, 1, 3)
            x = ops.clip(x + random.uniform(shape, -most, most, seed=self._generator), 0, 255)
        changed: np.ndarray = ops.convert_to_numpy(x)
        return changed

    def _slanted(self, x: Any) -> Any:
        """Shear each image horizontally about its middle.

        Keras' RandomShear shears about a corner, which shifts the middle by half the amount, and
        also shears vertically.
        """
        from keras import ops, random

        slant = random.uniform((len(x),), -self._shear, self._shear, seed=self._generator)
        middle = (x.shape[1] - 1) / 2
        one, none = ops.ones_like(slant), ops.zeros_like(slant)
        # Keras' convention: the pixel at (x, y) comes from (x + slant (y - middle), y)
        across, down, rest = [one, slant, -middle * slant], [none, one, none], [none, none]
        how = ops.stack([*across, *down, *rest], axis=1)
        return ops.image.affine_transform(x, how, fill_mode="nearest")

    def bytes(self, pixels: np.ndarray) -> np.ndarray:
        """Augment pixels as bytes: uint8 (n, height, width, 3) -> the same."""
        import numpy as np

        changed: np.ndarray = np.rint(self(pixels.astype(np.float32))).clip(0, 255)
        return changed.astype(np.uint8)


def reseed(variables: Iterable[keras.Variable], seed: int, place: int) -> None:
    """Set every random generator among Keras variables to a place in its sequence."""
    for number, variable in enumerate(variables):
        if "seed_generator_state" in variable.path:
            variable.assign([(seed + number) % 2**31, place % 2**31])  # the limit of PyTorch's


def epoch_place(epoch: int) -> int:
    """The place of an epoch's first draw; epochs never overlap."""
    return epoch * 2**16

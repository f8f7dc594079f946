"""Images a little different each time they are seen, so that a network can't learn them by heart.

By Keras' own preprocessing layers, which flip, turn, shift and zoom alike on every backend.
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
    """One way to look at every image: changed at random, but always in the same way.

    No seed enters, so that trainings that differ in theirs share what is stored of a view.

    Args:
        augmentation: how far; what it resolves to is kept, without the preset's name.
        number: of the view, from 1; decides, with the path of a batch's first image, how each is
            changed.
        backend: Keras', each of which draws other random numbers.
    """

    augmentation: Augmentation
    number: int
    backend: str = field(default_factory=chosen_backend)

    def __post_init__(self) -> None:
        """Views that change images alike are equal, wherever their amounts came from."""
        object.__setattr__(self, "augmentation", self.augmentation.by_amounts())

    def describe(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "number": self.number,
            "backend": self.backend,
            **self.augmentation.amounts(),
        }

    @classmethod
    def from_description(cls, values: Mapping[str, Any]) -> View:
        """What `describe` gave, as a value again."""
        amounts = dict(values)
        number, backend = amounts.pop("number"), amounts.pop("backend")
        return cls(Augmentation("none", **amounts), number, backend)

    def of(self, batches: Iterable[Batch], paths: Sequence[str]) -> Iterator[Batch]:
        """Change each batch's pixels, always alike in batches that begin with the same image."""
        augmenter = Augmenter(self.augmentation, 0)
        for batch in batches:
            first = f"{self.number} {paths[batch.start]}"
            augmenter.start_at(zlib.crc32(first.encode(errors="surrogateescape")))
            yield dataclasses.replace(batch, pixels=augmenter.bytes(batch.pixels))


class Augmenter:
    """Changes images at random.

    Args:
        seed: with what `start_at` is given, it decides every random choice.
    """

    def __init__(self, augmentation: Augmentation, seed: int) -> None:
        start_backend()
        from keras import Sequential, layers, random

        how = augmentation.amounts()
        seed %= 2**31  # PyTorch's generators hold no more
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
        """Draw from here on as always from this place, whatever was drawn before."""
        reseed([*self._layers.variables, self._generator.state], self._seed, place)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Change each image: pixels 0-255 (n, height, width, 3), float32 -> the same."""
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
        """Slant each image sideways about its middle.

        Keras' RandomShear does it about a corner, which moves what is in the middle by half as
        much as it slants, and slants up and down as well.
        """
        from keras import ops, random

        slant = random.uniform((len(x),), -self._shear, self._shear, seed=self._generator)
        middle = (x.shape[1] - 1) / 2
        one, none = ops.ones_like(slant), ops.zeros_like(slant)
        # as Keras wants them: the pixel at (x, y) comes from (x + slant (y - middle), y)
        across, down, rest = [one, slant, -middle * slant], [none, one, none], [none, none]
        how = ops.stack([*across, *down, *rest], axis=1)
        return ops.image.affine_transform(x, how, fill_mode="nearest")

    def bytes(self, pixels: np.ndarray) -> np.ndarray:
        """The same for pixels as bytes: uint8 (n, height, width, 3) -> the same."""
        import numpy as np

        changed: np.ndarray = np.rint(self(pixels.astype(np.float32))).clip(0, 255)
        return changed.astype(np.uint8)


def reseed(variables: Iterable[keras.Variable], seed: int, place: int) -> None:
    """Set every random generator among Keras variables to a place in its sequence."""
    for number, variable in enumerate(variables):
        if "seed_generator_state" in variable.path:
            variable.assign([(seed + number) % 2**31, place % 2**31])  # as PyTorch's fit


def epoch_place(epoch: int) -> int:
    """Where an epoch's draws begin, further apart than an epoch has draws."""
    return epoch * 2**16

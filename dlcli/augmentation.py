"""Images a little different each time they are seen, so that a network can't learn them by heart.

By Keras' own preprocessing layers, which flip, turn, shift and zoom alike on every backend.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dlcli.backend import chosen_backend, start_backend
from dlcli.fields import plain, setting, settings_of

if TYPE_CHECKING:
    import keras
    import numpy as np

    from dlcli.images import Batch

# fast.ai, Practical Deep Learning for Coders (2017): lesson 3's dogs and cats, and the notebooks
# `mnist` and `statefarm`. Their shear of 0.3 (0.1) was an angle in radians, and Keras 1
# slanted one axis by its sine, 0.30 (0.10): `random_shear` in its keras/preprocessing/image.py.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "light": {
        "rotation": 15.0,
        "width_shift": 0.1,
        "height_shift": 0.1,
        "zoom": 0.1,
        "horizontal_flip": True,
    },
    "mnist": {
        "rotation": 8.0,
        "width_shift": 0.08,
        "height_shift": 0.08,
        "shear": 0.3,
        "zoom": 0.08,
    },
    "statefarm": {
        "rotation": 15.0,
        "width_shift": 0.1,
        "height_shift": 0.05,
        "shear": 0.1,
        "channel_shift": 20.0,
    },
    "none": {},
}


@dataclass(frozen=True)
class Augmentation:
    """How far images are changed at random; what is not set is the preset's."""

    preset: Literal["light", "mnist", "statefarm", "none"] = setting(
        "light", "light: photos; mnist: signs that mustn't be flipped; statefarm; none"
    )
    rotation: float | None = setting(
        None, "turn by up to so many degrees either way", at_least=0, below=181, unset="auto"
    )
    width_shift: float | None = setting(
        None, "shift by up to this share of the width", at_least=0, below=1, unset="auto"
    )
    height_shift: float | None = setting(
        None, "shift by up to this share of the height", at_least=0, below=1, unset="auto"
    )
    shear: float | None = setting(
        None,
        "slant: move the top against the bottom by up to this share of the height",
        at_least=0,
        below=1,
        unset="auto",
    )
    zoom: float | None = setting(
        None, "zoom in or out by up to this share", at_least=0, below=1, unset="auto"
    )
    horizontal_flip: bool | None = setting(
        None, "mirror half of the images, left to right", unset="auto"
    )
    channel_shift: float | None = setting(
        None,
        "make each colour brighter or darker by up to this much of 255",
        at_least=0,
        below=256,
        unset="auto",
    )

    def resolved(self) -> Augmentation:
        """The same with the preset's values where none was set; 0 where it has none either."""
        names = [name for name in settings_of(Augmentation) if name != "preset"]
        nothing = {name: False if name == "horizontal_flip" else 0.0 for name in names}
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return Augmentation(self.preset, **(nothing | dict(PRESETS[self.preset]) | given))

    @property
    def changes_nothing(self) -> bool:
        """Whether every image stays as it is."""
        return not any(self.amounts().values())

    def amounts(self) -> dict[str, Any]:
        """What it resolves to, by name, without the preset's own name."""
        resolved = dataclasses.asdict(self.resolved())
        del resolved["preset"]
        return resolved

    def by_amounts(self) -> Augmentation:
        """The same without the preset's name, which changes no image."""
        return Augmentation("none", **self.amounts())

    def __str__(self) -> str:
        """What is changed, in words: "rotation 15, zoom 0.1, horizontal flip"."""
        words = [
            name.replace("_", " ") + ("" if value is True else f" {value:.12g}")
            for name, value in self.amounts().items()
            if value
        ]
        return ", ".join(words) or "nothing"

    def describe(self) -> dict[str, Any]:
        """Every value as YAML can hold it."""
        return {name: plain(value) for name, value in dataclasses.asdict(self.resolved()).items()}


# The settings' dotted keys: "augmentation.rotation" and so on.
AMOUNTS = tuple(f"augmentation.{name}" for name in settings_of(Augmentation))


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
        augmentation: how far.
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

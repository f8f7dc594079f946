"""Settings of augmentation: its amounts, and presets of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dlcli.settings.fields import plain, setting, settings_of

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
    """Amounts of random augmentation; an unset amount comes from the preset."""

    preset: Literal["light", "mnist", "statefarm", "none"] = setting(
        "light",
        "default amounts: light (photos), mnist (digits, signs; no flips), statefarm (drivers), "
        "none",
    )
    rotation: float | None = setting(
        None, "rotate by up to this many degrees either way", at_least=0, below=181, unset="auto"
    )
    width_shift: float | None = setting(
        None, "shift by up to this share of the width", at_least=0, below=1, unset="auto"
    )
    height_shift: float | None = setting(
        None, "shift by up to this share of the height", at_least=0, below=1, unset="auto"
    )
    shear: float | None = setting(
        None,
        "slant sideways by up to this share of the height",
        at_least=0,
        below=1,
        unset="auto",
    )
    zoom: float | None = setting(
        None, "zoom in or out by up to this share of the size", at_least=0, below=1, unset="auto"
    )
    horizontal_flip: bool | None = setting(
        None, "flip half of the images left to right", unset="auto"
    )
    channel_shift: float | None = setting(
        None,
        "brighten or darken each colour channel by up to this (channels hold 0 to 255)",
        at_least=0,
        below=256,
        unset="auto",
    )

    def resolved(self) -> Augmentation:
        """The same with the preset's values for unset amounts, or 0."""
        names = [name for name in settings_of(Augmentation) if name != "preset"]
        nothing = {name: False if name == "horizontal_flip" else 0.0 for name in names}
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return Augmentation(self.preset, **(nothing | dict(PRESETS[self.preset]) | given))

    @property
    def changes_nothing(self) -> bool:
        """Whether every image stays as it is."""
        return not any(self.amounts().values())

    def amounts(self) -> dict[str, Any]:
        """The resolved amounts by name, without the preset's name."""
        resolved = dataclasses.asdict(self.resolved())
        del resolved["preset"]
        return resolved

    def by_amounts(self) -> Augmentation:
        """The same without the preset's name, which changes no image."""
        return Augmentation("none", **self.amounts())

    def __str__(self) -> str:
        """The amounts in words: "rotation 15, zoom 0.1, horizontal flip"."""
        words = [
            name.replace("_", " ") + ("" if value is True else f" {value:.12g}")
            for name, value in self.amounts().items()
            if value
        ]
        return ", ".join(words) or "nothing"

    def describe(self) -> dict[str, Any]:
        """Every value as a plain value."""
        return {name: plain(value) for name, value in dataclasses.asdict(self.resolved()).items()}


# The settings' dotted keys: "augmentation.rotation" and so on.
AMOUNTS = tuple(f"augmentation.{name}" for name in settings_of(Augmentation))

"""One forward pass as a value: which function of an image it is, and what identifies it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from dlcli.images.augmentation import View
from dlcli.images.pixels import PixelRule
from dlcli.models.network import Layer


@dataclass(frozen=True)
class Forward:
    """The function from an image file to an array: all that its result depends on.

    Args:
        weights_hash: which weights, see `weights_hash`.
        layer: where the network is cut: pooled, conv or imagenet.
        pixels: how a file becomes pixels.
        engine: openvino or keras.
        precision: f32 or bf16.
        view: how each image is changed at random before; None: not at all.
    """

    backbone: str
    weights_hash: str
    layer: Layer
    pixels: PixelRule
    engine: str
    precision: str
    view: View | None = None

    def describe(self) -> dict[str, Any]:
        """The same as plain values, for a manifest or a run's config."""
        described = dataclasses.asdict(self) | {"pixels": dataclasses.asdict(self.pixels)}
        del described["view"]
        return described | ({"view": self.view.describe()} if self.view else {})

    @classmethod
    def from_description(cls, values: dict[str, Any]) -> Forward:
        """What `describe` gave, as a value again."""
        view = View.from_description(values["view"]) if "view" in values else None
        return cls(**values | {"pixels": PixelRule(**values["pixels"]), "view": view})

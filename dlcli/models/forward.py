"""A forward pass as a value: all that determines its result."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from dlcli.images.augmentation import View
from dlcli.images.pixels import PixelRule, RuleVersion
from dlcli.models.network import Layer


@dataclass(frozen=True)
class Forward:
    """The function from an image file to an array, by all that its result depends on.

    Args:
        weights_hash: identifies the weights, see `weights_hash`.
        layer: where the network is cut: pooled, conv or imagenet.
        pixels: how a file becomes pixels.
        engine: openvino or keras.
        precision: f32 or bf16.
        view: the random augmentation; None for none.
    """

    backbone: str
    weights_hash: str
    layer: Layer
    pixels: PixelRule
    engine: str
    precision: str
    view: View | None = None

    def describe(self) -> dict[str, Any]:
        """The fields as plain values, for a manifest or a run's config."""
        described = dataclasses.asdict(self) | {"pixels": self.pixels.describe()}
        del described["view"]
        return described | ({"view": self.view.describe()} if self.view else {})

    def by_rule(self, version: RuleVersion) -> Forward:
        """The same by a version of the rule for pixels."""
        pixels = dataclasses.replace(self.pixels, version=version)
        return dataclasses.replace(self, pixels=pixels)

    @classmethod
    def from_description(cls, values: dict[str, Any]) -> Forward:
        """A forward pass from the result of `describe`."""
        view = View.from_description(values["view"]) if "view" in values else None
        return cls(**values | {"pixels": PixelRule(**values["pixels"]), "view": view})

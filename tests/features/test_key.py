"""The key of a feature store differs with every part of the function, and with nothing else."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from dlcli.features.key import feature_key
from dlcli.images.augmentation import View
from dlcli.images.pixels import PixelRule
from dlcli.models.forward import Forward
from dlcli.settings.augmentation import Augmentation

FORWARD = Forward("vgg16", "0123", "pooled", PixelRule(224), "openvino", "f32")
VIEW = View(Augmentation("light").resolved(), 1)
OTHERS = {
    "backbone": replace(FORWARD, backbone="vgg19"),
    "weights_hash": replace(FORWARD, weights_hash="4567"),
    "layer": replace(FORWARD, layer="conv"),
    "pixels.size": replace(FORWARD, pixels=PixelRule(225)),
    "pixels.version": replace(FORWARD, pixels=PixelRule(224, version=2)),
    "pixels.decode": replace(FORWARD, pixels=PixelRule(224, "scaled")),
    "engine": replace(FORWARD, engine="keras"),
    "precision": replace(FORWARD, precision="bf16"),
    "view.number": replace(FORWARD, view=View(VIEW.augmentation, 2)),
    "view.backend": replace(FORWARD, view=replace(VIEW, backend="another")),
    "view.augmentation": replace(FORWARD, view=View(Augmentation("mnist").resolved(), 1)),
    "view": replace(FORWARD, view=VIEW),
}


def test_the_key_differs_with_every_part_of_the_function() -> None:
    parts = {field.name for field in fields(Forward)}
    parts |= {f"pixels.{field.name}" for field in fields(PixelRule)}
    parts |= {f"view.{field.name}" for field in fields(View)}
    assert set(OTHERS) == parts - {"pixels"}
    keys = {feature_key(forward) for forward in (FORWARD, *OTHERS.values())}
    assert len(keys) == 1 + len(OTHERS)


def test_the_key_is_the_same_in_every_process_and_version() -> None:
    assert feature_key(FORWARD) == feature_key(replace(FORWARD))
    # features on people's disks are found by it
    assert feature_key(FORWARD) == "889efd0f"


@pytest.mark.parametrize("forward", [FORWARD, *OTHERS.values()], ids=str)
def test_a_description_gives_the_function_again(forward: Forward) -> None:
    again = Forward.from_description(forward.describe())
    assert feature_key(again) == feature_key(forward)
    assert again.describe() == forward.describe()

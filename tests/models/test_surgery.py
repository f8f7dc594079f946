"""The parts of a network compute, one after the other, what it computed whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.network_answers import answer, assert_same, images, names, outputs

from dlcli.errors import DlError
from dlcli.models.backbones import BACKBONES
from dlcli.models.network import cut, join
from dlcli.models.surgery import split_at, top_of, transfer_weights

pytestmark = pytest.mark.slow


LITE0, VGG16 = BACKBONES["efficientnet-lite0"], BACKBONES["vgg16"]


# Cutting in two


@pytest.mark.parametrize("layer", ["block1_conv1", "block5_conv3", "block5_pool", "fc1"])
def test_the_two_parts_one_after_the_other_are_the_whole(vgg16, layer: str):
    lower, upper = split_at(vgg16, layer)
    x = images()
    assert names(lower) + names(upper) == names(vgg16)
    assert lower.layers[-1].name == layer
    assert_same(answer(upper, answer(lower, x)), outputs(vgg16, x))
    for part in (lower, upper):
        assert all(each is vgg16.get_layer(each.name) for each in part.layers[1:])


def test_parts_can_be_cut_again(vgg16):
    lower, upper = split_at(vgg16, "block5_pool")
    _, last_block = split_at(lower, "block4_pool")
    dense, softmax = split_at(upper, "fc2")
    assert names(last_block) == ["block5_conv1", "block5_conv2", "block5_conv3", "block5_pool"]
    assert names(dense) == ["flatten", "fc1", "fc2"]
    conv = answer(lower, images())
    assert_same(answer(softmax, answer(dense, conv)), outputs(upper, conv))


def test_a_network_with_branches_is_cut_where_all_passes(lite0):
    x = images() * 50 + 100
    lower, upper = split_at(lite0, "blocks_7_add")
    assert_same(answer(upper, answer(lower, x)), outputs(lite0, x))


@pytest.mark.parametrize(
    ("layer", "nearest"),
    [
        ("blocks_2_expand_conv", "Split after `blocks_1_bn2` or `blocks_2_add`."),
        ("blocks_2_bn2", "Split after `blocks_1_bn2` or `blocks_2_add`."),
        ("image", "Split after `preprocessing`."),
        ("fc", "Split after `pooled`."),
    ],
)
def test_elsewhere_the_nearest_places_are_named(lite0, layer: str, nearest: str):
    with pytest.raises(DlError) as error:
        split_at(lite0, layer)
    assert error.value.what == f"efficientnet-lite0 can't be split after '{layer}'"
    assert error.value.hint == nearest


def test_an_unknown_layer_is_answered_with_the_nearest(vgg16):
    for operation in (
        lambda: split_at(vgg16, "block5-pool"),
        lambda: transfer_weights(vgg16, vgg16, ["block5-pool"]),
    ):
        with pytest.raises(DlError, match="vgg16 has no layer called 'block5-pool'") as error:
            operation()
        assert "Did you mean `block5_pool`" in error.value.hint


def test_the_top_is_what_stands_above_the_convolutions(vgg16, lite0):
    for network, backbone, expected, x in (
        (vgg16, VGG16, ["flatten", "fc1", "fc2", "predictions"], images()),
        (lite0, LITE0, ["pooled", "fc"], images() * 50 + 100),
    ):
        top = top_of(network, backbone)
        assert names(top) == expected
        conv = answer(cut(network, backbone, "conv"), x)
        assert_same(answer(top, conv), outputs(network, x))


# Files


def test_what_comes_of_an_operation_is_saved_and_opens_again(lite0, tmp_path: Path):
    import keras

    x = images() * 50 + 100
    lower, upper = split_at(lite0, "blocks_7_add")
    whole = join(lower, upper)
    for model, received in ((lower, x), (upper, answer(lower, x)), (whole, x)):
        model.save(tmp_path / "model.keras")
        opened = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
        assert_same(answer(opened, received), answer(model, received))

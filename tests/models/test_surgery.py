"""Networks compute, after layers are cut, put in or replaced, what they computed before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.network_answers import answer, assert_same, images, names, normalised, outputs

from dlcli.errors import DlError
from dlcli.models.backbones import BACKBONES
from dlcli.models.network import cut, join
from dlcli.models.surgery import insert_after, replace_head, split_at, top_of, transfer_weights

if TYPE_CHECKING:
    import keras

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
        lambda: insert_after(vgg16, "block5-pool", None),
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


# Putting a layer in


@pytest.mark.parametrize("place", ["block1_conv1", "block5_pool", "fc1", "predictions"])
def test_a_layer_that_changes_nothing_changes_nothing(vgg16, place: str):
    import keras

    model = insert_after(vgg16, place, keras.layers.Dropout(0.5, name="new"))
    x = images()
    order = names(model)
    assert order[order.index(place) + 1] == "new"
    assert [name for name in order if name != "new"] == names(vgg16)
    assert np.array_equal(outputs(model, x), outputs(vgg16, x))
    assert "new" not in names(vgg16)


def test_a_layer_that_changes_something_changes_what_follows(vgg16):
    import keras

    model = insert_after(vgg16, "fc2", keras.layers.Rescaling(0.0))
    softmax = keras.ops.softmax(vgg16.layers[-1].bias)
    assert_same(answer(model, images()), np.tile(np.asarray(softmax), (4, 1)))


def test_both_branches_receive_the_new_layers_output(lite0):
    import keras

    x = images() * 50 + 100
    same = insert_after(lite0, "blocks_1_bn2", keras.layers.Rescaling(1.0))
    assert_same(outputs(same, x), outputs(lite0, x))
    nothing = insert_after(lite0, "blocks_1_bn2", keras.layers.Rescaling(0.0))
    one, other = answer(nothing, x)[:2]
    assert np.array_equal(one, other)


def test_nothing_is_put_in_after_the_input(vgg16):
    with pytest.raises(ValueError, match="received the input"):
        insert_after(vgg16, vgg16.layers[0].name, None)


# A new head


def test_a_new_head_sees_what_the_old_one_saw(vgg16, lite0):
    for network, backbone, x in ((vgg16, VGG16, images()), (lite0, LITE0, images() * 50 + 100)):
        model = replace_head(network, 3)
        y = outputs(model, x)
        assert y.shape == (4, 3)
        np.testing.assert_allclose(y.sum(1), 1, rtol=1e-5)
        assert names(model)[:-1] == names(network)[:-1]
        features = outputs(cut(network, backbone, "pooled"), x)
        assert_same(outputs(split_at(model, model.layers[-2].name)[0], x), features)
        assert network.output_shape[1] in (10, 1000)


def test_a_convolution_at_the_end_is_replaced_too(keras_network: Callable[..., keras.Model]):
    network = keras_network(BACKBONES["mobilenet"], input_shape=(64, 64, 3))
    model = replace_head(network, 3)
    assert model.output_shape == (None, 3)
    assert "conv_preds" not in names(model)
    assert "conv_pw_13_relu" in names(model)


def test_only_the_new_head_of_a_frozen_network_trains(lite0):
    assert [weight.path for weight in replace_head(lite0, 3).trainable_weights] == [
        "predictions/kernel",
        "predictions/bias",
    ]


# Files


def test_what_comes_of_an_operation_is_saved_and_opens_again(lite0, tmp_path: Path):
    import keras

    x = images() * 50 + 100
    lower, upper = split_at(lite0, "blocks_7_add")
    normal = normalised(upper, "pooled")
    whole = join(lower, replace_head(normal, 3))
    for model, received in ((lower, x), (upper, answer(lower, x)), (whole, x)):
        model.save(tmp_path / "model.keras")
        opened = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
        assert_same(answer(opened, received), answer(model, received))
    assert whole.output_shape == (None, 3)

"""Networks compute, after an operation, what they computed before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dlcli.errors import DlError
from dlcli.models.backbones import BACKBONES
from dlcli.models.network import cut, join, load_network
from dlcli.models.surgery import (
    insert_after,
    neutralize_batchnorm,
    replace_head,
    rescaled_for_dropout,
    split_at,
    top_of,
    transfer_weights,
)

if TYPE_CHECKING:
    import keras

LITE0, VGG16 = BACKBONES["efficientnet-lite0"], BACKBONES["vgg16"]
FC = ("fc1", "fc2", "predictions")


@pytest.fixture(scope="module")
def vgg16() -> keras.Model:
    """VGG16 of full width for images of 64 pixels, (2, 2, 512) after its convolutions."""
    import keras

    keras.utils.set_random_seed(0)
    network = keras.applications.VGG16(weights=None, input_shape=(64, 64, 3), classes=10)
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            # Keras' own, for tanh, halve what passes at each ReLU: all outputs would be alike
            layer.set_weights([kernel * 2**0.5, rng.normal(0, 0.1, bias.shape)])
    return network


@pytest.fixture(scope="module")
def lite0() -> keras.Model:
    return load_network(LITE0, image_size=64)


def images(n: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (n, 64, 64, 3)).astype(np.float32)


def outputs(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """In inference mode, and telling: no two rows are alike."""
    y = np.asarray(model.predict(x, verbose=0))
    assert np.abs(y[0] - y[1]).max() > 1e-3
    return y


def assert_same(one: np.ndarray, other: np.ndarray) -> None:
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def names(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers][1:]  # without the input


# Cutting in two


@pytest.mark.parametrize("layer", ["block1_conv1", "block5_conv3", "block5_pool", "fc1"])
def test_the_two_parts_one_after_the_other_are_the_whole(vgg16, layer: str):
    lower, upper = split_at(vgg16, layer)
    x = images()
    assert names(lower) + names(upper) == names(vgg16)
    assert lower.layers[-1].name == layer
    assert_same(upper.predict(lower.predict(x, verbose=0), verbose=0), outputs(vgg16, x))
    for part in (lower, upper):
        assert all(each is vgg16.get_layer(each.name) for each in part.layers[1:])


def test_parts_can_be_cut_again(vgg16):
    lower, upper = split_at(vgg16, "block5_pool")
    _, last_block = split_at(lower, "block4_pool")
    dense, softmax = split_at(upper, "fc2")
    assert names(last_block) == ["block5_conv1", "block5_conv2", "block5_conv3", "block5_pool"]
    assert names(dense) == ["flatten", "fc1", "fc2"]
    conv = lower.predict(images(), verbose=0)
    assert_same(softmax.predict(dense.predict(conv), verbose=0), outputs(upper, conv))


def test_a_network_with_branches_is_cut_where_all_passes(lite0):
    x = images() * 50 + 100
    lower, upper = split_at(lite0, "_blocks_7_add")
    assert_same(upper.predict(lower.predict(x, verbose=0), verbose=0), outputs(lite0, x))


@pytest.mark.parametrize(
    ("layer", "nearest"),
    [
        ("_blocks_2_expand_conv", "Cut after `_blocks_1_bn2` or `_blocks_2_add`."),
        ("_blocks_2_bn2", "Cut after `_blocks_1_bn2` or `_blocks_2_add`."),
        ("image", "Cut after `preprocessing`."),
        ("_fc", "Cut after `pooled`."),
    ],
)
def test_elsewhere_the_nearest_places_are_named(lite0, layer: str, nearest: str):
    with pytest.raises(DlError) as error:
        split_at(lite0, layer)
    assert error.value.what == f"efficientnet-lite0 can't be cut in two after '{layer}'"
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
        (vgg16, VGG16, ["flatten", *FC], images()),
        (lite0, LITE0, ["pooled", "_fc"], images() * 50 + 100),
    ):
        top = top_of(network, backbone)
        assert names(top) == expected
        conv = cut(network, backbone, "conv").predict(x, verbose=0)
        assert_same(top.predict(conv, verbose=0), outputs(network, x))


# Carrying weights over


def fc_model(dropout: float = 0.0, fc1: int = 4096) -> keras.Model:
    """The course's fully connected model on VGG16's convolutions."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((2, 2, 512)),
            layers.Flatten(),
            layers.Dense(fc1, activation="relu", name="fc1"),
            layers.Dropout(dropout),
            layers.Dense(4096, activation="relu", name="fc2"),
            layers.Dropout(dropout),
            layers.Dense(10, activation="softmax", name="predictions"),
        ]
    )


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_new_fc_model_with_the_old_weights_gives_the_old_probabilities(vgg16, dropout: float):
    model = fc_model(dropout)
    transfer_weights(vgg16, model, FC)
    x = images()
    conv = cut(vgg16, VGG16, "conv").predict(x, verbose=0)
    assert_same(outputs(model, conv), outputs(vgg16, x))


def test_layers_may_have_other_names(vgg16):
    import keras

    mine = keras.Sequential([keras.Input((4096,)), keras.layers.Dense(10, name="mine")])
    transfer_weights(vgg16, mine, {"mine": "predictions"})
    expected, received = (m.layers[-1].get_weights() for m in (vgg16, mine))
    assert all(map(np.array_equal, expected, received))


def test_weights_that_do_not_fit_are_said_and_none_is_copied(vgg16):
    model = fc_model(fc1=8)
    before = model.get_weights()
    with pytest.raises(DlError, match="weights of fc2 in vgg16 don't fit") as error:
        transfer_weights(vgg16, model, ("predictions", "fc2"))
    assert "expected shapes [(8, 4096), (4096,)], received [(4096, 4096), (4096,)]" in str(
        error.value
    )
    assert all(map(np.array_equal, before, model.get_weights()))


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
    assert_same(model.predict(images(), verbose=0), np.tile(np.asarray(softmax), (4, 1)))


def test_both_branches_receive_the_new_layers_output(lite0):
    import keras

    x = images() * 50 + 100
    same = insert_after(lite0, "_blocks_1_bn2", keras.layers.Rescaling(1.0))
    assert_same(outputs(same, x), outputs(lite0, x))
    nothing = insert_after(lite0, "_blocks_1_bn2", keras.layers.Rescaling(0.0))
    one, other = nothing.predict(x, verbose=0)[:2]
    assert np.array_equal(one, other)


def test_nothing_is_put_in_after_the_input(vgg16):
    with pytest.raises(ValueError, match="received the input"):
        insert_after(vgg16, vgg16.layers[0].name, None)


# Batch normalisation that changes nothing


def normalised(model: keras.Model, *places: str) -> keras.Model:
    """The model with batch normalisation after some layers, of random weights."""
    import keras

    rng = np.random.default_rng(3)
    for place in places:
        layer = keras.layers.BatchNormalization(name=f"{place}_bn")
        model = insert_after(model, place, layer)
        layer.set_weights(rng.uniform(0.5, 2, (4, *layer.gamma.shape)))
    return model


def test_neutralised_normalisation_leaves_vgg16s_fc_part_as_it_was(vgg16):
    conv = cut(vgg16, VGG16, "conv").predict(images(50), verbose=0)
    others = np.random.default_rng(1).normal(3, 9, (8, 2, 2, 512)).astype(np.float32)
    top = top_of(vgg16, VGG16)
    model = normalised(top, "fc1", "fc2")
    assert np.abs(outputs(model, conv) - outputs(top, conv)).max() > 1e-2
    neutralize_batchnorm(model, conv)
    for x in (conv, others):  # whatever it is given
        np.testing.assert_allclose(outputs(model, x), outputs(top, x), atol=1e-4)


def test_statistics_are_those_of_what_each_layer_receives(vgg16):
    conv = cut(vgg16, VGG16, "conv").predict(images(50), verbose=0)
    top = top_of(vgg16, VGG16)
    model = normalised(top, "fc1", "fc2")
    neutralize_batchnorm(model, conv)
    for place in ("fc1", "fc2"):
        received = split_at(top, place)[0].predict(conv, verbose=0)
        layer = model.get_layer(f"{place}_bn")
        gamma, beta, mean, variance = layer.get_weights()
        assert_same(mean, received.mean(0))
        assert_same(variance, received.var(0))
        assert_same(gamma**2, received.var(0) + layer.epsilon)
        assert np.array_equal(beta, mean)


def test_normalisation_of_convolutions_and_of_the_input_is_neutralised_too():
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = layers.BatchNormalization(axis=-1)(image)
    x = layers.BatchNormalization(axis=1)(layers.Conv2D(4, 3)(x))
    plain = layers.Conv2D(5, 3)
    x = layers.Add()([layers.BatchNormalization()(plain(x)), plain(x)])
    model = keras.Model(image, layers.BatchNormalization()(x))
    pixels = np.random.default_rng(0).uniform(0, 255, (70, 8, 8, 3)).astype(np.float32)
    neutralize_batchnorm(model, pixels)
    first, second = (each for each in model.layers if isinstance(each, layers.Conv2D))
    without = 2 * np.asarray(second(first(pixels)))
    assert_same(model.predict(pixels, verbose=0) / 100, without / 100)  # of pixels' size


def test_a_model_without_normalisation_stays_as_it_is():
    model = fc_model(fc1=2)
    before = model.get_weights()
    neutralize_batchnorm(model, np.zeros((2, 2, 2, 512), np.float32))
    assert all(map(np.array_equal, before, model.get_weights()))


def test_normalisation_that_can_not_be_undone_is_refused():
    import keras
    from keras import layers

    unscaled = [keras.Input((4,)), layers.BatchNormalization(scale=False)]
    nested = [keras.Input((4,)), keras.Sequential([keras.Input((4,)), layers.Dense(4)])]
    for parts, message in ((unscaled, "lacks one"), (nested, "flat model")):
        with pytest.raises(ValueError, match=message):
            neutralize_batchnorm(keras.Sequential(parts), np.zeros((2, 4), np.float32))


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
    lower, upper = split_at(lite0, "_blocks_7_add")
    normal = normalised(upper, "pooled")
    whole = join(lower, replace_head(normal, 3))
    for model, received in ((lower, x), (upper, lower.predict(x, verbose=0)), (whole, x)):
        model.save(tmp_path / "model.keras")
        opened = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
        assert_same(opened.predict(received, verbose=0), model.predict(received, verbose=0))
    assert whole.output_shape == (None, 3)


# The course's rule


def test_the_courses_rule_halves_weights_when_dropout_of_a_half_goes():
    kernel, bias = rescaled_for_dropout([np.ones((2, 3)), np.full(3, 4.0)], 0.5, 0.0)
    assert np.array_equal(kernel, np.full((2, 3), 0.5))
    assert np.array_equal(bias, np.full(3, 2.0))
    (back,) = rescaled_for_dropout([kernel], 0.0, 0.5)
    assert np.array_equal(back, np.ones((2, 3)))


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_a_dropout_of_all_or_less_than_nothing_is_refused(p: float):
    for pair in ((p, 0.0), (0.0, p)):
        with pytest.raises(ValueError, match="received"):
            rescaled_for_dropout([], *pair)

"""Weights carried over or made neutral: a network computes with them what it computed before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.network_answers import answer, assert_same, images, normalised, outputs

from dlcli.errors import DlError
from dlcli.models.backbones import BACKBONES
from dlcli.models.network import cut
from dlcli.models.surgery import (
    neutralize_batchnorm,
    rescaled_for_dropout,
    split_at,
    top_of,
    transfer_weights,
)

if TYPE_CHECKING:
    import keras

pytestmark = pytest.mark.slow


VGG16 = BACKBONES["vgg16"]


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
    transfer_weights(vgg16, model, ("fc1", "fc2", "predictions"))
    x = images()
    conv = answer(cut(vgg16, VGG16, "conv"), x)
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


# Batch normalisation that changes nothing


def test_neutralised_normalisation_leaves_vgg16s_fc_part_as_it_was(vgg16):
    conv = answer(cut(vgg16, VGG16, "conv"), images(50))
    others = np.random.default_rng(1).normal(3, 9, (8, 2, 2, 512)).astype(np.float32)
    top = top_of(vgg16, VGG16)
    model = normalised(top, "fc1", "fc2")
    assert np.abs(outputs(model, conv) - outputs(top, conv)).max() > 1e-2
    neutralize_batchnorm(model, conv)
    for x in (conv, others):  # whatever it is given
        np.testing.assert_allclose(outputs(model, x), outputs(top, x), atol=1e-4)


def test_statistics_are_those_of_what_each_layer_receives(vgg16):
    conv = answer(cut(vgg16, VGG16, "conv"), images(50))
    top = top_of(vgg16, VGG16)
    model = normalised(top, "fc1", "fc2")
    neutralize_batchnorm(model, conv)
    for place in ("fc1", "fc2"):
        received = answer(split_at(top, place)[0], conv)
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
    assert_same(answer(model, pixels) / 100, without / 100)  # of pixels' size


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

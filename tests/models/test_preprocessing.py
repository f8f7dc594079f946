from __future__ import annotations

from importlib import import_module
from inspect import getmodule

import numpy as np
import pytest

from dlcli.models.backbones import BACKBONES, Backbone
from dlcli.models.preprocessing import CAFFE, INCLUDED, LITE, TF, TORCH

FROM_KERAS = [row for row in BACKBONES.values() if row.function.startswith("keras.")]


def keras_rule(backbone: Backbone):
    module, function = backbone.function.rsplit(".", 1)
    return getmodule(getattr(import_module(module), function)).preprocess_input


def prepared(backbone: Backbone, images: np.ndarray) -> np.ndarray:
    import keras

    image = keras.Input(images.shape[1:])
    return np.asarray(keras.Model(image, backbone.preprocessing(image))(images))


@pytest.mark.parametrize("backbone", FROM_KERAS, ids=lambda row: row.name)
def test_every_network_sees_what_keras_shows_it(backbone: Backbone, pixels):
    images = pixels(9)
    expected = keras_rule(backbone)(images.copy())
    np.testing.assert_allclose(prepared(backbone, images), expected, rtol=2e-6, atol=2e-6)


def test_blue_first_without_scaling_is_exact_to_the_bit():
    images = np.arange(256, dtype=np.float32).repeat(3).reshape(1, 16, 16, 3)
    expected = keras_rule(BACKBONES["vgg16"])(images.copy())
    np.testing.assert_array_equal(prepared(BACKBONES["vgg16"], images), expected)


def test_the_embedded_network_sees_pixels_by_its_own_mean_and_deviation(pixels):
    images = pixels(9)
    got = prepared(BACKBONES["efficientnet-lite0"], images)
    np.testing.assert_allclose(got, (images - 127) / 128, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("rule", [CAFFE, LITE, TF, TORCH])
def test_preprocessing_never_trains(rule):
    import keras

    image = keras.Input((8, 8, 3))
    assert keras.Model(image, rule(image)).trainable_weights == []


def test_a_network_that_prepares_its_own_pixels_gets_them_as_they_are():
    import keras

    image = keras.Input((8, 8, 3))
    assert INCLUDED(image) is image

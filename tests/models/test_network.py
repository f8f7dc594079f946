from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dlcli.errors import DlError
from dlcli.models.backbones import BACKBONES, Backbone
from dlcli.models.network import cut, join, load_cut, load_network
from dlcli.models.preprocessing import CAFFE

if TYPE_CHECKING:
    import keras

pytestmark = pytest.mark.slow


LITE0 = BACKBONES["efficientnet-lite0"]
# one of each kind: dense top, residual, depthwise, squeeze-and-excitation, convolutional top,
# preprocessing of every sort
FAMILIES = (
    "vgg16",
    "resnet50",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_v2b0",
    "convnext_tiny",
)
POOLED = {
    "vgg16": 4096,
    "resnet50": 2048,
    "mobilenet_v2": 1280,
    "mobilenet_v3_small": 1024,
    "densenet121": 1024,
    "efficientnet_b0": 1280,
    "efficientnet_v2b0": 1280,
    "convnext_tiny": 768,
}


@pytest.fixture(scope="module")
def lite0() -> keras.Model:
    """The embedded network, for images of 224 pixels."""
    return load_network(LITE0)


@pytest.fixture(scope="module")
def saved_weights(
    tmp_path_factory: pytest.TempPathFactory, keras_network, save_legacy
) -> Callable[[Backbone], Path]:
    """Gives a network's weights, of every layer its own, in the format that Keras publishes."""
    folder = tmp_path_factory.mktemp("weights")

    @cache
    def save(backbone: Backbone) -> Path:
        return save_legacy(keras_network(backbone), folder / f"{backbone.name}.h5")

    return save


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_is_the_one_that_keras_gives_with_its_own_download(
    name: str, monkeypatch, pixels, saved_weights: Callable[[Backbone], Path]
):
    import keras
    from keras.src.utils import file_utils

    backbone = BACKBONES[name]
    path = saved_weights(backbone)
    asked = {}

    def downloaded(file: str, url: str, **how: object) -> str:
        asked.update(how, file=file, url=url)
        return str(path)

    monkeypatch.setattr(file_utils, "get_file", downloaded)
    function = getattr(keras.applications, backbone.function.rsplit(".", 1)[1])
    shape = (backbone.image_size, backbone.image_size, 3)
    theirs = function(weights="imagenet", input_shape=shape)
    rule = sys.modules[function.__module__].preprocess_input
    images = pixels(backbone.image_size)
    ours = load_network(backbone, path)

    np.testing.assert_allclose(ours(images), theirs(rule(images.copy())), rtol=1e-4, atol=1e-7)
    assert asked["file"] == backbone.source.path.name
    assert asked["url"] == backbone.source.url
    assert asked.get("file_hash", "") == backbone.source.digest
    assert theirs.count_params() == backbone.parameters
    assert ours.input_shape == (None, *shape)
    assert ours.input.name == "image"
    assert ours.trainable_weights == []
    assert cut(ours, backbone, "imagenet").output_shape == (None, 1000)
    assert cut(ours, backbone, "pooled").output_shape == (None, POOLED[name])
    topless = function(weights=None, include_top=False, input_shape=shape)
    assert cut(ours, backbone, "conv").output_shape == topless.output_shape


def test_the_embedded_network_has_the_parameters_that_the_table_says(lite0: keras.Model):
    assert lite0.count_params() == LITE0.parameters


def test_layers_of_the_embedded_network(lite0: keras.Model):
    assert cut(lite0, LITE0, "pooled").output_shape == (None, 1280)
    assert cut(lite0, LITE0, "conv").output_shape == (None, 7, 7, 1280)
    assert cut(lite0, LITE0, "imagenet") is lite0


def test_a_cut_gives_what_the_whole_network_computes_there(lite0: keras.Model, pixels):
    images = pixels(224)
    conv = np.asarray(cut(lite0, LITE0, "conv")(images))
    pooled = np.asarray(cut(lite0, LITE0, "pooled")(images))
    np.testing.assert_allclose(conv.mean((1, 2)), pooled, rtol=1e-4, atol=1e-5)
    kernel, bias = lite0.layers[-1].get_weights()
    logits = pooled @ kernel + bias
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    np.testing.assert_allclose(lite0(images), probabilities, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("layer", "shape"), [("pooled", (1280,)), ("conv", (5, 5, 1280))])
def test_another_image_size_keeps_the_weights(
    lite0: keras.Model, layer: str, shape: tuple[int, ...]
):
    small, native = load_cut(LITE0, layer, None, 160), cut(lite0, LITE0, layer)
    assert small.input_shape == (None, 160, 160, 3)
    assert small.output_shape == (None, *shape)
    for one, other in zip(small.get_weights(), native.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_image_size_gives_what_keras_gives_at_that_size(
    pixels, keras_network, saved_weights: Callable[[Backbone], Path]
):
    import keras

    # its padding depends on the size of the image, and it divides by the deviation twice
    backbone = BACKBONES["efficientnet_b0"]
    path = saved_weights(backbone)
    odd = keras_network(backbone, input_shape=(99, 99, 3))
    odd.load_weights(path)
    (normalise,) = (layer for layer in odd.layers if isinstance(layer, keras.layers.Normalization))
    mean, deviation, count = normalise.get_weights()
    normalise.set_weights([mean, deviation**2, count])
    normalise.finalize_state()
    images = pixels(99)
    np.testing.assert_allclose(
        load_network(backbone, path, 99)(images), odd(images), rtol=1e-4, atol=1e-7
    )


def test_convolutions_of_another_image_size_need_no_top(tmp_path: Path, pixels, keras_network):
    # ConvNeXt without its top ends in the normalisation that belongs to its top
    backbone = BACKBONES["convnext_tiny"]
    path = tmp_path / "notop.weights.h5"
    network = keras_network(backbone, include_top=False, input_shape=(224, 224, 3))
    network.save_weights(path)
    conv = load_cut(backbone, "conv", path, 64)
    assert conv.output_shape == (None, 2, 2, 768)
    images = pixels(64)
    same = keras_network(backbone, include_top=False, input_shape=(64, 64, 3))
    same.load_weights(path)
    np.testing.assert_allclose(same.layers[-1](conv(images)), same(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layer", ["pooled", "conv"])
def test_an_image_too_small_for_the_network_is_refused(layer):
    with pytest.raises(DlError, match="can't take images of 20 pixels") as error:
        load_cut(LITE0, layer, None, 20)
    assert "trained at 224" in str(error.value)


def test_dense_layers_refuse_images_of_another_size_and_convolutions_take_them(
    saved_weights: Callable[[Backbone], Path],
):
    backbone = BACKBONES["vgg16"]
    path = saved_weights(backbone)
    assert load_cut(backbone, "conv", path, 128).output_shape == (None, 4, 4, 512)
    with pytest.raises(DlError, match="'pooled' of vgg16 is for images of 224 pixels a side"):
        load_cut(backbone, "pooled", path, 128)


def test_a_joined_model_is_the_head_on_the_backbone(lite0: keras.Model, pixels, small_head):
    backbone, head = cut(lite0, LITE0, "pooled"), small_head(1280, 3)
    model = join(backbone, head)
    images = pixels(224)
    np.testing.assert_allclose(model(images), head(backbone(images)), rtol=1e-5)
    assert model.input.name == "image"
    assert len(model.trainable_weights) == 2


ALONE = """
import sys
import keras
import numpy as np
for folder in sys.argv[1:]:
    model = keras.saving.load_model(folder + "/model.keras", safe_mode=True)
    np.save(folder + "/outputs.npy", np.asarray(model(np.load(folder + "/images.npy"))))
assert not [name for name in sys.modules if name.startswith("dlcli")]
"""


def test_saved_networks_open_with_keras_alone_and_give_the_same(
    lite0: keras.Model,
    tmp_path: Path,
    pixels,
    saved_weights: Callable[[Backbone], Path],
    small_network,
    small_head,
):
    convnext = BACKBONES["convnext_tiny"]  # the one with a layer that isn't in keras.layers
    models = {
        "embedded": join(cut(lite0, LITE0, "pooled"), small_head(1280)),
        "blue-first": join(small_network(), small_head(12)),
        "convnext": load_cut(convnext, "pooled", saved_weights(convnext), 64),
    }
    for name, model in models.items():
        folder = tmp_path / name
        folder.mkdir()
        model.save(folder / "model.keras")
        np.save(folder / "images.npy", pixels(model.input_shape[1]))
    folders = [str(tmp_path / name) for name in models]
    subprocess.run([sys.executable, "-P", "-c", ALONE, *folders], cwd="/", check=True)
    for name, model in models.items():
        images = np.load(tmp_path / name / "images.npy")
        outputs = np.load(tmp_path / name / "outputs.npy")
        np.testing.assert_allclose(outputs, model(images), rtol=1e-4, atol=1e-6)


def test_a_new_row_is_all_that_a_new_network_takes(tmp_path: Path, keras_network):
    mobilenet = BACKBONES["mobilenet"]
    path = tmp_path / "w.weights.h5"
    keras_network(mobilenet).save_weights(path)
    row: Backbone = dataclasses.replace(mobilenet, name="mine", preprocessing=CAFFE)
    assert load_cut(row, "pooled", path).name == "mine"

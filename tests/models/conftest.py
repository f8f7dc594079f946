"""Keras for every test of the networks, and weights of every kind that users have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.few_draws import few_draws

from dlcli.backend import start_backend
from dlcli.models.backbones import BACKBONES, Backbone
from dlcli.models.network import load_network
from dlcli.models.preprocessing import CAFFE

if TYPE_CHECKING:
    import keras
    import numpy as np

# what the published weights of EfficientNet-B hold: mean, deviation, count
PUBLISHED_NORMALIZATION = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], 0)


@pytest.fixture(scope="session", autouse=True)
def backend() -> None:
    start_backend()


@pytest.fixture(autouse=True)
def quick_to_build(backend: None) -> Iterator[None]:
    """VGG16 takes no time to build."""
    with few_draws():
        yield


@pytest.fixture(scope="session")
def pixels() -> Callable[..., np.ndarray]:
    """Makes random images, (n, size, size, 3), RGB 0-255."""
    import numpy as np

    def make(size: int, n: int = 2) -> np.ndarray:
        return np.random.default_rng(1).uniform(0, 255, (n, size, size, 3)).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def keras_network(backend: None) -> Callable[..., keras.Model]:
    """Builds a network as Keras does, with weights that tell every layer from every other."""
    import keras
    import numpy as np

    def build(backbone: Backbone, **arguments: object) -> keras.Model:
        function = getattr(keras.applications, backbone.function.rsplit(".", 1)[1])
        network = function(weights=None, **arguments)
        rng = np.random.default_rng(0)
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                shape = layer.moving_mean.shape
                beta, mean = rng.normal(0, 0.05, shape), rng.normal(0, 0.05, shape)
                gamma, variance = rng.uniform(0.7, 1.4, shape), rng.uniform(0.7, 1.4, shape)
                layer.set_weights([*([gamma] if layer.scale else []), beta, mean, variance])
            if isinstance(layer, keras.layers.Normalization) and layer.weights:
                layer.set_weights([np.array(values) for values in PUBLISHED_NORMALIZATION])
                layer.finalize_state()
        return network

    return build


@pytest.fixture(scope="session")
def save_legacy(backend: None) -> Callable[[keras.Model, Path], Path]:
    """Saves weights in the format of the files that Keras publishes."""
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    def save(network: keras.Model, path: Path) -> Path:
        with h5py.File(path, "w") as file:
            save_weights_to_hdf5_group(file, network)
        return path

    return save


@pytest.fixture
def small_network() -> Callable[[], keras.Model]:
    """Builds a backbone of twelve filters with everything in it that must hold still."""
    import keras
    from keras import layers

    def build() -> keras.Model:
        keras.utils.set_random_seed(0)
        image = keras.Input((16, 16, 3), name="image")
        x = layers.Conv2D(8, 3, name="first")(CAFFE(image))
        x = layers.BatchNormalization(name="normalise")(x)
        x = layers.Dropout(0.0, name="drop")(x)
        x = layers.Conv2D(12, 3, name="second")(x)
        network = keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(x))
        network.trainable = False
        return network

    return build


@pytest.fixture
def small_head() -> Callable[..., keras.Model]:
    """Builds a linear head."""
    import keras

    def build(features: int, classes: int = 2) -> keras.Model:
        dense = keras.layers.Dense(classes, activation="softmax")
        return keras.Sequential([keras.Input((features,)), dense])

    return build


@pytest.fixture(scope="module")
def vgg16() -> keras.Model:
    """VGG16 of full width for images of 64 pixels, (2, 2, 512) after its convolutions."""
    import keras
    import numpy as np

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
    """EfficientNet-lite0, pretrained, for images of 64 pixels."""
    return load_network(BACKBONES["efficientnet-lite0"], image_size=64)


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for what Keras keeps."""
    folder = tmp_path / "keras"
    monkeypatch.setenv("KERAS_HOME", str(folder))
    return folder

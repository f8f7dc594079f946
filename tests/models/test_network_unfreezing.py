"""Which layers of a backbone train, and how the others hold still."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlcli.errors import DlError
from dlcli.models.backbones import BACKBONES
from dlcli.models.network import (
    join,
    layers_from,
    layers_with_weights,
    load_cut,
    train_layers,
    unfreeze,
)

pytestmark = pytest.mark.slow


LITE0 = BACKBONES["efficientnet-lite0"]


def names(layers) -> list[str]:
    return [layer.name for layer in layers]


def changed_by_training(backbone, head, pixels) -> list[str]:
    """The backbone's layers whose weights change in two epochs."""
    import keras

    before = {layer.name: layer.get_weights() for layer in backbone.layers}
    model = join(backbone, head)
    model.compile(keras.optimizers.Adam(0.1), "categorical_crossentropy")
    model.fit(pixels(16, 32), np.eye(2)[np.arange(32) % 2], epochs=2, verbose=0)
    return [
        layer.name
        for layer in backbone.layers
        if any(map(np.any, map(np.not_equal, before[layer.name], layer.get_weights())))
    ]


def test_preprocessing_and_normalisation_are_no_layers_to_unfreeze(small_network):
    assert names(layers_with_weights(small_network())) == ["first", "second"]


@pytest.mark.parametrize("n", [0, 1, 2, 9])
def test_unfreezing_n_layers_trains_the_last_n_and_no_other(
    n: int, pixels, small_network, small_head
):
    backbone = small_network()
    unfreeze(backbone, n)
    changed = changed_by_training(backbone, small_head(12), pixels)
    assert changed == ["first", "second"][max(0, 2 - n) :]


@pytest.mark.parametrize("train", [[], ["first"], ["second"], ["first", "second"]])
def test_exactly_the_layers_named_train(train: list[str], pixels, small_network, small_head):
    backbone = small_network()
    unfreeze(backbone, 2)
    train_layers(backbone, [backbone.get_layer(name) for name in train])
    assert changed_by_training(backbone, small_head(12), pixels) == train


def test_freezing_again_leaves_nothing_to_train(small_network):
    backbone = small_network()
    unfreeze(backbone, 2)
    unfreeze(backbone, 0)
    assert backbone.trainable_weights == []


@pytest.mark.parametrize(
    ("lowest", "trains"),
    [
        ("image", ["first", "second"]),
        ("preprocessing", ["first", "second"]),
        ("first", ["first", "second"]),
        ("normalise", ["second"]),
        ("drop", ["second"]),
        ("second", ["second"]),
        ("pool", []),
    ],
)
def test_from_a_layer_up_that_layer_and_all_above_train(
    lowest: str, trains: list[str], small_network
):
    assert names(layers_from(small_network(), lowest)) == trains


def test_vgg16_is_frozen_up_to_a_block_as_in_the_course(tmp_path: Path, keras_network):
    backbone = BACKBONES["vgg16"]
    path = tmp_path / "w.weights.h5"
    keras_network(backbone, include_top=False, input_shape=(64, 64, 3)).save_weights(path)
    conv = load_cut(backbone, "conv", path, 64)
    block5 = ["block5_conv1", "block5_conv2", "block5_conv3"]
    assert names(layers_from(conv, "block5_conv1")) == block5
    assert names(layers_from(conv, "block4_pool")) == block5
    assert names(layers_from(conv, "block5_conv3")) == block5[-1:]
    assert layers_from(conv, "block5_pool") == []


def test_normalisation_above_the_layer_stays_as_it_was():
    found = names(layers_from(load_cut(LITE0, "pooled", None, 64), "blocks_15_bn0"))
    assert found == ["blocks_15_depthwise_conv", "blocks_15_project_conv", "conv_head"]


def test_an_unknown_layer_is_answered_with_the_nearest(small_network):
    with pytest.raises(DlError, match="has no layer called 'secnod'") as error:
        layers_from(small_network(), "secnod")
    assert error.value.hint.startswith("Did you mean `second`? List the layers with `dl backbones ")
    assert error.value.exit_code == 2
    with pytest.raises(DlError) as error:
        layers_from(small_network(), "???")
    known = "Known: image, preprocessing, first, normalise, drop, second, pool. "
    assert error.value.hint.startswith(known)


@pytest.mark.parametrize("reopened", [False, True])
def test_training_runs_the_backbone_as_inference_does(reopened: bool, tmp_path: Path, pixels):
    import keras

    backbone = load_cut(LITE0, "pooled")
    unfreeze(backbone, 5)
    if reopened:
        backbone.save(tmp_path / "backbone.keras")
        backbone = keras.saving.load_model(tmp_path / "backbone.keras")
    images = pixels(224)
    np.testing.assert_array_equal(
        np.asarray(backbone(images, training=True)), np.asarray(backbone(images, training=False))
    )


def test_nothing_drops_out_of_a_backbone(tmp_path: Path, pixels, keras_network):
    backbone = BACKBONES["efficientnet_b0"]  # has dropout in every block
    path = tmp_path / "w.weights.h5"
    keras_network(backbone).save_weights(path)
    network = load_cut(backbone, "pooled", path, 64)
    images = pixels(64)
    np.testing.assert_array_equal(
        np.asarray(network(images, training=True)), np.asarray(network(images, training=False))
    )

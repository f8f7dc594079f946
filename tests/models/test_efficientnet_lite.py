from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.missing_tools import missing

from dlcli.errors import DlError
from dlcli.models.backbones import BACKBONES, Backbone
from dlcli.models.network import cut, load_network

if TYPE_CHECKING:
    import keras

pytestmark = pytest.mark.slow


LITE = [BACKBONES[f"efficientnet-lite{n}"] for n in range(3)]
LITE0 = LITE[0]
CATS, DOGS = range(281, 286), range(151, 269)  # of ImageNet's 1000 classes


@pytest.fixture(scope="module", params=LITE, ids=lambda row: row.name)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    """Each of the family whose weights are here."""
    row: Backbone = request.param
    if not row.source.path.is_file():
        missing(f"the weights of {row.name} are not installed")
    return row


@pytest.fixture(scope="module")
def network(backbone: Backbone) -> keras.Model:
    return load_network(backbone)


def test_it_knows_dogs_from_cats(backbone: Backbone, network: keras.Model, real_data: Path):
    folder = real_data / "dogscats-kaggle" / "train"
    # measured 0.96 and 0.81, 0.96 and 0.84, 0.97 and 0.90; many of the cats are taken for the box
    # or the sofa they sit on
    for animal, classes, at_least in (("dog", DOGS, 0.94), ("cat", CATS, 0.77)):
        files = sorted(folder.glob(f"{animal}.*"))[:100]
        images = read(files, backbone.image_size)
        found = network.predict(images, batch_size=50, verbose=0).argmax(1)
        assert np.isin(found, classes).mean() >= at_least


def read(files: list[Path], size: int) -> np.ndarray:
    """Pictures resized straight to (n, size, size, 3)."""
    from PIL import Image

    images = (Image.open(file).convert("RGB").resize((size, size), 2) for file in files)
    return np.stack([np.asarray(image, np.float32) for image in images])


def test_it_has_the_parameters_and_layers_that_the_table_says(
    backbone: Backbone, network: keras.Model
):
    assert network.count_params() == backbone.parameters
    assert network.input_shape == (None, backbone.image_size, backbone.image_size, 3)
    assert network.name == backbone.name
    places = -(-backbone.image_size // 32)
    assert cut(network, backbone, "conv").output_shape == (None, places, places, 1280)
    assert cut(network, backbone, "pooled").output_shape == (None, 1280)


def test_openvino_computes_the_same_features(
    backbone: Backbone, network: keras.Model, tmp_path: Path, pixels
):
    if find_spec("openvino") is None:
        missing("there is no wheel of OpenVINO for this machine")
    import openvino

    network = cut(network, backbone, "pooled")
    network.export(str(tmp_path / "x.xml"), format="openvino", verbose=False)
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(tmp_path / "x.xml", "CPU", exact)
    images = pixels(backbone.image_size)
    expected, found = np.asarray(network(images)), compiled(images)[0]
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < 1e-5


def test_the_weights_of_one_are_refused_by_the_others(backbone: Backbone):
    for other in LITE:
        if other is not backbone:
            with pytest.raises(DlError, match=f"does not hold {other.name}'s weights: layer _"):
                load_network(other, backbone.source.path)


def test_weights_with_a_layer_too_few_too_many_or_of_another_shape_are_refused(
    tmp_path: Path, monkeypatch
):
    from dlcli.models import efficientnet_lite

    real = efficientnet_lite.read_torch_weights(LITE0.source.path)
    network = load_network(LITE0)
    for damaged in (
        {name: value for name, value in real.items() if name != "_fc.bias"},
        real | {"_se.weight": real["_fc.bias"]},
        real | {"_conv_stem.weight": real["_conv_stem.weight"][:8]},
    ):
        monkeypatch.setattr(efficientnet_lite, "read_torch_weights", lambda path, d=damaged: d)
        with pytest.raises(DlError, match="does not hold efficientnet-lite0's weights"):
            efficientnet_lite.load_torch_weights(network, tmp_path / "x.pth")

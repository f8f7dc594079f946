"""VGG16 cut after its convolutions: what its fully connected layers then are.

The convolutions below have few filters: that the network is cut is the point here, not what it
computes before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import narrow_vgg16
from support.command_result import Dl, ok
from support.pictures import make_dataset
from support.small_run import only_run

from dlcli.models.backbones import BACKBONES

if TYPE_CHECKING:
    from dlcli.training.photos.build import Network
    from dlcli.training.photos.samples import Samples


pytestmark = [pytest.mark.usefixtures("quick_to_build"), pytest.mark.slow]

# In this process: for OpenVINO a network is exported first, in another that imports TensorFlow.
KERAS = ("--engine", "keras", "--precision", "f32")


@pytest.fixture
def put_in_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Puts one of the narrow networks in the place of VGG16; answers with weights for it."""

    def put(function: str, *, include_top: bool = True) -> Path:
        import keras

        monkeypatch.setitem(BACKBONES, narrow_vgg16.NAME, narrow_vgg16.row(function))
        path, shape = tmp_path / f"{function}.weights.h5", (224, 224, 3)
        keras.utils.set_random_seed(0)
        build = getattr(narrow_vgg16, function)
        build(include_top, None, keras.Input(shape), shape).save_weights(path)
        return path

    return put


@pytest.fixture
def dataset(home: Path) -> Path:
    """Few pictures, and none to submit."""
    return make_dataset(home / "data" / "tiny", train=4, valid=3, test=0)


def begun(recipe: str, dataset: Path, **values: object) -> tuple[Network, list[Samples]]:
    """A recipe's network as it is before training, and the samples it would train on."""
    from dlcli.config import load_config
    from dlcli.training.photos.build import Network, begin
    from dlcli.training.photos.job import make_job, read_samples

    job = make_job(load_config().with_flags(values), recipe, dataset)
    (phase,) = job.recipe.phases()
    samples = read_samples(job, phase)
    network = Network(job, phase, samples[0].inputs.shape)
    begin(job, network, samples[0])
    return network, samples


def stored_kernels(weights: Path) -> list[np.ndarray]:
    """VGG16's two hidden layers as its file of weights has them."""
    import h5py

    with h5py.File(weights) as file:
        return [file[f"layers/{name}/vars/0"][()] for name in ("dense", "dense_1")]


def test_before_training_it_answers_as_the_network_that_it_was_cut_from(
    dl: Dl, home: Path, dataset: Path, put_in_place: Callable[..., Path]
) -> None:
    import keras

    weights = put_in_place("with_few_units")
    command = ("train", "vgg-finetune", "-d", dataset, "--schedule", "1e-3", *KERAS)
    ok(dl(*command, "--weights", weights))
    old = only_run(home)
    settings = {"weights": str(weights), "engine": "keras", "precision": "f32"}
    begin_with = {"train.vgg-fc.init_from": old.name, "train.vgg-bn.init_from": old.name}
    units = {f"train.{each}.units": narrow_vgg16.FEW_UNITS for each in ("vgg-fc", "vgg-bn")}
    images, _ = begun_images(dataset)
    expected = keras.saving.load_model(old.best_model).predict_on_batch(images)
    assert len(np.unique(expected)) > 2  # it says something else about each picture
    for recipe in ("vgg-fc", "vgg-bn"):
        network, (_, valid) = begun(recipe, dataset, **settings, **begin_with, **units)
        assert valid.inputs.shape == (7, 7, 512)
        np.testing.assert_allclose(network.predict(valid.inputs), expected, atol=1e-4)
    # the course's rule makes another function of it: half of each layer's weights
    rescale = {"train.vgg-fc.rescale": "true"}
    network, _ = begun("vgg-fc", dataset, **settings, **units, **rescale)
    for name, kernel in zip(("fc1", "fc2"), stored_kernels(weights), strict=True):
        np.testing.assert_allclose(network.head.get_layer(name).get_weights()[0], kernel / 2)


def begun_images(dataset: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """The validation images as `best.keras` takes them."""
    from dlcli.data.photos.photos import open_photos
    from dlcli.images.pixels import PixelRule, load_pixels

    paths = open_photos(dataset).splits["valid"]
    images = [load_pixels(dataset / path, PixelRule(224)) for path in paths]
    return np.stack(images).astype(np.float32), paths


def test_it_trains_and_judges_like_any_recipe(
    dl: Dl, home: Path, dataset: Path, put_in_place: Callable[..., Path]
) -> None:
    weights = put_in_place("with_few_features")
    command = ("train", "vgg-fc", "-d", dataset, "--schedule", "1e-5", *KERAS)
    said = ok(dl(*command, "--weights", weights)).stderr
    assert "on the stored features" in said
    assert only_run(home).name.endswith("-vgg-fc-e1-lr1e-05-u4096x2-d0")
    ok(dl("evaluate"))


def test_weights_without_fully_connected_layers_leave_these_to_chance_and_it_is_said(
    dl: Dl, dataset: Path, put_in_place: Callable[..., Path]
) -> None:
    weights = put_in_place("network", include_top=False)
    options = ("--units", "8", "--pool", "average", "--schedule", "1e-3", *KERAS)
    said = ok(dl("train", "vgg-fc", "-d", dataset, *options, "--weights", weights)).stderr
    assert "Pretrained top layers not used" in said

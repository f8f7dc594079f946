"""VGG16 cut after its convolutions: what its fully connected layers then are, on its true shape."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from support.command_result import Dl, ok
from support.pictures import make_dataset
from support.small_run import only_run

if TYPE_CHECKING:
    from dlcli.training.build import Network
    from dlcli.training.job import Samples

pytestmark = pytest.mark.slow


@pytest.fixture
def dataset(home: Path) -> Path:
    """Few pictures, each of which takes VGG16 a tenth of a second."""
    return make_dataset(home / "data" / "tiny", train=4, valid=3, test=0)


def begun(recipe: str, dataset: Path, **values: object) -> tuple[Network, list[Samples]]:
    """A recipe's network as it is before training, and the samples it would train on."""
    from dlcli.backend import start_backend
    from dlcli.config import load_config
    from dlcli.training.build import Network, begin
    from dlcli.training.job import make_job, read_samples

    start_backend()
    job = make_job(load_config().with_flags(values), recipe, dataset)
    (phase,) = job.recipe.phases()
    samples = read_samples(job, phase)
    network = Network(job, phase, samples[0].inputs.shape)
    begin(job, network, samples[0])
    return network, samples


def stored_kernels(weights: Path) -> list[np.ndarray]:
    """VGG16's two hidden layers as its file of weights has them."""
    with h5py.File(weights) as file:
        return [file[f"layers/{name}/vars/0"][()] for name in ("dense", "dense_1")]


def test_before_training_it_answers_as_the_network_that_it_was_cut_from(
    dl: Dl, home: Path, dataset: Path, vgg16_weights: Path
) -> None:
    import keras

    exact = ("--weights", vgg16_weights, "--precision", "f32")
    ok(dl("train", "vgg-finetune", "-d", dataset, "--schedule", "1e-3", *exact))
    old = only_run(home)
    settings = {"weights": str(vgg16_weights), "precision": "f32"}
    begin_with = {"train.vgg-fc.init_from": old.name, "train.vgg-bn.init_from": old.name}
    images, _ = begun_images(dataset)
    expected = keras.saving.load_model(old.best_model).predict_on_batch(images)
    assert len(np.unique(expected)) > 2  # it says something else about each picture
    for recipe in ("vgg-fc", "vgg-bn"):
        network, (_, valid) = begun(recipe, dataset, **settings, **begin_with)
        assert valid.inputs.shape == (7, 7, 512)
        np.testing.assert_allclose(network.predict(valid.inputs), expected, atol=1e-4)
        del network, valid  # with its optimizer 2 GB
        gc.collect()
    # the course's rule makes another function of it: half of each layer's weights
    network, _ = begun("vgg-fc", dataset, **settings, **{"train.vgg-fc.rescale": "true"})
    for name, kernel in zip(("fc1", "fc2"), stored_kernels(vgg16_weights), strict=True):
        np.testing.assert_allclose(network.head.get_layer(name).get_weights()[0], kernel / 2)


def begun_images(dataset: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """The validation images as `best.keras` takes them."""
    from dlcli.data.dataset import open_dataset
    from dlcli.images.pixels import PixelRule, load_pixels

    paths = open_dataset(dataset).splits["valid"]
    images = [load_pixels(dataset / path, PixelRule(224)) for path in paths]
    return np.stack(images).astype(np.float32), paths


def test_it_trains_and_judges_like_any_recipe(
    dl: Dl, home: Path, dataset: Path, vgg16_weights: Path
) -> None:
    said = ok(
        dl("train", "vgg-fc", "-d", dataset, "--schedule", "1e-5", "--weights", vgg16_weights)
    ).stderr
    assert "on the stored features" in said
    assert only_run(home).name.endswith("-vgg-fc-e1-lr1e-05-u4096x2-d0")
    ok(dl("evaluate"))


def test_weights_without_fully_connected_layers_leave_these_to_chance_and_it_is_said(
    dl: Dl, home: Path, dataset: Path, tmp_path: Path
) -> None:
    import keras

    from dlcli.backend import start_backend

    start_backend()
    weights = tmp_path / "no-top.weights.h5"
    keras.applications.VGG16(weights=None, include_top=False).save_weights(weights)
    options = ("--units", "8", "--pool", "average", "--schedule", "1e-3", "--weights", weights)
    said = ok(dl("train", "vgg-fc", "-d", dataset, *options)).stderr
    assert "No layers are carried over" in said

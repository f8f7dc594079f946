"""Models and weights of others: what would lead to other files or take all memory is refused."""

from __future__ import annotations

import importlib
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from torture.hostile_models import REFUSED, SMALL_MODEL, Parts, external_link, try_one

from dlcli.errors import DlError, lacks_memory
from dlcli.models.backbones import BACKBONES
from dlcli.models.bounds import UnsafeModel, most_weights
from dlcli.models.saved import export_model, load_model
from dlcli.models.weights import load_weights

pytestmark = pytest.mark.slow

MOBILENET = BACKBONES["mobilenet"]


def test_a_real_model_loads_and_is_made_of_its_weights(tmp_path: Path) -> None:
    model = load_model(SMALL_MODEL / "best.keras")
    parts = Parts()
    parts.packing = 8  # deflate
    again = load_model(parts.write(tmp_path / "again.keras"))
    for ours, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_model_is_refused_in_words(tmp_path: Path, name: str) -> None:
    spoil, says = REFUSED[name]
    parts = Parts()
    spoil(parts)
    path = parts.write(tmp_path / "hostile.keras")
    with pytest.raises(DlError, match=says) as error:
        load_model(path)
    assert len(str(error.value)) < 1000
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("name", ["my layer", "größe", "-x"])
def test_a_name_that_tensorflow_refuses_is_refused_on_tensorflow_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    parts = Parts()
    parts.layers("Dense")[0]["config"]["name"] = name
    path = parts.write(tmp_path / "named.keras")
    with pytest.raises(UnsafeModel, match="has a name that TensorFlow refuses; `KERAS_BACKEND=jax"):
        most_weights(path)
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    assert most_weights(path) > 0


@pytest.mark.timeout(20)  # to open the pipe would wait
def test_a_pipe_or_device_is_not_a_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "best.keras")
    (tmp_path / "zeros.keras").symlink_to("/dev/zero")
    for name in ("best.keras", "zeros.keras"):
        with pytest.raises(DlError, match="it is not a regular file"):
            load_model(tmp_path / name)


def test_groups_in_a_circle_are_walked_once(tmp_path: Path) -> None:
    parts = Parts()
    parts.hdf5(lambda file: file.__setitem__("again", file["/"]))
    load_model(parts.write(tmp_path / "a.keras"))


def test_layers_that_one_backbone_alone_has_load(tmp_path: Path) -> None:
    import keras

    functions = [row.function.rpartition(".") for row in BACKBONES.values()]
    modules = {getattr(importlib.import_module(x), name).__module__ for x, _, name in functions}
    own = {
        each
        for module in modules
        for each in vars(importlib.import_module(module)).values()
        if isinstance(each, type) and each.__module__ == module and issubclass(each, keras.Layer)
        # in none of the networks, as they are published
        if each.__name__ != "StochasticDepth"
    }
    given = {"LayerScale": (0.5, 3), "CustomScaleLayer": (0.5,)}
    assert {each.__name__ for each in own} == given.keys()
    inputs = outputs = keras.Input((3,))
    for each in own:
        layer = each(*given[each.__name__])
        outputs = layer([outputs, inputs] if each.__name__ == "CustomScaleLayer" else outputs)
    keras.Model(inputs, outputs).save(tmp_path / "best.keras")
    again = load_model(tmp_path / "best.keras")
    assert {type(layer) for layer in again.layers[1:]} == own


@pytest.mark.parametrize("kind", ["MemoryError", "ResourceExhaustedError", "OutOfMemoryError"])
def test_a_model_is_not_damaged_because_memory_is_too_small(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    import keras

    error = MemoryError() if kind == "MemoryError" else type(kind, (RuntimeError,), {})("OOM")

    def build(self: keras.layers.Dense, shape: object) -> None:
        raise error

    model = load_model(SMALL_MODEL / "best.keras")
    monkeypatch.setattr(keras.layers.Dense, "build", build)
    monkeypatch.setattr(keras.Model, "predict_on_batch", build)
    for act in (
        lambda: load_model(SMALL_MODEL / "best.keras"),
        lambda: export_model(model, Path("unused")),
    ):
        with pytest.raises((MemoryError, RuntimeError, TypeError)) as raised:
            act()
        assert lacks_memory(raised.value)


def test_damage_of_any_kind_is_told_in_words(tmp_path: Path) -> None:
    for seed in range(20):
        try_one(random.Random(seed), tmp_path)


def test_weights_that_lead_to_other_files_are_refused(tmp_path: Path) -> None:
    parts = Parts()
    external_link(parts)
    (tmp_path / "a.weights.h5").write_bytes(parts.weights)
    with pytest.raises(DlError, match="`/layers/stolen` in it is a link"):
        load_weights(tmp_path / "a.weights.h5", MOBILENET, [load_model(SMALL_MODEL / "best.keras")])


def test_weights_that_are_not_stored_are_refused(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (2**30,), "f4", chunks=(2**20,), compression="gzip")
    with pytest.raises(DlError, match="far larger than what it stores of them"):
        load_weights(tmp_path / "a.h5", MOBILENET, [load_model(SMALL_MODEL / "best.keras")])


def test_weights_as_keras_saves_them_load(tmp_path: Path) -> None:
    shutil.copy(SMALL_MODEL / "best.keras", tmp_path / "a.keras")
    model = load_model(tmp_path / "a.keras")
    model.save_weights(tmp_path / "a.weights.h5")
    for name in ("a.keras", "a.weights.h5"):
        load_weights(tmp_path / name, MOBILENET, [model])

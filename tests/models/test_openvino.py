"""A network as an OpenVINO file: made once, whole, and the same function as in Keras."""

from __future__ import annotations

import resource
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dlcli.errors import DlError
from dlcli.images.pixels import Batch
from dlcli.models import engines, openvino
from dlcli.models.engines import resolve_forward, start_engine
from dlcli.models.forward import Forward
from dlcli.models.openvino import exported
from dlcli.settings.shared import Settings

pytestmark = pytest.mark.slow


@pytest.fixture
def network() -> tuple[Forward, Path]:
    """The embedded network at 64 pixels, exported into the cache that tests share."""
    settings = replace(Settings(), image_size=64, engine="openvino", precision="f32")
    forward, weights = resolve_forward(settings, "pooled")
    exported(forward, weights)
    return forward, weights


@pytest.fixture
def own_cache(
    network: tuple[Forward, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A cache for this test alone, with a copy of the exported network; its folder."""
    model = exported(*network)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "dl" / "openvino" / model.parent.name
    folder.mkdir(parents=True)
    for file in model.parent.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def outputs(network: tuple[Forward, Path]) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    ((_, rows),) = start_engine(*network).run([Batch(0, pixels, (), 3)])
    return rows


def test_the_second_time_the_file_is_taken_from_the_cache(
    network: tuple[Forward, Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(subprocess, "run", None)  # whoever exports would fail
    model = exported(*network)
    assert model.name == "model.xml"
    assert model.with_suffix(".bin").is_file()
    assert capfd.readouterr().err == ""


def test_networks_that_differ_have_files_of_their_own(
    network: tuple[Forward, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, weights = network
    monkeypatch.setattr(openvino, "_export_in_child", lambda spec, folder, damaged: None)
    others = (
        replace(forward, layer="conv"),
        replace(forward, weights_hash="0" * 16),
        replace(forward, pixels=replace(forward.pixels, size=96)),
        replace(forward, backbone="vgg16"),
    )
    assert len({exported(each, weights) for each in (forward, *others)}) == 5
    # precision and decoding are no part of the file
    assert exported(replace(forward, precision="bf16"), weights) == exported(forward, weights)
    scaled = replace(forward.pixels, decode="scaled")
    assert exported(replace(forward, pixels=scaled), weights) == exported(forward, weights)


@pytest.mark.parametrize("name", ["model.bin", "model.xml"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut short"])
def test_a_damaged_file_is_made_again(
    network: tuple[Forward, Path],
    own_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    damage: str,
) -> None:
    wanted = outputs(network)
    again = shutil.copytree(own_cache, tmp_path / "again")

    def make(spec: dict[str, object], folder: Path, damaged: object) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        again.rename(folder)

    monkeypatch.setattr(openvino, "_export_in_child", make)
    file = own_cache / name
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: 500 if damage == "cut short" else 0])
    assert np.array_equal(outputs(network), wanted)
    assert not again.exists()


def test_a_damaged_file_that_another_process_has_replaced_is_not_made_again(
    network: tuple[Forward, Path],
    own_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = outputs(network)
    whole = shutil.copytree(own_cache, tmp_path / "whole")
    (own_cache / "model.xml").write_bytes(b"")
    open_engine = engines.OpenVinoEngine

    def open_slowly(model: Path, precision: str) -> engines.OpenVinoEngine:
        try:
            return open_engine(model, precision)
        finally:
            if whole.exists():  # what the other process makes while this one reads
                own_cache.rename(tmp_path / "damaged")
                whole.rename(own_cache)

    monkeypatch.setattr(engines, "OpenVinoEngine", open_slowly)
    monkeypatch.setattr(subprocess, "run", None)  # whoever exports would fail
    assert np.array_equal(outputs(network), wanted)


def test_another_process_may_be_quicker(
    network: tuple[Forward, Path], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_cache / "model.bin").unlink()

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        for folder in (Path(command[-1]), own_cache):
            folder.mkdir(exist_ok=True)
            for name in openvino.MODEL:
                (folder / name).write_text(str(folder == own_cache))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    assert exported(*network).read_text() == "True"
    assert [path.name for path in own_cache.parent.iterdir()] == [own_cache.name]


def test_what_another_process_made_right_after_the_look_is_kept(
    network: tuple[Forward, Path], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, is_whole = iter([False]), openvino._is_whole
    monkeypatch.setattr(openvino, "_is_whole", lambda *asked: next(looks, is_whole(*asked)))
    before = (own_cache / "model.bin").stat()

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert (own_cache / "model.bin").stat().st_ino == before.st_ino
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    assert exported(*network).with_name("model.bin").stat().st_ino == before.st_ino


def test_a_cache_that_can_not_be_written_is_said_with_what_to_do(
    network: tuple[Forward, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dl").write_text("a file where the folder would be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DlError) as caught:
        exported(*network)
    assert caught.value.what == f"Can't write the network for OpenVINO to {tmp_path}/dl/openvino"
    assert "XDG_CACHE_HOME" in caught.value.hint


# Each of the following waits for a process that imports TensorFlow.


def test_what_lies_in_the_current_folder_is_not_imported(
    network: tuple[Forward, Path], own_cache: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wanted = outputs(network)
    for name in ("keras", "tensorflow", "numpy", "json", "dlcli"):
        (home / f"{name}.py").write_text("raise SystemExit('imported from the current folder')")
    shutil.rmtree(own_cache)
    assert np.array_equal(outputs(network), wanted)
    assert capfd.readouterr().err.startswith("Preparing efficientnet-lite0 for OpenVINO, once.")
    assert [path.name for path in own_cache.parent.iterdir()] == [own_cache.name]


def test_a_full_disk_is_said_and_leaves_nothing_behind(
    network: tuple[Forward, Path], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(own_cache)
    # it would be cut off at that size, for all
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(DlError) as caught:
            exported(*network)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "disk is full" in caught.value.why
    assert list(own_cache.parent.iterdir()) == []


def test_weights_that_do_not_fit_are_said_in_the_childs_words(
    network: tuple[Forward, Path], tmp_path: Path
) -> None:
    weights = tmp_path / "other.weights.h5"
    weights.write_bytes(b"no weights")
    with pytest.raises(DlError, match=r"other\.weights\.h5"):
        exported(replace(network[0], weights_hash="0" * 16), weights)

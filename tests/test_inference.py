"""Forward passes: what their result depends on, and what it must not depend on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from pictures import make_pictures
from PIL import Image

from dlcli import inference
from dlcli.augmentation import Augmentation, View
from dlcli.errors import DlError
from dlcli.images import PixelRule, UnreadableImage, read_batches
from dlcli.inference import Engine, Forward, KerasEngine, resolve_forward, rows_of, start_engine
from dlcli.settings import Settings

OPENVINO = replace(Settings(), image_size=64, engine="openvino", precision="f32")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """19 pictures: two whole batches of OpenVINO's and a part of a third."""
    root = tmp_path_factory.mktemp("pictures")
    make_pictures(root, ("cat", "dog"), 9)
    make_pictures(root, ("cat",), 1, first=9)
    paths = sorted(str(path.relative_to(root)) for path in root.rglob("*.png"))
    assert len(paths) == 19
    return root, paths


def run(
    root: Path, paths: list[str], forward: Forward, engine: Engine, size: int = 0
) -> np.ndarray:
    batches = read_batches(root, paths, forward.pixels, size or engine.batch_size, 2)
    return np.concatenate([rows for _, rows in engine.run(batches)])


# What identifies a function


FORWARD = Forward("vgg16", "0123", "pooled", PixelRule(224), "openvino", "f32")
VIEW = View(Augmentation("light").resolved(), 0, 1)
OTHERS = {
    "backbone": replace(FORWARD, backbone="vgg19"),
    "weights_hash": replace(FORWARD, weights_hash="4567"),
    "layer": replace(FORWARD, layer="conv"),
    "pixels.size": replace(FORWARD, pixels=PixelRule(225)),
    "pixels.decode": replace(FORWARD, pixels=PixelRule(224, "scaled")),
    "engine": replace(FORWARD, engine="keras"),
    "precision": replace(FORWARD, precision="bf16"),
    "view.number": replace(FORWARD, view=View(VIEW.augmentation, 0, 2)),
    "view.seed": replace(FORWARD, view=View(VIEW.augmentation, 1, 1)),
    "view.augmentation": replace(FORWARD, view=View(Augmentation("mnist").resolved(), 0, 1)),
    "view": replace(FORWARD, view=VIEW),
}


def test_the_key_differs_with_every_part_of_the_function() -> None:
    parts = {field.name for field in fields(Forward)}
    parts |= {f"pixels.{field.name}" for field in fields(PixelRule)}
    parts |= {f"view.{field.name}" for field in fields(View)}
    assert set(OTHERS) == parts - {"pixels"}
    keys = {forward.key for forward in (FORWARD, *OTHERS.values())}
    assert len(keys) == 1 + len(OTHERS)


def test_the_key_is_the_same_in_every_process_and_version() -> None:
    assert FORWARD.key == replace(FORWARD).key
    # features on people's disks are found by it
    assert FORWARD.key == "889efd0f"


@pytest.mark.parametrize("forward", [FORWARD, *OTHERS.values()], ids=str)
def test_a_description_gives_the_function_again(forward: Forward) -> None:
    again = Forward.from_description(forward.describe())
    assert again.key == forward.key
    assert again.describe() == forward.describe()


def test_how_fast_it_is_computed_is_not_part_of_the_function() -> None:
    many = replace(OPENVINO, workers=7, seed=3)
    assert resolve_forward(many, "pooled") == resolve_forward(OPENVINO, "pooled")


# Which engine, in which precision


def test_what_was_made_with_openvino_is_refused_where_it_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(inference, "find_spec", lambda name: None)
    with pytest.raises(DlError, match="OpenVINO is not installed"):
        start_engine(FORWARD, tmp_path / "weights.h5")


def test_on_a_cpu_openvino_runs_the_network_if_it_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "has_gpu", lambda: False)
    assert resolve_forward(Settings(), "pooled")[0].engine == "openvino"
    find = inference.find_spec
    monkeypatch.setattr(inference, "find_spec", lambda n: None if n == "openvino" else find(n))
    assert resolve_forward(Settings(), "pooled")[0].engine == "keras"
    with pytest.raises(DlError) as caught:
        resolve_forward(OPENVINO, "pooled")
    assert caught.value.hint == "Use `--engine keras`."


def test_on_a_gpu_keras_runs_the_network_in_bf16_where_it_has_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inference, "has_gpu", lambda: True)
    for capable, precision in ((True, "bf16"), (False, "f32")):
        monkeypatch.setattr(inference, "gpu_has_bf16", lambda capable=capable: capable)
        forward, _ = resolve_forward(Settings(), "pooled")
        assert (forward.engine, forward.precision) == ("keras", precision)


@pytest.mark.parametrize("capable", [True, False])
def test_bf16_and_scaled_decoding_come_together_where_the_processor_has_bf16(
    monkeypatch: pytest.MonkeyPatch, capable: bool
) -> None:
    monkeypatch.setattr(inference, "has_gpu", lambda: False)
    monkeypatch.setattr(inference, "_fast_bf16", lambda engine: capable)
    forward, _ = resolve_forward(Settings(), "pooled")
    assert forward.precision == ("bf16" if capable else "f32")
    assert forward.pixels == PixelRule(320, "scaled" if capable else "exact")


@pytest.mark.parametrize("missing", ["simplejpeg", "cv2"])
def test_without_scaled_decoders_every_pixel_is_decoded(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    find = inference.find_spec
    monkeypatch.setattr(inference, "find_spec", lambda n: None if n == missing else find(n))
    forward, _ = resolve_forward(replace(OPENVINO, precision="bf16"), "pooled")
    assert forward.pixels.decode == "exact"


def test_f32_is_exact_throughout() -> None:
    forward, _ = resolve_forward(OPENVINO, "pooled")
    assert (forward.precision, forward.pixels) == ("f32", PixelRule(64, "exact"))


def test_the_image_size_is_the_backbones_best_unless_it_is_set() -> None:
    unset = replace(OPENVINO, image_size=None)
    assert resolve_forward(unset, "pooled")[0].pixels.size == 320
    assert resolve_forward(OPENVINO, "pooled")[0].pixels.size == 64


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (replace(OPENVINO, backbone="effcientnet-lite0"), "efficientnet-lite0"),
        (replace(OPENVINO, weights=Path("nowhere.h5")), "nowhere.h5"),
    ],
)
def test_what_is_not_there_is_said(settings: Settings, said: str) -> None:
    with pytest.raises(DlError) as caught:
        resolve_forward(settings, "pooled")
    assert said in str(caught.value)


# What a row depends on


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_an_images_row_is_the_same_to_the_bit_wherever_it_stands(
    pictures: tuple[Path, list[str]], precision: str
) -> None:
    root, paths = pictures
    forward, weights = resolve_forward(replace(OPENVINO, precision=precision), "pooled")
    engine = start_engine(forward, weights)
    rows = run(root, paths, forward, engine)
    assert rows.shape == (19, 1280)
    assert rows.dtype == np.float32
    assert len({row.tobytes() for row in rows}) == 19
    assert np.array_equal(run(root, paths[::-1], forward, engine)[::-1], rows)
    assert np.array_equal(run(root, paths[5:], forward, engine), rows[5:])
    assert np.array_equal(run(root, paths, forward, engine, size=3), rows)  # padded each time
    assert np.array_equal(run(root, paths[7:8], forward, engine), rows[7:8])
    again = start_engine(forward, weights)
    assert np.array_equal(run(root, paths, forward, again), rows)


def test_no_images_give_no_rows_and_start_nothing(pictures: tuple[Path, list[str]]) -> None:
    def start() -> Engine:
        raise AssertionError("started")

    forward, _ = resolve_forward(OPENVINO, "pooled")
    assert list(rows_of(pictures[0], [], forward, start, 2)) == []


def test_every_path_gets_its_row_or_the_reason_why_not(
    pictures: tuple[Path, list[str]], tmp_path: Path
) -> None:
    root, paths = pictures
    forward, weights = resolve_forward(OPENVINO, "pooled")
    engine = start_engine(forward, weights)
    rows = run(root, paths, forward, engine)
    for path in paths:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes((root / path).read_bytes())
    bad = {paths[0], paths[9], paths[10], paths[18]} | set(paths[11:16])
    for path in bad:
        (tmp_path / path).write_bytes(b"")
    results = list(rows_of(tmp_path, paths, forward, lambda: engine, 2))
    for path, row, result in zip(paths, rows, results, strict=True):
        if path in bad:
            assert isinstance(result, UnreadableImage)
            assert result.path == tmp_path / path
        else:
            assert np.array_equal(result, row)


def test_nothing_but_damaged_images_is_no_trouble(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(10)]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    forward, weights = resolve_forward(OPENVINO, "pooled")
    results = rows_of(tmp_path, names, forward, lambda: start_engine(forward, weights), 2)
    assert all(isinstance(result, UnreadableImage) for result in results)


def test_an_engine_may_be_stopped_amid_its_work_and_used_again(
    pictures: tuple[Path, list[str]],
) -> None:
    root, paths = pictures
    forward, weights = resolve_forward(OPENVINO, "pooled")
    engine = start_engine(forward, weights)
    for _ in range(4):
        rows = rows_of(root, paths, forward, lambda: engine, 2)
        first = next(rows)
        rows.close()
    assert isinstance(first, np.ndarray)
    assert np.array_equal(run(root, paths, forward, engine)[0], first)


def test_photos_of_any_brightness_give_numbers(tmp_path: Path) -> None:
    for name, colour in (("black", 0), ("white", 255)):
        Image.new("RGB", (70, 50), (colour,) * 3).save(tmp_path / f"{name}.png")
    for precision in ("f32", "bf16"):
        forward, weights = resolve_forward(replace(OPENVINO, precision=precision), "pooled")
        rows = run(tmp_path, ["black.png", "white.png"], forward, start_engine(forward, weights))
        assert np.isfinite(rows).all()


# Keras, which takes seconds to import: all that needs it, together


@pytest.fixture(scope="module")
def keras_rows(pictures: tuple[Path, list[str]]) -> Callable[[str], np.ndarray]:
    root, paths = pictures

    def rows(precision: str) -> np.ndarray:
        settings = replace(OPENVINO, engine="keras", precision=precision)
        forward, weights = resolve_forward(settings, "pooled")
        exact = replace(forward, pixels=PixelRule(64))
        engine = start_engine(exact, weights)
        assert isinstance(engine, KerasEngine)
        found = run(root, paths, exact, engine)
        assert np.array_equal(run(root, paths, exact, engine, size=7), found)
        return found

    return rows


def test_keras_and_openvino_give_the_same_features(
    pictures: tuple[Path, list[str]], keras_rows: Callable[[str], np.ndarray]
) -> None:
    wanted = keras_rows("f32")
    assert wanted.dtype == np.float32
    forward, weights = resolve_forward(OPENVINO, "pooled")
    ours = run(*pictures, forward, start_engine(forward, weights))
    assert np.abs(ours - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_bf16_is_near_and_leaves_keras_as_it_was(
    keras_rows: Callable[[str], np.ndarray],
) -> None:
    exact, short = keras_rows("f32"), keras_rows("bf16")
    distance = np.linalg.norm(short - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert 0 < distance.max() < 0.2
    import keras

    assert keras.config.dtype_policy().name == "float32"


def test_openvino_alone_imports_no_backend(pictures: tuple[Path, list[str]]) -> None:
    code = (
        "import sys; from dlcli.cli import main\n"
        "assert main(['features', '-d', sys.argv[1], '--image-size', '64',"
        " '--engine', 'openvino', '--precision', 'f32']) == 0\n"
        "print(sorted({'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules)))"
    )
    root = pictures[0].parent / "dataset"
    (root / "train").mkdir(parents=True)
    for kind in ("cat", "dog"):
        (root / "train" / kind).symlink_to(pictures[0] / kind)
    done = subprocess.run(
        [sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "first",
    [
        "from dlcli.inference import _fast_bf16; _fast_bf16('openvino')",
        "from dlcli.backend import start_backend; start_backend(); import openvino",
    ],
)
def test_openvino_reports_nothing_to_its_makers(first: str, home: Path) -> None:
    script = f"import sys; {first}; print(sys.modules['openvino_telemetry'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "None\n", done.stderr
    assert not (home / "intel").exists()

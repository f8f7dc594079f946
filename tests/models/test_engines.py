"""Forward passes: what their result depends on, and what it must not depend on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.pictures import make_pictures
from support.small_run import OPENVINO

from dlcli.images.pixels import PixelRule, UnreadableImage, read_batches
from dlcli.models.engines import (
    Computed,
    Engine,
    KerasEngine,
    resolve_forward,
    rows_of,
    start_engine,
)
from dlcli.models.forward import Forward

pytestmark = pytest.mark.slow


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
            assert isinstance(result, Computed)
            assert np.array_equal(result.row, row)


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
    assert isinstance(first, Computed)
    assert np.array_equal(run(root, paths, forward, engine)[0], first.row)


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

    @cache
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
        "from dlcli.models.engines import computes_bf16; computes_bf16('openvino')",
        "from dlcli.backend import start_backend; start_backend(); import openvino",
    ],
)
def test_openvino_reports_nothing_to_its_makers(first: str, home: Path) -> None:
    script = f"import sys; {first}; print(sys.modules['openvino_telemetry'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "None\n", done.stderr
    assert not (home / "intel").exists()

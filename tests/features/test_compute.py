"""Features: computed once, none for what can't be read, the same bits from a killed command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.dot_images import (
    TINY,
    TinyEngine,
    check,
    colours,
    compute,
    load_features,
    paint,
    state,
)
from support.pictures import make_dataset

from dlcli.data.dataset import SPLITS
from dlcli.data.photos.photos import Photos, open_photos
from dlcli.errors import DlError
from dlcli.features import compute as compute_module
from dlcli.features.compute import compute_features, features_ready
from dlcli.features.key import feature_key
from dlcli.features.store import (
    function_of,
    remove_features,
    skipped,
    store_folder,
    stored_features,
    stored_rows,
)
from dlcli.images.pixels import Batch, PixelRule
from dlcli.models.engines import resolve_forward
from dlcli.models.forward import Forward
from dlcli.settings.shared import Settings

pytestmark = pytest.mark.slow


# What is computed, and what is not computed again


def test_a_store_has_rows_listing_and_manifest_under_the_functions_name(
    root: Path, engine: TinyEngine
) -> None:
    folder = compute(root)
    assert folder == root / "features" / f"tiny-pooled-{feature_key(TINY)}"
    check(root)
    assert function_of(folder) == TINY
    assert stored_rows(folder) == {"train": 14, "valid": 5, "test": 3}
    names = {path.name for path in folder.iterdir()}
    per_split = {f"{split}.{kind}" for split in SPLITS for kind in ("bc", "csv", "done")}
    assert names == per_split | {"manifest.yaml"}
    listing = (folder / "test.csv").read_text().splitlines()
    status = (root / "test" / "0.bmp").stat()
    assert listing[0] == "path,size,mtime,inode"
    assert listing[1] == f"test/0.bmp,{status.st_size},{int(status.st_mtime)},{status.st_ino}"


def test_classes_that_look_alike_are_said_once_before_they_are_computed(
    root: Path, engine: TinyEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "train" / "b").rename(root / "train" / "A")
    shutil.rmtree(root / "valid" / "b")
    compute(root, splits=("test",))
    assert "differ only" not in capsys.readouterr().err
    compute(root, splits=("train",))
    assert capsys.readouterr().err.count("the classes 'A' and 'a' differ only") == 1
    compute(root)
    assert "differ only" not in capsys.readouterr().err


def test_bcolz_alone_opens_the_rows(root: Path, engine: TinyEngine) -> None:
    import bcolz

    folder = compute(root)
    array = bcolz.open(str(folder / "train.bc"), mode="r")
    assert array.shape == (14, 3)
    assert np.array_equal(array[:], colours(root, open_photos(root).splits["train"]))


def test_a_second_call_touches_nothing_and_starts_no_network(
    root: Path, engine: TinyEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = compute(root)
    before = state(folder)
    capfd.readouterr()
    assert compute(root) == folder
    assert state(folder) == before
    assert engine.started == 1
    assert capfd.readouterr() == ("", "")


def test_ctrl_c_says_how_many_features_are_kept_and_the_same_command_continues(
    root: Path,
    engine: TinyEngine,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    run = engine.run

    def stopped_at(images: int) -> Callable[[Iterable[Batch]], Iterator[tuple[Batch, np.ndarray]]]:
        def stop(batches: Iterable[Batch]) -> Iterator[tuple[Batch, np.ndarray]]:
            for each in run(batches):
                if engine.seen > images:
                    raise KeyboardInterrupt
                yield each

        return stop

    monkeypatch.setattr(engine, "run", stopped_at(0))
    with pytest.raises(KeyboardInterrupt):
        compute(root)
    assert "No features are stored yet. The same command starts again." in capfd.readouterr().err
    engine.seen = 0
    monkeypatch.setattr(engine, "run", stopped_at(9))
    with pytest.raises(KeyboardInterrupt):
        compute(root)
    (store,) = (root / "features").iterdir()
    said = f"The features of 8 of 22 images are kept in ~/data/dots/features/{store.name}. The"
    assert said in capfd.readouterr().err  # two chunks of four
    engine.seen = 0
    monkeypatch.setattr(engine, "run", run)
    compute(root)
    assert engine.seen == 22 - 8


def test_only_the_splits_asked_for_are_computed(root: Path, engine: TinyEngine) -> None:
    folder = compute(root, splits=("train", "valid"))
    assert engine.seen == 19
    before = state(folder / "train.bc")
    compute(root)
    assert engine.seen == 22
    assert state(folder / "train.bc") == before


@pytest.mark.parametrize("empty", [True, False])
def test_no_images_to_test_on_is_fine(root: Path, engine: TinyEngine, empty: bool) -> None:
    shutil.rmtree(root / "test")
    if empty:
        (root / "test").mkdir()
    assert stored_rows(compute(root)) == {"train": 14, "valid": 5}
    with pytest.raises(DlError, match="missing or out of date"):
        check(root, splits=["test"])


def test_features_of_another_function_are_never_served(root: Path, engine: TinyEngine) -> None:
    folder = compute(root)
    dataset = open_photos(root)
    for other in (
        replace(TINY, backbone="vgg16"),
        replace(TINY, weights_hash="f" * 16),
        replace(TINY, precision="bf16"),
    ):
        assert not features_ready(store_folder(dataset, other), dataset, "train")
    # a folder renamed by hand
    other_folder = store_folder(dataset, replace(TINY, precision="bf16"))
    folder.rename(other_folder)
    assert not features_ready(other_folder, dataset, "train")


def test_any_file_name_has_its_row(home: Path, engine: TinyEngine) -> None:
    root = home / "odd"
    names = ["a b", 'it\'s "q"', "-rf", "a\nb", "a\rb", "ü猫", "a,b", os.fsdecode(b"caf\xe9")]
    for number, name in enumerate(names):
        for kind in ("cat", "d\nog"):
            paint(root / "train" / kind / f"{name}.bmp", number * 7)
    compute(root)
    check(root, splits=["train"])
    compute(root)
    assert engine.started == 1


def test_memory_does_not_grow_with_the_images(home: Path, engine: TinyEngine) -> None:
    def peak(count: int) -> int:
        root = home / str(count)
        paint(root / "train" / "a" / "0000.bmp", 1)
        for number in range(1, count):
            os.link(root / "train" / "a" / "0000.bmp", root / "train" / "a" / f"{number:04}.bmp")
        dataset = open_photos(root)
        forward = replace(TINY, pixels=PixelRule(64))
        tracemalloc.start()
        compute_features(dataset, forward, Path("weights"), workers=2, on_error="stop")
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(20)  # imports
    assert peak(2000) < peak(200) + 4_000_000  # names and times; the pixels would be 24,576,000


# Images that can't be read


@pytest.fixture
def damaged(root: Path) -> set[str]:
    """Six of the images damaged: the first, one amid a chunk, two neighbours, and the last."""
    bad = {f"train/{name}.bmp" for name in ("a/00", "a/08", "a/10", "b/13")}
    bad |= {"valid/a/14.bmp", "test/2.bmp"}
    for path in bad:
        (root / path).write_bytes(b"BM")
    return bad


def test_unreadable_images_are_named_all_at_once_and_nothing_is_finished(
    root: Path, engine: TinyEngine, damaged: set[str]
) -> None:
    with pytest.raises(DlError) as caught:
        compute(root)
    assert caught.value.what.startswith("6 images can't be read")
    assert all(f"~/data/dots/{path}: " in caught.value.what for path in damaged)
    dataset = open_photos(root)
    folder = store_folder(dataset, TINY)
    assert stored_rows(folder) == {}
    assert not any(features_ready(folder, dataset, split) for split in SPLITS)
    (store,) = stored_features(root)
    assert store.unfinished == SPLITS


def test_skipped_images_have_no_row_and_are_recorded_with_the_reason(
    root: Path, engine: TinyEngine, damaged: set[str]
) -> None:
    folder = compute(root, "skip")
    check(root, damaged)
    recorded = {path: why for split in SPLITS for path, why in skipped(folder, split).items()}
    assert set(recorded) == damaged
    assert all(recorded.values())
    assert stored_rows(folder) == {"train": 10, "valid": 4, "test": 2}


def test_what_was_computed_before_the_refusal_is_not_computed_again(
    root: Path, engine: TinyEngine, damaged: set[str]
) -> None:
    for _ in range(2):
        with pytest.raises(DlError, match="6 images"):
            compute(root)
    compute(root, "skip")
    check(root, damaged)
    assert engine.seen == 16


def test_images_left_out_before_are_said_again(
    root: Path, engine: TinyEngine, damaged: set[str], capfd: pytest.CaptureFixture[str]
) -> None:
    compute(root, "skip")
    for on_error in ("stop", "skip"):
        capfd.readouterr()
        compute(root, on_error)  # type: ignore[arg-type]
        assert capfd.readouterr().err.splitlines() == [
            "Left out 4 of train: recorded earlier as unreadable.",
            "Left out 1 of valid: recorded earlier as unreadable.",
            "Left out 1 of test: recorded earlier as unreadable.",
        ]


def test_an_image_that_can_be_read_after_all_gets_its_row(root: Path, engine: TinyEngine) -> None:
    # as after `chmod`: neither size nor time of the file tells
    image = root / "train" / "a" / "04.bmp"
    good, times = image.read_bytes(), (1, 1)
    image.write_bytes(bytes(len(good)))
    os.utime(image, times)
    with pytest.raises(DlError, match="1 image can't be read"):
        compute(root)
    image.write_bytes(good)
    os.utime(image, times)
    compute(root)
    check(root)
    assert engine.seen == 22


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_without_one_readable_image_is_refused(
    root: Path, engine: TinyEngine, split: str
) -> None:
    for path in (root / split).rglob("*.bmp"):
        path.write_bytes(b"")
    with pytest.raises(DlError, match="images can't be read"):
        compute(root)
    with pytest.raises(DlError) as caught:
        compute(root, "skip")
    assert caught.value.what == f"No image of {split} can be read"
    assert "the file is empty" in caught.value.why


def test_an_image_that_is_gone_or_a_link_to_nowhere_is_named(
    root: Path, engine: TinyEngine
) -> None:
    (root / "train" / "a" / "link.bmp").symlink_to("nowhere")
    with pytest.raises(DlError, match=r"link\.bmp: No such file or directory"):
        compute(root)
    compute(root, "skip")
    check(root, ["train/a/link.bmp"])


# The real network


@pytest.fixture
def real(home: Path) -> tuple[Photos, Forward, Path]:
    """30 pictures and the embedded network at 64 pixels, which is quick."""
    dataset = open_photos(make_dataset(home / "data" / "dogscats", train=8))
    settings = replace(Settings(), image_size=64, engine="openvino", precision="f32")
    return (dataset, *resolve_forward(settings, "pooled"))


def test_a_killed_command_goes_on_to_the_same_bits(
    real: tuple[Photos, Forward, Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, forward, weights = real
    monkeypatch.setattr(compute_module, "CHUNK_ROWS", 4)
    code = (
        "from dlcli.features import compute; compute.CHUNK_ROWS = 4\n"
        "from dlcli.cli import main; main(['features', '-d', 'dogscats', '--image-size', '64',"
        " '--engine', 'openvino', '--precision', 'f32', '--workers', '1'])"
    )
    folder = store_folder(dataset, forward)
    compute_features(dataset, forward, weights, workers=2, on_error="stop")
    whole = {split: load_features(folder, dataset, split) for split in SPLITS}
    remove_features(folder)
    child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(folder.glob("train.bc/data/*")) and child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    child.kill()
    child.wait()
    compute_features(dataset, forward, weights, workers=2, on_error="stop")
    for split, features in whole.items():
        again = load_features(folder, dataset, split)
        assert again.paths == features.paths
        assert again.rows.tobytes() == features.rows.tobytes()


@pytest.mark.usefixtures("small_backbone")
@pytest.mark.parametrize(
    ("layer", "shape"), [("pooled", (1280,)), ("conv", (2, 2, 1280)), ("imagenet", (1000,))]
)
def test_each_layer_has_a_store_of_its_own(
    real: tuple[Photos, Forward, Path], layer: str, shape: tuple[int, ...]
) -> None:
    dataset, forward, weights = real
    forward = replace(forward, layer=layer)  # type: ignore[arg-type]
    folder = compute_features(
        dataset, forward, weights, workers=2, on_error="stop", splits=("test",)
    )
    features = load_features(folder, dataset, "test")
    assert features.rows.shape == (5, *shape)
    assert features.rows.dtype == np.float32
    assert np.isfinite(features.rows).all()
    assert len({row.tobytes() for row in features.rows}) == 5

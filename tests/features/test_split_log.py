"""The log of a store: after any kill or damage it is believed as far as it is true."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.children import killed_before_change
from support.dot_images import CHUNK, TINY, TinyEngine, check, compute, load_features, paint

from dlcli.data.dataset import SPLITS
from dlcli.data.photos.photos import open_photos
from dlcli.errors import DlError
from dlcli.features import compute as compute_module
from dlcli.features.compute import features_ready
from dlcli.features.split_log import read_split
from dlcli.features.store import store_folder, stored_features

pytestmark = [pytest.mark.forks, pytest.mark.slow]


def done_images(root: Path) -> int:
    """How many images need no network any more."""
    dataset = open_photos(root)
    folder = store_folder(dataset, TINY)
    stored = [read_split(folder, split) for split in SPLITS]
    return sum(each.believed().images for each in stored if each)


@pytest.mark.parametrize("case", ["with damaged images", "images have moved"])
def test_killed_at_any_step_the_next_call_goes_on_and_ends_with_the_same_rows(
    root: Path, home: Path, engine: TinyEngine, case: str
) -> None:
    bad: set[str] = set()
    if case == "with damaged images":
        bad = {"train/a/00.bmp", "train/a/08.bmp", "train/b/13.bmp", "valid/b/17.bmp"}
        for path in bad:
            (root / path).write_bytes(b"BM")
    if case == "images have moved":
        compute(root)
        for name in ("a/00", "b/05", "b/11"):
            (root / "train" / f"{name}.bmp").rename(root / "valid" / f"{name}.bmp")
        paint(root / "train" / "a" / "new.bmp", 3000)
    kept = home / "kept"
    shutil.copytree(root / "features", kept) if case == "images have moved" else kept.mkdir()
    for step in range(1, 1000):
        shutil.rmtree(root / "features", ignore_errors=True)
        shutil.copytree(kept, root / "features")
        # the copy of a store has other times, but the images and their inodes are the same
        killed = killed_before_change(step, lambda: compute(root, "skip"))
        engine.seen, left = 0, 22 + (case == "images have moved") - done_images(root)
        compute(root, "skip")
        check(root, bad)
        assert engine.seen <= left
        if not killed:
            break
    assert 40 < step < 200


def test_killed_again_and_again_it_still_comes_to_its_end(root: Path, engine: TinyEngine) -> None:
    kills = 0
    while killed_before_change(60, lambda: compute(root)):
        kills += 1
        assert kills < 50
    assert kills > 0
    check(root)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a chunk cut short": lambda f: cut(f / "train.bc/data/__1.blp"),
    "a chunk of zeros": lambda f: zero(f / "train.bc/data/__1.blp"),
    "a chunk with a flipped bit": lambda f: flip(f / "train.bc/data/__2.blp"),
    "a chunk missing": lambda f: (f / "train.bc/data/__0.blp").unlink(),
    "the last chunk empty": lambda f: (f / "train.bc/data/__3.blp").write_bytes(b""),
    "chunks of another split": lambda f: swap(f / "train.bc/data", f / "valid.bc/data"),
    "the array of another split": lambda f: swap(f / "train.bc", f / "valid.bc"),
    "sizes cut short": lambda f: cut(f / "train.bc/meta/sizes"),
    "sizes missing": lambda f: (f / "train.bc/meta/sizes").unlink(),
    "sizes wrong": lambda f: edit(f / "train.bc/meta/sizes", "14", "13"),
    "storage missing": lambda f: (f / "train.bc/meta/storage").unlink(),
    "storage cut short": lambda f: cut(f / "train.bc/meta/storage"),
    "attributes missing": lambda f: (f / "train.bc/__attrs__").unlink(),
    "meta missing": lambda f: shutil.rmtree(f / "train.bc/meta"),
    "array missing": lambda f: shutil.rmtree(f / "train.bc"),
    "array a file": lambda f: cover(f / "train.bc"),
    "marker cut short": lambda f: cut(f / "train.done"),
    "marker empty": lambda f: (f / "train.done").write_text(""),
    "marker garbage": lambda f: (f / "train.done").write_text("rows: 14\n"),
    "marker with other words": lambda f: edit(f / "train.done", "crc32", "crc"),
    "marker of another split": lambda f: swap(f / "train.done", f / "valid.done"),
    "listing missing": lambda f: (f / "train.csv").unlink(),
    "listing cut short": lambda f: cut(f / "train.csv"),
    "listing with two swapped": lambda f: swap_lines(f / "train.csv"),
    "manifest missing": lambda f: (f / "manifest.yaml").unlink(),
    "manifest empty": lambda f: (f / "manifest.yaml").write_text(""),
    "manifest garbage": lambda f: (f / "manifest.yaml").write_bytes(b"\x00\xff: ["),
    "manifest a list": lambda f: (f / "manifest.yaml").write_text("[1, 2]"),
    "manifest of another network": lambda f: edit(f / "manifest.yaml", "tiny", "huge"),
}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def cover(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


def edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def swap(one: Path, other: Path) -> None:
    one.rename(one.with_name("swapping"))
    other.rename(one)
    one.with_name("swapping").rename(other)


def swap_lines(path: Path) -> None:
    first, second, third, *others = path.read_text().splitlines(keepends=True)
    path.write_text("".join([first, third, second, *others]))


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_store_is_never_served_and_is_mended_by_the_next_call(
    root: Path, engine: TinyEngine, damage: str
) -> None:
    folder = compute(root)
    DAMAGE[damage](folder)
    dataset = open_photos(root)
    assert not features_ready(folder, dataset, "train")
    with pytest.raises(DlError, match="missing or out of date"):
        load_features(folder, dataset, "train")
    assert stored_features(root) or not (folder / "manifest.yaml").exists()
    compute(root)
    check(root)


def test_an_unfinished_store_goes_on_from_its_last_whole_chunk(
    root: Path, engine: TinyEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = compute(root, splits=("train",))
    (folder / "train.done").rename(folder / "train.log")
    cut(folder / "train.log")  # the record of the last chunk is torn
    flip(folder / "train.bc/data/__2.blp")  # the third never reached the disk
    engine.seen = 0
    compute(root, splits=("train",))
    check(root, splits=["train"])
    assert engine.seen == 14 - 2 * CHUNK
    assert "Features of train: resuming after 8 of 14 images." in capfd.readouterr().err


def test_chunks_of_another_length_are_computed_anew(
    root: Path, engine: TinyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert killed_before_change(50, lambda: compute(root))
    assert 0 < done_images(root) < 22
    monkeypatch.setattr(compute_module, "CHUNK_ROWS", 6)
    compute(root)
    check(root)

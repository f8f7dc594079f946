"""Stores by one version of the rule for pixels that serve the other."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.dot_images import TINY, TinyEngine, compute, load_features, paint

from dlcli.data.dataset import SPLITS
from dlcli.data.photos.photos import open_photos
from dlcli.features import rules
from dlcli.features.compute import compute_features
from dlcli.features.rules import changed_in, changed_of, kept_as
from dlcli.features.split_log import read_split
from dlcli.features.store import store_folder
from dlcli.models.forward import Forward

NOW = TINY.by_rule(2)


def test_what_a_store_has_recorded_needs_no_headers(
    root: Path, engine: TinyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned(root / "train" / "a" / "turned")
    dataset = open_photos(root)
    found = {"train/a/turned.png": ("turned",)}
    assert changed_in(dataset) == found
    compute(root, splits=("train", "valid"))
    asked: list[str] = []

    def by_header(root: Path, paths: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        asked.extend(paths)
        return {}

    monkeypatch.setattr(rules, "changed_images", by_header)
    assert {path: (*changes,) for path, changes in changed_in(dataset).items()} == found
    assert asked == [*dataset.splits["test"]]
    paint(root / "train" / "a" / "new.bmp", 50)
    dataset = open_photos(root)
    assert changed_in(dataset) == {}
    assert set(dataset.splits["train"]) < set(asked)


def compute_as(root: Path, forward: Forward, splits: tuple[str, ...] = SPLITS) -> Path:
    dataset = open_photos(root)
    return compute_features(
        dataset, forward, Path("weights"), workers=1, on_error="stop", splits=splits
    )


def turned(path: Path) -> None:
    """Write an image that EXIF says is turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 4), (9, 9, 9)).save(path.with_suffix(".png"), exif=exif)


def of_before(folder: Path) -> None:
    """Make the logs of a store what they were before version 2."""
    for log in folder.glob("*.done"):
        text = log.read_text()
        assert ', "changed": {' in text
        log.write_text(text.replace(', "changed": {}', ""))
        assert "changed" not in log.read_text()


def test_a_store_by_version_1_serves_version_2_where_no_image_differs(
    root: Path, engine: TinyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = compute(root)
    of_before(folder)
    seen = engine.seen
    assert compute_as(root, NOW) == folder
    assert kept_as(open_photos(root), NOW, SPLITS) == TINY
    assert engine.seen == seen
    assert not store_folder(open_photos(root), NOW).exists()
    # the headers were read once: what they say is recorded
    monkeypatch.setattr(rules, "changed_images", None)
    assert compute_as(root, NOW) == folder
    stored = read_split(folder, "train")
    assert stored is not None
    assert stored.changed == {}
    assert stored.believed().finished


def test_a_store_by_version_2_serves_a_rerun_by_version_1(root: Path, engine: TinyEngine) -> None:
    folder = compute_as(root, NOW)
    seen = engine.seen
    assert compute(root) == folder
    assert engine.seen == seen


def test_new_images_are_added_to_a_store_that_serves(root: Path, engine: TinyEngine) -> None:
    folder = compute(root)
    paint(root / "train" / "a" / "new.bmp", 5)
    seen = engine.seen
    assert compute_as(root, NOW) == folder
    assert engine.seen == seen + 1


def test_one_turned_image_makes_a_new_store_with_the_rows_of_the_others(
    root: Path, engine: TinyEngine
) -> None:
    turned(root / "train" / "a" / "00")
    folder = compute(root)
    dataset = open_photos(root)
    stored = read_split(folder, "train")
    assert stored is not None
    assert stored.changed == {"train/a/00.png": ["turned"]}
    seen = engine.seen
    now = compute_as(root, NOW)
    assert now == store_folder(dataset, NOW) != folder
    assert engine.seen == seen + 1
    assert changed_of(now, dataset, "train") == {"train/a/00.png": ["turned"]}
    rows, before = (load_features(each, dataset, "valid").rows for each in (now, folder))
    assert np.array_equal(rows, before)
    # and the old one stays for its runs
    assert compute(root) == folder


def test_a_split_without_turned_images_is_still_served(root: Path, engine: TinyEngine) -> None:
    turned(root / "test" / "0")
    folder = compute(root)
    assert compute_as(root, NOW, ("train", "valid")) == folder
    assert compute_as(root, NOW, ("test",)) != folder


def test_an_unrecorded_store_that_cannot_be_written_is_told_by_headers_each_time(
    root: Path, engine: TinyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = compute(root)
    of_before(folder)

    def closed(folder: Path) -> object:
        raise PermissionError(folder)

    monkeypatch.setattr(rules, "held", closed)
    for _ in range(2):
        assert compute_as(root, NOW) == folder
    assert "changed" not in (folder / "train.done").read_text()


@pytest.mark.parametrize("damaged", ["meta/storage", "data/__1.blp"])
def test_nothing_is_recorded_for_damaged_rows(root: Path, engine: TinyEngine, damaged: str) -> None:
    folder = compute(root)
    of_before(folder)
    (folder / "train.bc" / damaged).write_bytes(b"damaged")
    log = (folder / "train.done").read_bytes()
    stored = read_split(folder, "train")
    assert stored is not None
    assert changed_of(folder, open_photos(root), "train") == {}
    assert (folder / "train.done").read_bytes() == log
    stored.record_changed({})  # damaged after it was believed
    stored = read_split(folder, "train")
    assert stored is not None
    assert not stored.believed().finished


def test_what_an_image_was_changed_by_is_kept_when_its_row_moves(
    root: Path, engine: TinyEngine
) -> None:
    turned(root / "train" / "a" / "00")
    folder = compute_as(root, NOW)
    seen = engine.seen
    moved = root / "valid" / "a" / "00.png"
    (root / "train" / "a" / "00.png").rename(moved)
    compute_as(root, NOW)
    assert engine.seen == seen
    assert changed_of(folder, open_photos(root), "valid") == {"valid/a/00.png": ["turned"]}
    shutil.rmtree(folder)
    assert changed_of(folder, open_photos(root), "valid") == {"valid/a/00.png": ("turned",)}

"""A store in use: images change, the disk is full, others are at work."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support.children import become_nobody, fork, forked, killed_before_change, no_file_above, wait
from support.dot_images import CHUNK, TINY, TinyEngine, check, compute, paint, state

from dlcli.data.photos.photos import open_photos
from dlcli.errors import DlError
from dlcli.features import compute as compute_module
from dlcli.features.store import held, remove_features, store_folder, stored_features
from dlcli.images.pixels import Batch

pytestmark = pytest.mark.forks


def test_a_changed_test_folder_leaves_train_untouched(
    root: Path, engine: TinyEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = compute(root)
    before = state(folder / "train.bc") | state(folder / "valid.bc")
    paint(root / "test" / "9.bmp", 999)
    compute(root)
    check(root)
    assert state(folder / "train.bc") | state(folder / "valid.bc") == before
    said = capfd.readouterr().err
    assert "The images of test have changed" in said
    assert "train" not in said.split("The images of test")[1]


@pytest.mark.parametrize("change", ["touched", "replaced", "added", "removed", "renamed", "all"])
def test_images_that_change_get_new_rows_and_the_others_keep_theirs(
    root: Path, engine: TinyEngine, change: str
) -> None:
    compute(root)
    done = engine.seen
    image = root / "train" / "a" / "06.bmp"
    if change == "touched":
        os.utime(image, (1, 1))
    elif change == "replaced":
        paint(image.with_suffix(".new.bmp"), 4000)
        image.with_suffix(".new.bmp").replace(image)
        os.utime(image, (1, 1))
    elif change == "added":
        paint(image.with_name("05.bmp"), 4001)
    elif change == "removed":
        image.unlink()
    elif change == "renamed":
        image.rename(image.with_name("zz.bmp"))
    else:
        for path in (root / "train").rglob("*.bmp"):
            os.utime(path, (1, 1))
    with pytest.raises(DlError, match="out of date"):
        check(root)
    compute(root)
    check(root)
    assert engine.seen - done == {"removed": 0, "all": 14}.get(change, 1)
    assert not (store_folder(open_photos(root), TINY) / "before").exists()


class Stopped(Exception):
    """What ends a computation in the middle."""


def stop_after(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the next computation after so many rows."""
    growing = compute_module._GrowingRows
    add, added = growing.add, []

    def stopping(self: object, path: str, row: np.ndarray, changes: Sequence[str]) -> None:
        add(self, path, row, changes)  # type: ignore[arg-type]
        added.append(path)
        if len(added) == rows:
            raise Stopped

    monkeypatch.setattr(growing, "add", stopping)


def test_rows_of_before_survive_another_splits_computation(
    root: Path, engine: TinyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute(root)
    for name in ("a/00", "a/02"):
        paint(root / "train" / f"{name}.bmp", 4000 + int(name[2:]))
        os.utime(root / "train" / f"{name}.bmp", (1, 1))
    paint(root / "test" / "3.bmp", 4003)
    with monkeypatch.context() as patched, pytest.raises(Stopped):
        stop_after(CHUNK + 1, patched)
        compute(root, splits=("train",))
    done = engine.seen
    compute(root, splits=("test",))
    compute(root)
    check(root)
    assert engine.seen - done == 1
    assert not (store_folder(open_photos(root), TINY) / "before").exists()


def test_rows_of_before_do_not_wait_for_a_split_that_nobody_asked_for(
    root: Path, engine: TinyEngine
) -> None:
    for change in range(3):
        paint(root / "train" / "a" / "00.bmp", 4000 + change)
        os.utime(root / "train" / "a" / "00.bmp", (change, change))
        compute(root, splits=("train", "valid"))
    assert not (store_folder(open_photos(root), TINY) / "before").exists()


def test_rows_of_before_survive_a_second_change(
    root: Path, engine: TinyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute(root)
    for change in (1, 2):
        paint(root / "train" / "a" / f"0{change}.bmp", 4000 + change)
        os.utime(root / "train" / "a" / f"0{change}.bmp", (1, 1))
        with monkeypatch.context() as patched, pytest.raises(Stopped):
            stop_after(CHUNK + 1, patched)
            compute(root, splits=("train",))
    done = engine.seen
    compute(root)
    check(root)
    assert engine.seen == done


def test_rows_of_before_that_are_half_forgotten_are_in_nobodys_way(
    root: Path, engine: TinyEngine
) -> None:
    folder = compute(root)
    (folder / "before" / "1").mkdir(parents=True)  # "0" went, then power failed
    paint(root / "test" / "9.bmp", 999)
    compute(root)
    check(root)
    assert not (folder / "before").exists()


def test_images_that_move_between_splits_take_their_rows_along(
    root: Path, engine: TinyEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    compute(root)
    for name in ("a/00", "b/05", "b/11", "a/12"):
        (root / "train" / f"{name}.bmp").rename(root / "valid" / f"{name}.bmp")
    (root / "valid" / "b" / "15.bmp").rename(root / "train" / "b" / "15.bmp")
    capfd.readouterr()
    compute(root)
    check(root)
    assert (engine.started, engine.seen) == (1, 22)
    assert "11 of 11 images are stored already" in capfd.readouterr().err


def test_another_image_with_the_name_size_and_time_of_one_that_moved_gets_its_own_row(
    root: Path, engine: TinyEngine
) -> None:
    for path in root.rglob("*.bmp"):
        os.utime(path, (1, 1))
    compute(root, splits=("train", "valid"))
    gone = root / "train" / "a" / "00.bmp"
    paint(root / "test" / "a" / "00.bmp", 5000)
    os.utime(root / "test" / "a" / "00.bmp", (1, 1))
    assert gone.stat().st_size == (root / "test" / "a" / "00.bmp").stat().st_size
    gone.unlink()
    compute(root)
    check(root)


def test_rows_are_kept_through_changes_of_an_unfinished_computation(
    root: Path, engine: TinyEngine
) -> None:
    (root / "train" / "b" / "13.bmp").write_bytes(b"damaged")
    with pytest.raises(DlError, match="1 image can't be read"):
        compute(root)
    seen = engine.seen
    (root / "train" / "b" / "13.bmp").unlink()
    compute(root)
    check(root)
    assert engine.seen == seen


def test_a_full_disk_is_said_and_what_was_computed_counts(
    root: Path,
    engine: TinyEngine,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # rows of noise compress badly; those of the first images are short of it
    def run(batches: Iterable[Batch]) -> Iterator[tuple[Batch, np.ndarray]]:
        for batch in batches:
            engine.seen += len(batch.pixels)
            noise = [np.random.default_rng(int(p.sum())).normal(size=900) for p in batch.pixels]
            rows = np.array(noise, np.float32)
            rows[[p[0, 0, 0] < 6 for p in batch.pixels]] = 0
            yield batch, rows

    monkeypatch.setattr(engine, "run", run)
    code = forked(lambda: compute(root, splits=("train",)), lambda: no_file_above(8_000))
    said = capfd.readouterr().err
    assert code == 1
    assert "Can't write features to ~/data/dots/features/tiny-pooled-" in said
    assert "File too large" in said
    assert "Free some space, then run the same command again. It resumes from there." in said
    compute(root, splits=("train",))
    assert engine.seen == 14 - CHUNK
    assert "resuming after 4 of 14 images" in capfd.readouterr().err


def test_a_read_only_dataset_keeps_its_features_in_the_cache(
    engine: TinyEngine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        root, cache = Path(folder) / "dots", Path(folder) / "cache"
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
        paint(root / "train" / "a" / "1.bmp", 1)
        cache.mkdir()
        for path in (Path(folder), root, cache):
            path.chmod(0o555)
        # nor may the cache be written: what to do is said
        assert forked(lambda: compute(root), become_nobody) == 1
        said = capfd.readouterr().err
        assert f"Can't write features to {cache}/dl/features/dots-" in said
        assert "Permission denied" in said
        assert "copy the dataset" in said
        cache.chmod(0o777)

        def twice() -> None:
            made = compute(root)
            done = engine.seen
            assert compute(root) == made
            assert engine.seen == done, "they are found there again"
            assert [each.folder for each in stored_features(root)] == [made]

        assert forked(twice, become_nobody) == 0
        for path in (Path(folder), root):
            path.chmod(0o755)
        said = capfd.readouterr().err
        assert f"{root} is read-only: features go to {cache}/dl/features/dots-" in said
        assert said.count("read-only") == 1
        assert not (root / "features").exists()


def test_finished_features_need_no_permission_to_write(engine: TinyEngine) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "dots"
        paint(root / "train" / "a" / "1.bmp", 1)
        compute(root)
        for path in [Path(folder), *Path(folder).rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        code = forked(lambda: check(compute(root).parent.parent, splits=["train"]), become_nobody)
        for path in [Path(folder), *Path(folder).rglob("*")]:
            path.chmod(0o755)
        assert code == 0


@pytest.mark.parametrize("lack", ["a split", "the rows of a new image", "a chunk", "the manifest"])
def test_what_a_read_only_store_lacks_goes_to_the_cache(
    engine: TinyEngine, monkeypatch: pytest.MonkeyPatch, lack: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder) / "dots", Path(folder) / "cache"
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
        for number in range(6):
            paint(root / "train" / "a" / f"{number}.bmp", number)
        paint(root / "valid" / "a" / "6.bmp", 6)
        inside = compute(root, splits=("train",) if lack == "a split" else ("train", "valid"))
        computed = {"a split": 1, "the rows of a new image": 1, "a chunk": 6, "the manifest": 7}
        if lack == "the rows of a new image":
            paint(root / "train" / "a" / "7.bmp", 7)
        elif lack == "a chunk":
            (inside / "train.bc" / "data" / "__1.blp").unlink()
        elif lack == "the manifest":
            (inside / "manifest.yaml").unlink()
        cache.mkdir()
        for path in [Path(folder), *root.rglob("*"), root]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        cache.chmod(0o777)
        before, engine.seen = state(root), 0

        def complete() -> None:
            if lack == "a split":  # of what it has it is used from there
                assert compute(root, splits=("train",)) == inside
            made = compute(root)
            assert made.is_relative_to(cache)
            check(root, splits=("train", "valid"))
            assert engine.seen == computed[lack]
            assert compute(root) == made
            assert engine.seen == computed[lack]

        code = forked(complete, become_nobody)
        for path in [Path(folder), *root.rglob("*"), root]:
            path.chmod(0o755)
        assert code == 0
        assert state(root) == before


def test_two_processes_do_not_work_on_one_store(root: Path, engine: TinyEngine) -> None:
    folder = compute(root, splits=("train",))
    ready, go = os.pipe(), os.pipe()

    def work() -> None:
        with held(folder):
            os.write(ready[1], b"1")
            os.read(go[0], 1)

    child = fork(work)
    os.read(ready[0], 1)
    compute(root, splits=("train",))  # nothing is missing, so nobody is in the way
    for second in (lambda: compute(root), lambda: remove_features(folder)):
        with pytest.raises(DlError) as caught:
            second()
        assert "is being worked on" in caught.value.what
        assert f"by process {child} of " in caught.value.why
    os.write(go[1], b"1")
    assert wait(child) == 0
    compute(root)
    check(root)


def test_a_lock_that_went_with_its_store_is_no_lock(root: Path, engine: TinyEngine) -> None:
    folder = compute(root, splits=("train",))
    flock = fcntl.flock

    def late(file: int, operation: int) -> None:  # another process removes it just before
        shutil.rmtree(folder)
        flock(file, operation)

    with pytest.MonkeyPatch.context() as patched, pytest.raises(DlError, match="worked on"):
        patched.setattr(fcntl, "flock", late)
        compute(root)
    compute(root)
    check(root)


def test_a_lock_dies_with_its_process(root: Path, engine: TinyEngine) -> None:
    assert killed_before_change(30, lambda: compute(root))
    compute(root)
    check(root)


def test_a_removed_store_is_gone_and_a_half_removed_one_can_be_named(
    root: Path, engine: TinyEngine
) -> None:
    folder = compute(root)
    assert killed_before_change(9, lambda: remove_features(folder))
    (store,) = stored_features(root)
    remove_features(store.folder)
    assert stored_features(root) == []
    assert not folder.exists()
    compute(root)
    check(root)


def test_a_removal_killed_at_any_change_is_finished_by_the_next(
    root: Path, engine: TinyEngine, tmp_path: Path
) -> None:
    folder = compute(root)
    whole = shutil.copytree(folder, tmp_path / "whole")
    for number in range(1, 200):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        killed = killed_before_change(number, partial(remove_features, folder))
        for store in stored_features(root):
            remove_features(store.folder)
        assert stored_features(root) == []
        if folder.exists():  # the manifest was gone before the folder
            compute(root)
            check(root)
        if not killed:
            break
    assert number > 10

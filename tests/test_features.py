"""The feature store: computed once, kept in step with the images, whole after any accident."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import make_dataset
from PIL import Image

from dlcli import features as features_module
from dlcli.dataset import SPLITS, Dataset, open_dataset
from dlcli.errors import DlError
from dlcli.feature_log import read_split
from dlcli.feature_store import (
    function_of,
    held,
    remove_features,
    skipped,
    stored_features,
    stored_rows,
)
from dlcli.features import (
    OnError,
    compute_features,
    features_ready,
    load_features,
    store_folder,
)
from dlcli.images import Batch, PixelRule
from dlcli.inference import Forward, resolve_forward
from dlcli.settings import Settings

pytestmark = pytest.mark.forks

TINY = Forward("tiny", "0123456789abcdef", "pooled", PixelRule(4), "openvino", "f32")
CHUNK = 4


class TinyEngine:
    """Mean colour of each image: quick, and another for each image of `paint`."""

    batch_size = 3

    def __init__(self) -> None:
        self.started = 0
        self.seen = 0

    def start(self, forward: Forward, weights: Path) -> TinyEngine:
        self.started += 1
        return self

    def run(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, np.ndarray]]:
        for batch in batches:
            self.seen += len(batch.pixels)
            yield batch, batch.pixels.mean((1, 2)).astype(np.float32)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> TinyEngine:
    """A tiny network in place of a real one, and chunks of four rows."""
    engine = TinyEngine()
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nobody pulls the plug here
    monkeypatch.setattr(features_module, "start_engine", engine.start)
    monkeypatch.setattr(features_module, "CHUNK_ROWS", CHUNK)
    return engine


def paint(path: Path, colour: int) -> None:
    """An image of one colour, 0-65535; all of them take the same number of bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (colour % 256, colour // 256, 77)).save(path)


def colours(root: Path, paths: Iterable[str]) -> np.ndarray:
    """What the tiny network sees in images."""
    pixels = [np.asarray(Image.open(root / path)) for path in paths]
    return np.array([each.mean((0, 1)) for each in pixels], np.float32)


@pytest.fixture
def root(home: Path) -> Path:
    """14 images to train on, 5 to validate, 3 to test; each of its own colour."""
    root = home / "data" / "dots"
    for number in range(14):
        paint(root / "train" / "ab"[number % 2] / f"{number:02}.bmp", number)
    for number in range(14, 19):
        paint(root / "valid" / "ab"[number % 2] / f"{number}.bmp", number)
    for number in range(3):
        paint(root / "test" / f"{number}.bmp", 100 + number)
    return root


def compute(root: Path, on_error: OnError = "stop", splits: tuple[str, ...] = SPLITS) -> Path:
    dataset = open_dataset(root)
    return compute_features(
        dataset, TINY, Path("weights"), workers=2, on_error=on_error, splits=splits
    )


def check(root: Path, bad: Iterable[str] = (), splits: Iterable[str] = SPLITS) -> None:
    """Every image has its own row, those that can't be read have none."""
    dataset = open_dataset(root)
    for split in splits:
        features = load_features(store_folder(dataset, TINY), dataset, split)
        assert features.paths == tuple(p for p in dataset.splits[split] if p not in set(bad))
        assert isinstance(features.rows, np.ndarray)
        assert np.array_equal(features.rows, colours(root, features.paths))


def state(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


# What is computed, and what is not computed again


def test_a_store_has_rows_listing_and_manifest_under_the_functions_name(
    root: Path, engine: TinyEngine
) -> None:
    folder = compute(root)
    assert folder == root / "features" / f"tiny-pooled-{TINY.key}"
    check(root)
    assert function_of(folder) == TINY
    assert stored_rows(folder) == {"train": 14, "valid": 5, "test": 3}
    names = {path.name for path in folder.iterdir()}
    per_split = {f"{split}.{kind}" for split in SPLITS for kind in ("bc", "csv", "done")}
    assert names == per_split | {"manifest.yaml", "lock"}
    listing = (folder / "test.csv").read_text().splitlines()
    status = (root / "test" / "0.bmp").stat()
    assert listing[0] == "path,size,mtime,inode"
    assert listing[1] == f"test/0.bmp,{status.st_size},{int(status.st_mtime)},{status.st_ino}"


def test_bcolz_alone_opens_the_rows(root: Path, engine: TinyEngine) -> None:
    import bcolz

    folder = compute(root)
    array = bcolz.open(str(folder / "train.bc"), mode="r")
    assert array.shape == (14, 3)
    assert np.array_equal(array[:], colours(root, open_dataset(root).splits["train"]))


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
    dataset = open_dataset(root)
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
        dataset = open_dataset(root)
        forward = replace(TINY, pixels=PixelRule(64))
        tracemalloc.start()
        compute_features(dataset, forward, Path("weights"), workers=2, on_error="stop")
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(20)  # imports
    assert peak(2000) < peak(200) + 4_000_000  # names and times; the pixels would be 24,576,000


# Images that change


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
    assert not (store_folder(open_dataset(root), TINY) / "before").exists()


class Stopped(Exception):
    """What ends a computation in the middle."""


def stop_after(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the next computation after so many rows."""
    growing = features_module._GrowingRows
    add, added = growing.add, []

    def stopping(self: object, row: np.ndarray) -> None:
        add(self, row)  # type: ignore[arg-type]
        added.append(row)
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
    assert not (store_folder(open_dataset(root), TINY) / "before").exists()


def test_rows_of_before_do_not_wait_for_a_split_that_nobody_asked_for(
    root: Path, engine: TinyEngine
) -> None:
    for change in range(3):
        paint(root / "train" / "a" / "00.bmp", 4000 + change)
        os.utime(root / "train" / "a" / "00.bmp", (change, change))
        compute(root, splits=("train", "valid"))
    assert not (store_folder(open_dataset(root), TINY) / "before").exists()


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
    assert "11 of 11 images have theirs already" in capfd.readouterr().err


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
    dataset = open_dataset(root)
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
            "4 of train left out, as recorded: they can't be read.",
            "1 of valid left out, as recorded: they can't be read.",
            "1 of test left out, as recorded: they can't be read.",
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
    assert caught.value.what == f"Not one image of {split} can be read"
    assert "the file is empty" in caught.value.why


def test_an_image_that_is_gone_or_a_link_to_nowhere_is_named(
    root: Path, engine: TinyEngine
) -> None:
    (root / "train" / "a" / "link.bmp").symlink_to("nowhere")
    with pytest.raises(DlError, match=r"link\.bmp: No such file or directory"):
        compute(root)
    compute(root, "skip")
    check(root, ["train/a/link.bmp"])


# Accidents


def forked(work: Callable[[], object], prepare: Callable[[], object] = lambda: None) -> int:
    """Run `work` in a child; its exit code, or minus the signal that killed it.

    Leaving by a `DlError` is exit code 1; any other exception prints a traceback and is 99.
    """
    child = os.fork()
    if child == 0:
        code = 99
        try:
            prepare()
            work()
            code = 0
        except DlError as error:
            print(error, file=sys.stderr, flush=True)
            code = 1
        finally:
            if code == 99:
                traceback.print_exc()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def become_nobody() -> None:
    """Lose root's right to write anywhere."""
    if os.geteuid() == 0:
        os.setuid(65534)


def kill_before_change(number: int) -> None:
    """Have this process killed just before it changes the file system for the n-th time."""
    changes = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal changes
        if event == "open":
            flags = arguments[2]
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        else:
            writes = event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir")
        if writes:
            changes += 1
            if changes == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.dont_write_bytecode = True
    sys.addaudithook(watch)


def done_images(root: Path) -> int:
    """How many images need no network any more."""
    dataset = open_dataset(root)
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
        code = forked(lambda: compute(root, "skip"), lambda at=step: kill_before_change(at))  # type: ignore[misc]
        assert code in (0, -signal.SIGKILL)
        engine.seen, left = 0, 22 + (case == "images have moved") - done_images(root)
        compute(root, "skip")
        check(root, bad)
        assert engine.seen <= left
        if code == 0:
            break
    assert 40 < step < 200


def test_killed_again_and_again_it_still_comes_to_its_end(root: Path, engine: TinyEngine) -> None:
    codes: list[int] = []
    while 0 not in codes and len(codes) < 50:
        codes.append(forked(lambda: compute(root), lambda: kill_before_change(40)))
    assert codes[-1] == 0
    assert set(codes[:-1]) == {-signal.SIGKILL}
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
    dataset = open_dataset(root)
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
    assert "Features of train: going on after 8 of 14 images." in capfd.readouterr().err


def test_chunks_of_another_length_are_computed_anew(
    root: Path, engine: TinyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked(lambda: compute(root), lambda: kill_before_change(30))
    assert 0 < done_images(root) < 22
    monkeypatch.setattr(features_module, "CHUNK_ROWS", 6)
    compute(root)
    check(root)


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
    limit = 8_000
    code = forked(
        lambda: compute(root, splits=("train",)),
        lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    said = capfd.readouterr().err
    assert code == 1
    assert "Can't write features to ~/data/dots/features/tiny-pooled-" in said
    assert "File too large" in said
    assert "Free some space, then run the same command again: it goes on from there." in said
    compute(root, splits=("train",))
    assert engine.seen == 14 - CHUNK
    assert "going on after 4 of 14 images" in capfd.readouterr().err


def test_a_dataset_that_may_not_be_written_is_said_with_what_to_do(
    engine: TinyEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        root = Path(folder) / "dots"
        paint(root / "train" / "a" / "1.bmp", 1)
        for path in (Path(folder), root):
            path.chmod(0o555)
        code = forked(lambda: compute(root), become_nobody)
        for path in (Path(folder), root):
            path.chmod(0o755)
        assert code == 1
        said = capfd.readouterr().err
        assert f"Can't write features to {root}/features" in said
        assert "Permission denied" in said
        assert "copy the dataset" in said


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


def test_two_processes_do_not_work_on_one_store(root: Path, engine: TinyEngine) -> None:
    folder = compute(root, splits=("train",))
    ready, go = os.pipe(), os.pipe()

    def work() -> None:
        with held(folder):
            os.write(ready[1], b"1")
            os.read(go[0], 1)

    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    os.read(ready[0], 1)
    compute(root, splits=("train",))  # nothing is missing, so nobody is in the way
    for second in (lambda: compute(root), lambda: remove_features(folder)):
        with pytest.raises(DlError) as caught:
            second()
        assert "is being worked on" in caught.value.what
        assert f"by process {child} on " in caught.value.why
    os.write(go[1], b"1")
    os.waitpid(child, 0)
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
    assert forked(lambda: compute(root), lambda: kill_before_change(30)) == -signal.SIGKILL
    compute(root)
    check(root)


def test_a_removed_store_is_gone_and_a_half_removed_one_can_be_named(
    root: Path, engine: TinyEngine
) -> None:
    folder = compute(root)
    assert forked(lambda: remove_features(folder), lambda: kill_before_change(9)) < 0
    (store,) = stored_features(root)
    remove_features(store.folder)
    assert stored_features(root) == []
    assert not folder.exists()
    compute(root)
    check(root)


# The real network


@pytest.fixture
def real(home: Path) -> tuple[Dataset, Forward, Path]:
    """30 pictures and the embedded network at 64 pixels, which is quick."""
    dataset = open_dataset(make_dataset(home / "data" / "dogscats", train=8))
    settings = replace(Settings(), image_size=64, engine="openvino", precision="f32")
    return (dataset, *resolve_forward(settings, "pooled"))


def test_a_killed_command_goes_on_to_the_same_bits(
    real: tuple[Dataset, Forward, Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, forward, weights = real
    monkeypatch.setattr(features_module, "CHUNK_ROWS", 4)
    code = (
        "from dlcli import features; features.CHUNK_ROWS = 4\n"
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


@pytest.mark.parametrize(
    ("layer", "shape"), [("pooled", (1280,)), ("conv", (2, 2, 1280)), ("imagenet", (1000,))]
)
def test_each_layer_has_a_store_of_its_own(
    real: tuple[Dataset, Forward, Path], layer: str, shape: tuple[int, ...]
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

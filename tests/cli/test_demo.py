"""`dl demo`: the path walked on digits, again and again."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.children import killed_before_change
from support.command_result import Dl, ok
from support.pictures import make_dataset
from support.small_folders import make, tree

from dlcli.data.photos import demo
from dlcli.data.photos.demo import MARKER, write_digits
from dlcli.errors import DlError
from dlcli.files.formats import read_csv, read_yaml

pytestmark = pytest.mark.slow

STORED = "features/efficientnet-lite0-pooled-01234567/train.bc/data/__0.blp"


def test_the_demo_walks_the_path_and_leaves_the_users_own_dataset_alone(
    dl: Dl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make_dataset(home / "data" / "mine", train=4, valid=0)
    there = sorted(mine.rglob("*"))
    monkeypatch.chdir(mine)
    monkeypatch.setenv("DL_DATASET", "mine")
    (mine / "dl.yaml").write_text("dataset: mine\nimage_size: 32\n")
    said = ok(dl("demo"))
    assert sorted(mine.rglob("*")) == sorted([*there, mine / "dl.yaml"])
    assert not (home / "runs" / "mine").exists()
    for command in ("data organize", "data split", "features", "train", "evaluate", "submit"):
        assert f"\n$ dl {command}" in said.stderr
    (run,) = (home / "runs" / "digits-demo").iterdir()
    assert read_yaml(run / "metrics.yaml")["accuracy"] >= 0.9
    header, *rows = read_csv(run / "submission.csv")
    assert header == ["id", *map(str, range(10))]
    assert len(rows) == 797
    assert str(Path("~/runs/digits-demo", run.name, "report.html")) in said.stdout


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(DlError, match="not all of it was made by `dl demo`"):
        write_digits(tmp_path)
    assert (tmp_path / "photo.jpg").exists()


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three labelled digits and a test image; the demo then makes few changes.

    scikit-learn itself stays away: what is forked later would copy its memory, too.
    """
    digits = SimpleNamespace(images=np.zeros((4, 8, 8)), target=np.arange(4))
    datasets = SimpleNamespace(load_digits=lambda: digits)
    monkeypatch.setitem(sys.modules, "sklearn", SimpleNamespace(datasets=datasets))
    monkeypatch.setitem(sys.modules, "sklearn.datasets", datasets)
    monkeypatch.setattr(demo, "LABELLED", 3)


@pytest.mark.forks
def test_killed_at_any_change_the_next_demo_is_whole(tmp_path: Path, few_digits: None) -> None:
    root = tmp_path / "digits"
    write_digits(root)
    whole = tree(root, hidden=True)
    for number in range(1, 200):
        make(root, STORED)
        killed = killed_before_change(number, partial(write_digits, root))
        write_digits(root)
        assert tree(root, hidden=True) == whole
        if not killed:
            break
    assert number > 20


@pytest.mark.forks
def test_what_an_earlier_version_left_after_a_kill_is_replaced(
    tmp_path: Path, few_digits: None
) -> None:
    """It removed the old demo in place, then wrote the new one in place, its marker in between."""
    root = tmp_path / "digits"
    write_digits(root)
    whole = tree(root, hidden=True)
    for number in range(1, 50):
        (root / MARKER).unlink()
        killed = killed_before_change(number, partial(shutil.rmtree, root))
        write_digits(root)
        assert tree(root, hidden=True) == whole
        if not killed:
            break
    assert number > 5


OTHERS = [
    *("train/7/mine.jpg", "7.123.jpg", "mine/1.png", "notes.txt", ".dl-notes", "valid/7/a.txt"),
    *("features/notes.txt", "features/pooled-01234567/a.txt", "features/mine/train.csv"),
    *(".dl/notes.txt", "train/7.99999.png", "train/mine/0.1.png", "valid/2.1.png"),
]


@pytest.mark.parametrize("has_marker", [True, False])
@pytest.mark.parametrize("photo", OTHERS)
def test_a_folder_with_other_files_is_left_alone_though_it_has_digits(
    tmp_path: Path, few_digits: None, photo: str, has_marker: bool
) -> None:
    root = tmp_path / "digits"
    write_digits(root)
    if not has_marker:
        (root / MARKER).unlink()
    make(root, photo)
    before = tree(root, hidden=True)
    with pytest.raises(DlError, match="not all of it was made by `dl demo`") as caught:
        write_digits(root)
    named = caught.value.why.removeprefix("it has ")
    assert named in (photo, str(Path(photo).parent), photo.partition("/")[0])
    assert tree(root, hidden=True) == before


def test_an_image_that_was_drawn_over_is_left_alone(tmp_path: Path, few_digits: None) -> None:
    write_digits(tmp_path)
    (tmp_path / "train/0.1.png").write_bytes(b"mine")
    with pytest.raises(DlError, match=r"it has train/0\.1\.png"):
        write_digits(tmp_path)


def test_a_demo_that_was_looked_at_or_copied_without_its_times_is_replaced(
    tmp_path: Path, few_digits: None
) -> None:
    write_digits(tmp_path / "made")
    shutil.copytree(tmp_path / "made", tmp_path / "copy", copy_function=shutil.copyfile)
    whole = tree(tmp_path / "made", hidden=True)
    make(tmp_path / "copy", "train/.DS_Store", "Thumbs.db", ".dl/lock", ".dl/.DS_Store", STORED)
    write_digits(tmp_path / "copy")
    assert tree(tmp_path / "copy", hidden=True) == whole


@pytest.mark.parametrize("name", ["train", "features", "train/7.9.png", "valid/7"])
def test_a_folder_with_a_link_is_left_alone(tmp_path: Path, few_digits: None, name: str) -> None:
    root = tmp_path / "digits"
    write_digits(root)
    mine = make(tmp_path / "mine", "7.1.png")
    if (root / name).exists():
        shutil.rmtree(root / name)
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).symlink_to(mine)
    with pytest.raises(DlError, match=f"it has {name}"):
        write_digits(root)
    assert (root / name).is_symlink()
    assert (mine / "7.1.png").exists()


def test_a_link_to_another_disk_stays(tmp_path: Path, few_digits: None) -> None:
    (tmp_path / "digits").symlink_to(tmp_path / "elsewhere")
    for _ in range(2):
        write_digits(tmp_path / "digits")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["digits", "elsewhere"]
        assert (tmp_path / "digits").is_symlink()
        assert (tmp_path / "elsewhere" / MARKER).is_file()


def test_a_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "digits").write_text("mine")
    with pytest.raises(DlError, match="not all of it was made by `dl demo`"):
        write_digits(tmp_path / "digits")
    assert (tmp_path / "digits").read_text() == "mine"


def test_a_second_demo_finds_the_same_images(tmp_path: Path) -> None:
    root = tmp_path / "digits"
    write_digits(root)
    first = {p.name: (p.read_bytes(), p.stat().st_mtime) for p in root.rglob("*.png")}
    write_digits(root)
    assert {p.name: (p.read_bytes(), p.stat().st_mtime) for p in root.rglob("*.png")} == first
    assert len(first) == 1797

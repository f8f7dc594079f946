"""A store in a dataset that is somebody else's: links in it, and files that `dl` did not make."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.command_result import Dl, ok, refused
from support.dot_images import TINY, TinyEngine, check, compute, paint

from dlcli.data.photos.photos import open_photos
from dlcli.features.compute import features_ready
from dlcli.features.store import (
    remove_features,
    remove_with_features,
    store_folder,
    stored_features,
)
from dlcli.files.own import NotOwnError


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def theirs(home: Path) -> Path:
    """Files that no command may change."""
    folder = home / "theirs"
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "1.jpg").write_text("a photo")
    (folder / "manifest.yaml").write_text("precious")
    return folder


def touched(root: Path) -> None:
    """Let the features of the training images be out of date."""
    for path in (root / "train").rglob("*.bmp"):
        os.utime(path, (1, 1))


def test_a_store_that_is_a_link_is_refused(root: Path, engine: TinyEngine, theirs: Path) -> None:
    folder, before = store_folder(open_photos(root), TINY), contents(theirs)
    folder.parent.mkdir()
    folder.symlink_to(theirs)
    for act in (compute, lambda root: remove_features(folder)):
        with pytest.raises(NotOwnError, match=f"{folder.name} is a link to ~/theirs"):
            act(root)
    assert contents(theirs) == before


@pytest.mark.parametrize(
    "name", ["train.csv", "train.log", "train.done", "train.bc", "train.bc/data/__0.blp", "before"]
)
def test_a_link_in_a_store_is_refused(
    root: Path, engine: TinyEngine, theirs: Path, name: str
) -> None:
    folder = compute(root)
    place, target = folder / name, theirs / "link"
    if place.exists():
        place.rename(target)
    else:
        target.mkdir()
    place.symlink_to(target)
    before = contents(theirs)
    if name in ("train.csv", "train.done") or name.startswith("train.bc"):
        assert not features_ready(folder, open_photos(root), "train"), "it is damaged"
    touched(root)
    with pytest.raises(NotOwnError, match=f"{name} is a link to"):
        compute(root)
    assert contents(theirs) == before


def test_a_pipe_in_a_store_hangs_nobody(root: Path, engine: TinyEngine) -> None:
    folder = compute(root)
    (folder / "train.done").unlink()
    os.mkfifo(folder / "train.done")
    assert not features_ready(folder, open_photos(root), "train")
    with pytest.raises(NotOwnError, match="is a named pipe"):
        compute(root)


def test_features_behind_a_link_are_read_and_new_ones_go_to_the_cache(
    root: Path, engine: TinyEngine, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    compute(root)
    (root / "features").rename(home / "big-disk")
    (root / "features").symlink_to(home / "big-disk")
    before, seen = contents(home / "big-disk"), engine.seen
    assert compute(root).is_relative_to(root)
    check(root)
    assert engine.seen == seen
    paint(root / "test" / "9.bmp", 999)
    made = compute(root)
    assert not made.is_relative_to(root)
    check(root)
    assert engine.seen == seen + 1, "rows are taken from there"
    assert "~/data/dots/features is a link: features go to " in capfd.readouterr().err
    with pytest.raises(NotOwnError, match="features is a link to"):
        remove_features(root / "features" / made.name)
    assert contents(home / "big-disk") == before


def test_a_store_of_an_unknown_function_is_emptied_of_its_own_files_alone(
    root: Path, engine: TinyEngine
) -> None:
    folder = compute(root)
    (folder / "manifest.yaml").write_text("damaged")
    (folder / "notes.txt").write_text("mine")
    (folder / "photos").mkdir()
    (folder / "photos" / "train.csv").write_text("mine")
    compute(root)
    check(root)
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "photos" / "train.csv").read_text() == "mine"


def test_files_of_others_among_the_rows_are_named(root: Path, engine: TinyEngine) -> None:
    folder = compute(root)
    for name in (".DS_Store", "notes.txt"):
        (folder / "train.bc" / name).write_text("mine")
    touched(root)
    with pytest.raises(NotOwnError, match=r"train\.bc/notes\.txt is not a file of `dl`"):
        compute(root)
    (folder / "train.bc" / "notes.txt").unlink()
    compute(root)
    check(root)


@pytest.mark.parametrize("name", ["notes.txt", "train.bc/notes.txt", "train.bc/mine/__0.blp"])
def test_files_of_others_stay_when_a_store_is_removed(
    root: Path, engine: TinyEngine, name: str
) -> None:
    folder = compute(root)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    (left,) = remove_features(folder)
    assert (folder / name).is_relative_to(left)
    assert list(contents(folder)) == [name]
    assert stored_features(root) == []


def test_a_folder_of_features_with_files_of_others_stays(root: Path, engine: TinyEngine) -> None:
    folder = compute(root)
    for split in ("train", "valid", "test"):
        shutil.rmtree(root / split)
    (folder / "notes.txt").write_text("mine")
    assert remove_with_features(root) == 0
    (folder / "notes.txt").unlink()
    assert remove_with_features(root) > 0
    assert not root.exists()


def test_what_stays_is_said(dl: Dl, root: Path, engine: TinyEngine) -> None:
    folder = compute(root)
    (folder / "notes.txt").write_text("mine")
    said = ok(dl("features", "rm", "--all", "--yes", "-d", root))
    assert f"features/{folder.name}/notes.txt stays: `dl` did not make it." in said.stderr


def test_features_behind_a_link_hinder_the_removal_of_no_others(
    dl: Dl, root: Path, engine: TinyEngine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute(root)
    (root / "features").rename(home / "big disk")
    (root / "features").symlink_to(home / "big disk")
    paint(root / "test" / "9.bmp", 999)
    made = compute(root)
    before = contents(home / "big disk")
    asked: list[str] = []
    monkeypatch.setattr("click.confirm", lambda text, **_: asked.append(text) or True)
    said = refused(
        dl("features", "rm", "--all", "-d", root),
        f"~/data/dots/features/{made.name} stays: ~/data/dots/features is a link to ~/big disk",
    )
    assert f"Removed {made.name}" in said.stderr
    assert len(asked) == 1
    assert made.name in asked[0]
    assert f"`rm -r '{home / 'big disk' / made.name}'`" in said.stderr
    assert not made.exists()
    assert contents(home / "big disk") == before

"""Folders as they are found: images, hidden files, names of splits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dlcli.data.photos import folders
from dlcli.data.photos.folders import read_folder, split_named, walk
from dlcli.errors import DlError


def test_a_folder_is_listed_sorted_without_hidden_entries(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.png", ".hidden.jpg", "._a.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "cat").mkdir()
    (tmp_path / ".dl").mkdir()
    (tmp_path / "link.jpg").symlink_to("a.png")
    listing = read_folder(tmp_path)
    assert listing.images == ("a.png", "b.jpg", "link.jpg")
    assert listing.folders == ("cat",)
    assert listing.others == ("notes.txt",)


def test_what_is_no_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DlError, match="No such folder"):
        read_folder(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(DlError, match="is a file"):
        read_folder(tmp_path / "file")


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("train", "train"),
        ("Train", "train"),
        ("val", "valid"),
        ("valid", "valid"),
        ("validation", "valid"),
        ("test", "test"),
        ("test1", "test"),
        ("test_stg1", "test"),
        ("cat", None),
        ("tests", None),
        ("train2", None),
    ],
)
def test_a_downloaded_folder_is_known_by_its_name(folder: str, split: str | None) -> None:
    assert split_named(folder) == split


def test_a_folder_is_walked_with_its_subfolders_and_never_in_a_circle(tmp_path: Path) -> None:
    for name in ("cat/kittens/2019/a.jpg", "cat/b.jpg", "cat/.hidden/c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "cat" / "kittens" / "up").symlink_to("..")
    (tmp_path / "cat" / "kittens" / "self").symlink_to(".")
    found = [(inner, listing.images) for inner, listing in walk(tmp_path / "cat")]
    assert found == [("", ("b.jpg",)), ("kittens", ()), ("kittens/2019", ("a.jpg",))]


@pytest.mark.timeout(20)  # opening the pipe would wait for ever
def test_a_pipe_is_never_an_image_whatever_its_name(tmp_path: Path) -> None:
    for name in ("pipe.jpg", "pipe", "target"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "zeros.jpg").symlink_to("/dev/zero")
    assert read_folder(tmp_path).images == ()
    assert len(read_folder(tmp_path).others) == 5


def test_a_link_to_nothing_or_to_itself_is_listed_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").symlink_to("gone")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    assert read_folder(tmp_path).images == ("broken.jpg", "circle.jpg")


def test_links_that_multiply_folders_are_walked_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MOST_FOLDERS", 100)
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in ("left", "right"):
            (folder / name).symlink_to(f"../{number + 1}")
    (tmp_path / "20").mkdir()
    with pytest.raises(DlError, match=r"more than 100 folders") as error:
        list(walk(tmp_path / "0"))
    assert "link" in error.value.hint


def test_folders_nested_without_end_are_walked_to_a_bound(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(folders.MOST_NESTED + 1):
        deep /= "a"
    deep.mkdir(parents=True)
    with pytest.raises(DlError, match=r"folders in folders, more than 100 deep"):
        list(walk(tmp_path))

"""Folders as they are found: images, hidden files, names of splits."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlcli.data.folders import class_images, is_image, read_folder, split_named
from dlcli.errors import DlError


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.Png", "a.gif", "a.bmp", "a.webp", "a.TIFF"])
def test_an_image_is_known_by_its_suffix_in_any_case(name: str) -> None:
    assert is_image(name)


@pytest.mark.parametrize("name", ["a.txt", "jpg", "a.jpg.zip", "a", "a.csv"])
def test_other_files_are_no_images(name: str) -> None:
    assert not is_image(name)


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


def test_images_that_lie_too_deep_are_not_overlooked(tmp_path: Path) -> None:
    (tmp_path / "cat" / "kittens").mkdir(parents=True)
    (tmp_path / "cat" / "a.jpg").touch()
    assert class_images(tmp_path / "cat") == ("a.jpg",)
    (tmp_path / "cat" / "kittens" / "b.jpg").touch()
    with pytest.raises(DlError, match="kittens lies one folder too deep"):
        class_images(tmp_path / "cat")

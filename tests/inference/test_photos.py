"""Photos from anywhere: which files are meant, and what a run says about them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.pictures import picture

from dlcli.errors import DlError
from dlcli.inference.photos import find_photos


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """a.jpg, notes.txt, sea/b.PNG, sea/deep/c.jpg, and hidden ones beside them."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "sea/b.png", "sea/deep/c.jpg", ".hidden/d.jpg", "sea/._b.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(0, 1).save(path)
    (tmp_path / "sea" / "b.png").rename(tmp_path / "sea" / "b.PNG")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folder_means_all_images_in_it_and_below(album: Path) -> None:
    assert find_photos(["."]) == ["a.jpg", "sea/b.PNG", "sea/deep/c.jpg"]


def test_a_file_is_a_photo_whatever_its_name(album: Path) -> None:
    assert find_photos(["notes.txt", "sea/._b.jpg"]) == ["notes.txt", "sea/._b.jpg"]


def test_each_is_taken_once_as_it_was_first_named(album: Path) -> None:
    assert find_photos(["./a.jpg", "a.jpg", str(album / "a.jpg"), "sea", "sea/deep"]) == [
        "a.jpg",
        "sea/b.PNG",
        "sea/deep/c.jpg",
    ]


def test_names_that_are_not_unicode_are_kept(album: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.jpg")
    (album / "a.jpg").rename(album / odd)
    assert find_photos([odd, "."])[0] == odd


def test_links_to_folders_are_followed_once_and_never_in_circles(album: Path) -> None:
    (album / "sea" / "loop").symlink_to(album)
    (album / "sea" / "again").symlink_to(".")
    assert find_photos(["."]) == ["a.jpg", "sea/b.PNG", "sea/deep/c.jpg"]


def test_a_link_is_a_photo_of_its_own(album: Path) -> None:
    (album / "b.jpg").symlink_to("a.jpg")
    assert find_photos(["a.jpg", "b.jpg"]) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("names", [["sea/none"], ["none.jpg", "sea/none"], [""], ["a.jpg", ""]])
def test_where_nothing_is_there_it_is_named(album: Path, names: list[str]) -> None:
    with pytest.raises(DlError, match="No such photo") as error:
        find_photos(names)
    assert names[-1] in str(error.value)


def test_what_is_not_there_is_kept_among_others_to_be_named_with_what_can_not_be_read(
    album: Path,
) -> None:
    assert find_photos(["a.jpg", "b.jpg", "./b.jpg"]) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(("named", "where"), [(["empty"], "empty"), ([], "the list")])
def test_nothing_found_is_an_error(album: Path, named: list[str], where: str) -> None:
    (album / "empty").mkdir()
    with pytest.raises(DlError, match=f"No photos in {where}"):
        find_photos(named)

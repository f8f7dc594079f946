"""Files that are not images: counted and said, and never a class that vanishes."""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import ZipFile

import pytest
from support.command_result import Dl, ok, refused
from support.pictures import make_pictures, picture
from support.small_folders import make

from dlcli.data.photos.organize.organize import to_organize
from dlcli.data.photos.photos import open_photos
from dlcli.inference.photos import find_photos


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Cats as usual; dogs as .jfif, .jpe, .avif, .ppm and without a suffix, and other files."""
    make_pictures(tmp_path / "odd", ("cat",), 5)
    dogs = tmp_path / "odd" / "dog"
    dogs.mkdir()
    for name, kind in (("a.jfif", "JPEG"), ("b.JPE", "JPEG"), ("c.avif", "AVIF"), ("d.ppm", "PPM")):
        picture(1, 1).save(dogs / name, format=kind)
    picture(1, 2).save(dogs / "noext", format="PNG")
    (dogs / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    (dogs / "notes.txt").write_text("Rex, 2019")
    return tmp_path / "odd"


SAID = "2 files are not images and were left out: 1 .mp4 (video), 1 .txt (text).\n"


def test_images_of_every_suffix_are_taken_and_the_rest_is_counted(
    dl: Dl, odd: Path, tmp_path: Path
) -> None:
    made = tmp_path / "pets"
    assert SAID in ok(dl("data", "organize", odd, made, "--dry-run")).stderr
    assert SAID in ok(dl("data", "organize", odd, made)).stderr
    assert len(open_photos(made).splits["train"]) == 10
    assert "left out" not in ok(dl("data", "ls", made)).stderr
    for name in ("clip.mp4", "notes.txt"):
        (odd / "dog" / name).rename(made / "train" / "dog" / name)
    assert SAID in ok(dl("data", "ls", made)).stderr
    assert json.loads(ok(dl("data", "ls", made, "--json")).stdout)["train"] == 10
    assert SAID in ok(dl("data", "split", made)).stderr


def test_in_an_archive_too_and_its_dry_run_says_the_same(odd: Path, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "odd.zip", "w") as archive:
        for file in odd.rglob("*"):
            archive.write(file, file.relative_to(odd))
    planned = to_organize(tmp_path / "odd.zip", tmp_path / "pets")
    assert planned is not None
    assert len(planned.moves) == 10
    assert SAID.strip() in planned.details["notes"]


def test_a_class_left_empty_is_an_error(dl: Dl, tmp_path: Path) -> None:
    source = make(tmp_path / "pets", "cat/1.jpg", "dog/1.jpg", "docs/readme.txt")
    (source / "fox").mkdir()
    for number in range(3):
        (source / "fox" / f"{number}.bin").write_bytes(b"\0\1\2")
    what = f"Class `fox` has no image in {source}/fox: 3 files are not images and were left out"
    refused(dl("data", "organize", source, tmp_path / "made"), what)
    assert not (tmp_path / "made").exists()
    for split in ("train", "valid"):
        root = make(tmp_path / split, "train/cat/1.jpg", "train/cat/2.jpg", "train/dog/1.jpg")
        (source / "fox").rename(make(root, f"{split}/notes.txt") / split / "fox")
        assert "3 .bin" in ok(dl("data", "ls", root)).stderr
        (root / split / "fox" / "0.nef").touch()
        for command in ("split", "ls"):
            refused(dl("data", command, root), "Class `fox` has no image in")
        (root / split / "fox" / "0.nef").unlink()
        (root / split / "fox").rename(source / "fox")


def test_images_of_an_older_dataset_that_lie_too_deep_are_said(dl: Dl, tmp_path: Path) -> None:
    root = make(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "train/dog/a/b/1.jpg")
    said = ok(dl("data", "ls", root)).stderr
    assert f"Warning: left out: 1 image of {root} lies too deep" in said
    assert "  train/dog/a/b/: 1 image\n" in said


def test_a_folder_of_text_is_not_a_class(dl: Dl, tmp_path: Path) -> None:
    source = make(tmp_path / "pets", "cat/1.jpg", "dog/1.jpg", "notes/1.xml", "notes/2.xml")
    said = ok(dl("data", "organize", source, tmp_path / "made")).stderr
    assert "2 files are not images and were left out: 2 .xml (text).\n" in said


def test_photos_to_predict_are_told_from_other_files(
    odd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(find_photos([str(odd)])) == 10
    assert capsys.readouterr().err == SAID
    assert len(find_photos([str(odd), str(odd / "dog" / "clip.mp4")])) == 11, "named is wanted"
    assert "1 .txt" in capsys.readouterr().err

"""`dl data organize` of archives and CSVs as it is typed: what it says, and what it doesn't do."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from pathlib import Path

import pytest
from support.archives import encrypted, packed, tarred, zipped
from support.command_result import Dl, ok, refused
from support.small_folders import KAGGLE, make, plant, tree

from dlcli.data.photos.photos import open_photos

ROWS = b"".join(b"%da,b%d,k%d\n" % (i, i % 2, i % 3) for i in range(6))
DOGS = {
    **{f"train/{i}a.jpg": b"%d" % i for i in range(6)},
    "test/6a.jpg": b"6",
    "labels.csv": b"id,race,kind\n" + ROWS,
}
COUNTS = "train        4 images\nvalid        0 images\ntest         1 images\n"


def test_a_zip_becomes_a_dataset_of_its_name_and_back(dl: Dl, home: Path) -> None:
    archive = zipped(home / "Downloads" / "pets.zip", {f"pets/{k}": v for k, v in KAGGLE.items()})
    result = ok(dl("data", "organize", "Downloads/pets.zip"))
    assert result.stdout == COUNTS
    assert result.stderr == (
        "Used the contents of pets/, the outer folder.\n"
        "Unpacked 6 files.\n"
        "The dataset is in ~/data/pets; next: `dl data split`\n"
    )
    assert "~/data/pets is organised already.\n" in ok(dl("data", "organize", archive)).stderr
    undone = ok(dl("data", "undo")).stderr
    (folder,) = (home / "data").iterdir()
    assert undone == (
        "Dataset ~/data/pets (last named)\n"
        f"Took back `organize`: moved 6 files back to ~/data/{folder.name}, which you can remove: "
        "~/Downloads/pets.zip has them too. To do it again: "
        "`dl data organize ~/Downloads/pets.zip ~/data/pets`\n"
    )
    assert "Unpacked 6 files." in ok(dl("data", "organize", archive)).stderr
    assert [path.name for path in (home / "data").iterdir()] == ["pets"]


@pytest.mark.parametrize("name", ["pets.tar", "pets.tar.gz", "pets.tar.xz", "pets.ZIP"])
def test_the_name_is_without_the_suffix(dl: Dl, home: Path, name: str) -> None:
    files = {k: v for k, v in KAGGLE.items() if k != "test1/1.jpg"}
    archive = packed(home / name.lower(), files).rename(home / name)
    ok(dl("data", "organize", archive))
    assert (home / "data" / "pets" / "train" / "cat" / "cat.0.jpg").read_bytes() == b"cat 0"


def test_an_archive_that_was_removed_since_has_nothing_any_more(dl: Dl, home: Path) -> None:
    archive = zipped(home / "pets.zip", KAGGLE)
    ok(dl("data", "organize", archive))
    archive.unlink()
    plan = ok(dl("data", "undo", "--dry-run")).stdout
    assert plan.startswith("Would move 6 files, ~/data/pets to ~/data/.pets-")
    undone = ok(dl("data", "undo")).stderr
    (folder,) = (home / "data").iterdir()
    assert "can be removed" not in undone
    assert f"`dl data organize ~/data/{folder.name} ~/data/pets --move`" in undone
    ok(dl("data", "organize", folder, "pets", "--move"))
    assert len(tree(home / "data" / "pets")) == 6


def test_a_dry_run_of_an_archive_prints_the_plan_and_notes_and_leaves_nothing(
    dl: Dl, home: Path
) -> None:
    archive = tarred(home / "dogs.tgz", DOGS)
    before = tree(home, hidden=True)
    words = ("data", "organize", archive, "--dry-run", "--label-column", "kind")
    result = ok(dl(*words))
    assert result.stdout.startswith("Would unpack 8 files, ~/dogs.tgz to ~/data/dogs:")
    assert "Labels: column `kind` of labels.csv, matched to images by `id`.\n" in result.stderr
    plan = json.loads(ok(dl(*words, "--json")).stdout)
    assert (plan["do"], plan["from"], plan["files"]) == ("unpack", str(archive), 8)
    assert tree(home, hidden=True) == before


def test_columns_that_are_named_are_named_again_after_undo(dl: Dl, home: Path) -> None:
    source = plant(home / "dogs src", DOGS)
    error = refused(
        dl("data", "organize", source), "Can't tell which column of ~/dogs src/labels.csv", "`kind`"
    )
    assert "`--label-column NAME`" in error.stderr
    named = ("--labels", "labels.csv", "--id-column", "id", "--label-column", "kind")
    result = ok(dl("data", "organize", source, "dogs", *named))
    assert "Labels: column `kind` of labels.csv, matched to images by `id`.\n" in result.stderr
    undone = ok(dl("data", "undo")).stderr
    assert f"dogs src' ~/data/dogs {' '.join(named)}`" in undone


def test_a_dataset_with_an_archive_in_it_is_organised_already_and_the_archive_is_named(
    dl: Dl, home: Path
) -> None:
    source = plant(home / "pets", {"train/cat/1.jpg": b"1", "train/dog/2.jpg": b"2"})
    zipped(source / "test.zip", {"3.jpg": b"3"})
    said = ok(dl("data", "organize", source, "./pets")).stderr
    assert "~/pets is organised already.\n" in said
    assert "Left packed: test.zip. First unpack" in said


def test_pixels_are_drawn_and_it_is_said(dl: Dl, home: Path) -> None:
    header = "label," + ",".join(f"pixel{i}" for i in range(4))
    rows = "".join(f"{i % 2},0,0,255,255\n" for i in range(4))
    plant(home / "digits", {"train.csv": f"{header}\n{rows}".encode()})
    result = ok(dl("data", "organize", "digits"))
    assert (
        "Drew 4 images of 2x2 from train.csv, named by row number.\nMade 4 files." in result.stderr
    )
    plan = ok(dl("data", "organize", "digits", "other", "--dry-run")).stdout
    assert plan.startswith("Would make 4 files, ~/digits to ~/data/other:")


def test_an_archive_without_classes_is_to_be_sorted_in_a_folder_of_its_name(
    dl: Dl, home: Path
) -> None:
    for name, inside in (("none.zip", "a.txt"), ("flat.tar.gz", "1.jpg")):
        packed(home / "Downloads" / name, {inside: b""})
        folder = f"~/Downloads/{name.partition('.')[0]}"
        refused(
            dl("data", "organize", f"Downloads/{name}"),
            f"Unpack it by hand, put the images of each class into {folder}/train/<class>/, then "
            f"`dl data organize {folder}`.",
        )


def test_what_can_not_be_unpacked_is_said_and_leaves_nothing(dl: Dl, home: Path) -> None:
    encrypted(home / "locked.zip")
    zipped(home / "evil.zip", {**KAGGLE, "../evil.jpg": b"evil"})
    zipped(home / "cut.zip", KAGGLE)
    with (home / "cut.zip").open("rb+") as file:
        file.truncate(300)
    plant(
        home, {"page.zip": b"<!DOCTYPE html>", "other.7z": b"7z\xbc\xaf\x27\x1c", "a.rar": b"Rar!"}
    )
    before = tree(home, hidden=True)
    for name, says in (
        ("locked.zip", "is encrypted and needs a password"),
        ("evil.zip", "`../evil.jpg` in it would be outside its folder"),
        ("cut.zip", "~/cut.zip is damaged: its end is missing"),
        ("page.zip", "it is a web page, perhaps because the download needs a login"),
        ("other.7z", "Unpack it, `7z x ~/other.7z -o~/other`, then name its folder"),
        ("a.rar", "Unpack it, `unrar x ~/a.rar ~/a/`, then name its folder"),
    ):
        refused(dl("data", "organize", name), says)
        refused(dl("data", "organize", name, "--dry-run"), says)
    refused(dl("data", "organize", "cut.zip", "--move"), "moves the files of a folder", exit_code=2)
    assert tree(home, hidden=True) == before
    assert not (home / "data").exists()


def test_look_alikes_are_said_with_what_joins_them(dl: Dl, tmp_path: Path) -> None:
    source = make(
        tmp_path / "my pets",
        *("Cat/1.jpg", *(f"cat/{i}.jpg" for i in range(2, 8)), "dog/9.jpg"),
    )
    made = tmp_path / "the pets"
    said = ok(dl("data", "organize", source, made)).stderr
    assert "Warning: the classes 'Cat' and 'cat' differ only in case, spaces or Uni" in said
    for work in ("ls", "split", "sample"):
        assert ok(dl("data", work, made)).stderr.count("'Cat' and 'cat'") == 1, work
    command = ok(dl("data", "ls", made)).stderr.partition("To join them: `")[2].partition("`")[0]
    subprocess.run(command, shell=True, check=True)
    assert open_photos(made).classes == ("cat", "dog")
    assert {split: len(paths) for split, paths in open_photos(made).splits.items()} == {
        "train": 6,
        "valid": 2,
        "test": 0,
    }
    assert "differ only" not in ok(dl("data", "ls", made)).stderr


# Cdiscount's documents hold images; how many, and what else, is not looked at.
DOCUMENT = struct.pack("<i", 22) + b"\x05picture\0" + struct.pack("<i", 3) + b"\0\xff\xd8\xff\0"
RECORD = struct.pack("<Q", 5) + b"crc_" + b"bytes" + b"crc_"


@pytest.mark.parametrize(
    ("files", "has"),
    [
        ({f"t/{i}.tfrec": b"\x10\0\0" for i in range(3)}, "3 TFRecord files"),
        ({"train.bson": b"\x10\0\0"}, "1 BSON file"),
        ({"t/a.tfrec": RECORD * 3, "t/b.tfrec": RECORD}, "2 TFRecord files with 4 records"),
        ({"train.bson": DOCUMENT * 20}, "1 BSON file with 20 documents"),
        ({"cut.bson": DOCUMENT * 2 + DOCUMENT[:-1]}, "1 BSON file with 2 documents"),
        ({"zeros.bson": DOCUMENT + bytes(99)}, "1 BSON file with 1 document"),
        ({"a/1.dcm": b"", "a/2": bytes(128) + b"DICM"}, "2 DICOM files"),
        ({"train.json": b'{"images": [{"url": ["http://a/1"]}, {"url": "https://b"}]}'}, "2 URLs"),
    ],
)
def test_data_that_is_not_image_files_is_named_with_its_number(
    dl: Dl, tmp_path: Path, files: dict[str, bytes], has: str
) -> None:
    source = plant(tmp_path / "src", files | {"train.csv": b"id,label\n1,a\n"})
    refused(dl("data", "organize", source, tmp_path / "new"), "No training images in", has)


@pytest.mark.parametrize(
    ("files", "has"),
    [
        ({"a.bson": DOCUMENT * 3, "b.bson": DOCUMENT}, "2 BSON files with 4 documents"),
        ({f"{i}.bson": DOCUMENT * 2 for i in range(3)}, "3 BSON files with more than 4 documents"),
        (
            {"a.json": b'"http://a" ' * 3, "b.json": b'"https://b" ' * 2},
            "JSON with more than 4 URLs",
        ),
    ],
)
def test_data_is_counted_up_to_one_limit_for_all_files(
    dl: Dl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes], has: str
) -> None:
    monkeypatch.setattr("dlcli.data.photos.organize.records.MOST_COUNTED", 4)
    source = plant(tmp_path / "src", files)
    refused(dl("data", "organize", source, tmp_path / "new"), f"it has {has}\n")


@pytest.mark.parametrize("name", ["urls.json", "train.bson"])
def test_a_pipe_named_like_data_is_not_opened(dl: Dl, tmp_path: Path, name: str) -> None:
    source = plant(tmp_path / "src", {"train.csv": b"id,label\n1,a\n"})
    os.mkfifo(source / name)
    refused(dl("data", "organize", source, tmp_path / "new"), f"{name} is a named pipe")

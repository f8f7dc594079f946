"""Columns that hold something else than one class per image, and names in other spellings."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.command_result import Dl, ok, refused
from support.labelled_images import labels_of, names, planned
from support.small_folders import make, plant

from dlcli.data.dataset import open_dataset
from dlcli.data.look_alikes import look_alikes
from dlcli.data.organize.labels import Naming
from dlcli.data.organize.plan import plan_organize
from dlcli.errors import DlError
from dlcli.inference.predictions import Predictions, read_predictions, write_predictions

SIX = names(*"abcdef")


def table(header: str, *cells: object) -> dict[str, str]:
    rows = "".join(f"{name},{cell}\n" for name, cell in zip("abcdef", cells, strict=True))
    return {"labels.csv": f"{header}\n{rows}"}


PLANET = (
    *("clear primary", "partly_cloudy primary water", "haze primary"),
    *("cloudy", "clear agriculture primary road", "clear primary"),
)


@pytest.mark.parametrize(
    ("csv", "says"),
    [
        (table("id,tags", *PLANET), "Column `tags` .* several tags per image.*`clear agriculture"),
        (table("id,labels", "a|b", "a", "b", "a|b", "a", "b"), "several tags per image.*`a|b`"),
        (table("id,label", "x y", "x", "y", "x y z", "z", "x z"), "several tags per image"),
        (table("id,age", 31.5, 20.0, 33.1, 20.0, 31.5, 20.0), r"`age` .* continuous.*as 31\.5"),
        (table("id,label", 31, 20, 33, 21, 9, 14), "holds continuous numbers"),
        (table("id,p,q", "1,0", "1,1", "0,1", "1,0", "0,0", "1,0"), "no class, or several"),
    ],
)
def test_what_is_not_one_class_per_image_is_named(
    tmp_path: Path, csv: dict[str, str], says: str
) -> None:
    with pytest.raises(DlError) as caught:
        planned(tmp_path, SIX, csv)
    text = str(caught.value).replace("\n", " ")
    assert re.search(says, text), text
    assert "`dl` learns" in caught.value.hint


def test_few_whole_numbers_are_classes(tmp_path: Path) -> None:
    plan = planned(tmp_path / "1", SIX, table("id,level", 0, 1, 2, 3, 0, 1))
    assert labels_of(plan)["d.jpg"] == "3"
    with pytest.raises(DlError) as caught:
        planned(tmp_path / "2", SIX, table("id,age", 31, 20, 33, 21, 9, 14))
    assert "`--label-column age`" in caught.value.hint


def test_a_column_that_is_named_is_taken_as_classes(tmp_path: Path) -> None:
    plan = planned(tmp_path / "1", SIX, table("id,tags", *PLANET), Naming(label_column="tags"))
    assert labels_of(plan)["a.jpg"] == "clear primary"
    ages = table("id,age", 31.5, 20.0, 33.1, 20.0, 31.5, 20.0)
    plan = planned(tmp_path / "2", SIX, ages, Naming(label_column="age"))
    assert labels_of(plan)["c.jpg"] == "33.1"


@pytest.mark.parametrize(
    "cells",
    [
        ("golden retriever", "labrador retriever", "flat coated retriever", "boxer", "pug", "pug"),
        ("cat, big", "dog", "cat, big", "dog", "dog", "dog"),
        ("0.0", "1.0", "1.0", "0.0", "1.0", "0.0"),
        ("pug", "chow", "boxer", "beagle", "vizsla", "husky"),
    ],
)
def test_names_of_several_words_and_many_classes_are_classes(
    tmp_path: Path, cells: tuple[str, ...]
) -> None:
    plan = planned(tmp_path, SIX, {"labels.csv": "id,label\n" + "".join(
        f'{name},"{cell}"\n' for name, cell in zip("abcdef", cells, strict=True)
    )})  # fmt: skip
    assert set(labels_of(plan).values()) == set(cells)


def test_grades_are_classes_and_it_is_said_in_numeric_order(tmp_path: Path) -> None:
    plan = planned(tmp_path, SIX, table("id,diagnosis", 10, 2, 0, 2, 10, 0))
    assert set(labels_of(plan).values()) == {"0", "2", "10"}
    assert plan.notes[-1] == (
        "The 3 classes are numbers, 0, 2, 10: `dl` learns each as a class, without their order."
    )


def test_a_csv_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    rows = table("id,label", *["größe"] * 3, *["dog"] * 3)["labels.csv"].encode("latin-1")
    source = plant(tmp_path / "src", dict.fromkeys(SIX, b"") | {"labels.csv": rows})
    with pytest.raises(DlError, match=r"labels\.csv can't be used") as caught:
        plan_organize(source, tmp_path / "new")
    assert caught.value.why == "line 2 is not UTF-8"
    assert "`iconv -f LATIN1 -t UTF-8`" in caught.value.hint


@pytest.mark.parametrize("stored", ["cafe\u0301", "caf\u00e9"])
@pytest.mark.parametrize("written", ["cafe\u0301", "caf\u00e9"])
def test_names_match_in_every_unicode_form(tmp_path: Path, stored: str, written: str) -> None:
    images = names(f"{stored}1", f"{stored}2")
    plan = planned(tmp_path, images, {"labels.csv": f"id,label\n{written}1,a\n{written}2,b\n"})
    assert labels_of(plan) == {f"{stored}1.jpg": "a", f"{stored}2.jpg": "b"}


def test_classes_that_look_alike() -> None:
    same = ("Cat", "cat", "cat\u00a0", "c\u200bat", "\uff43at")
    forms = ("cafe\u0301", "caf\u00e9")
    assert look_alikes([*same, *forms, "dog", "cats", "c at"]) == [
        tuple(sorted(same)),
        tuple(sorted(forms)),
    ]


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
    assert open_dataset(made).classes == ("cat", "dog")
    assert {split: len(paths) for split, paths in open_dataset(made).splits.items()} == {
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


@pytest.mark.parametrize("name", ["urls.json", "train.bson"])
def test_a_pipe_named_like_data_is_not_opened(dl: Dl, tmp_path: Path, name: str) -> None:
    source = plant(tmp_path / "src", {"train.csv": b"id,label\n1,a\n"})
    os.mkfifo(source / name)
    refused(dl("data", "organize", source, tmp_path / "new"), "No training images in")


def test_many_classes_of_one_image_are_said_in_one_line(dl: Dl, tmp_path: Path) -> None:
    root = make(
        tmp_path / "pets",
        *(f"train/c{i:03}/1.jpg" for i in range(300)),
        *(f"train/cat/{i}.jpg" for i in range(9)),
    )
    said = ok(dl("data", "split", root, "--valid", 2)).stderr
    assert said.count("single image") == 1
    assert "300 classes, such as `c000`, have a single image each." in said


def test_classes_called_like_columns_are_not_doubled(tmp_path: Path) -> None:
    classes = ("path", "path_", "true_class", "accuracy", "id", "class")
    made = Predictions(("a.jpg",), classes, np.full((1, 6), 1 / 6), ("path",))
    write_predictions(tmp_path / "p" / "valid.csv", made)
    header = (tmp_path / "p" / "valid.csv").read_text().splitlines()[0].split(",")
    assert len({*header}) == len(header)
    assert read_predictions(tmp_path / "p" / "valid.csv").classes == classes
    old = "path,true_class,cat,path\na.jpg,path,0.5,0.5\n"  # as 0.1.0 wrote it
    (tmp_path / "p" / "valid.csv").write_text(old)
    assert read_predictions(tmp_path / "p" / "valid.csv").classes == ("cat", "path")

"""Which column of a CSV holds the labels, and what is not one class per image."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.labelled_images import labels_of, names, planned

from dlcli.data.photos.organize.labels import Naming
from dlcli.errors import DlError

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


@pytest.mark.parametrize(
    ("header", "rows", "taken"),
    [
        ("id,label", ["1,a", "2,b"], "label"),
        ("has_cactus,id", ["0,1", "1,2"], "has_cactus"),
        ("subject,classname,img", ["p1,a,1.jpg", "p1,b,2.jpg"], "classname"),
        ("id,class_id,class_name", ["1,0,a", "2,1,b"], "class_name"),
        ("id,species,margin", ["1,a,0.25", "2,b,0.5"], "species"),
        ("id,date,kind", ["1,mon,a", "2,tue,a", "3,wed,b", "4,thu,b"], "kind"),
    ],
)
def test_the_column_of_labels_is_told_by_its_name_or_its_values(
    tmp_path: Path, header: str, rows: list[str], taken: str
) -> None:
    text = "\n".join([header, *rows])
    plan = planned(tmp_path, names(*map(str, range(1, len(rows) + 1))), {"a.csv": text})
    assert f"column `{taken}` of a.csv" in plan.notes[0]

"""Labels in a CSV that are not plain or not there: refused, with a way out."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import pytest
from support.labelled_images import labels_of, names, planned
from support.small_folders import plant

from dlcli.data.photos.organize.labels import Naming
from dlcli.data.photos.organize.plan import plan_organize
from dlcli.errors import DlError

A = {"labels.csv": "id,label\n1,a\n2,b\n"}


@pytest.mark.parametrize(
    ("csvs", "naming", "says"),
    [
        ({"labels.csv": "id,label\n1,a\n"}, Naming(), "1 of 2 training images have no row in"),
        ({"labels.csv": "id,label\n1,a\n2,\n"}, Naming(), "1 images have no label .* as train/2"),
        ({"labels.csv": "id,label\n1,a\n2,b\n2,a\n"}, Naming(), "have two labels .* as train/2"),
        ({"labels.csv": "id,label\n1,a\n2,b/c\n"}, Naming(), "`b/c` of train/2.jpg .* can't name"),
        ({"labels.csv": "id,label\n1,a\n2,..\n"}, Naming(), "`..` of train/2.jpg .* can't name"),
        ({"labels.csv": "id,label\n1,a\n2,.b\n"}, Naming(), "begins with a dot is hidden"),
        ({"labels.csv": "id,label\n1,a\n2,a\n"}, Naming(), "would have the same class, `a`"),
        ({"x.csv": "id,p,q\n1,1,a\n2,2,b\n"}, Naming(), "the labels: .* `p`, `q`"),
        ({"x.csv": "id\n1\n2\n"}, Naming(), "holds the labels: it has only ids"),
        ({"x.csv": "id,label,breed\n1,1,a\n2,1,b\n"}, Naming(), "`label`, `breed`"),
        ({"x.csv": "a,b,label\n1,2,x\n2,1,y\n"}, Naming(), "name the images"),
        ({"x.csv": "id,a,b\n1,1,1\n2,0,1\n"}, Naming(), "1 rows of .* have no class, or several"),
        ({**A, "b.csv": "id,label\n1,c\n2,d\n"}, Naming(), "Several CSVs may hold the labels"),
        (A, Naming("labels.cvs"), "No such file: labels.cvs"),
        (A, Naming("labels.csv", "di"), "labels.csv has no column `di`"),
        (A, Naming("labels.csv", "label"), "Column `label` of .* does not name images"),
        (A, Naming(label_column="breed"), "No CSV has a column `breed`.*\nKnown: id, label"),
        (A, Naming(label_column="labels"), "column `labels`.*\nDid you mean `label`"),
        (A, Naming(label_column="zzz", id_column="id"), "No CSV has a column `zzz`: .*labels.csv"),
        (
            {"x.csv": "id,label\n8,a\n9,b\n"},
            Naming(label_column="label"),
            "names the images: expected names such as",
        ),
        ({"x.csv": "id;label\n8;a\n9;b\n"}, Naming("x.csv"), "train/1.jpg, found 8\nCorrect"),
        ({"x.csv": "1.jpg,a\n2.jpg,b\n"}, Naming(), "x.csv has no header.*, 1.jpg\nAdd a first"),
        (
            {"x.csv": "id|label\n1|a\n2|b\n"},
            Naming(),
            "as 1.jpg, found 1.a\n.*in x.csv, or name another: `--labels FILE`",
        ),
        ({}, Naming(label_column="label"), "No CSV has a column `label`: there is no CSV"),
    ],
)  # fmt: skip
def test_what_is_not_plain_is_told_with_a_way_out(
    tmp_path: Path, csvs: dict[str, str], naming: Naming, says: str
) -> None:
    with pytest.raises(DlError) as caught:
        planned(tmp_path, names("1", "2"), csvs, naming)
    text = str(caught.value).replace(str(tmp_path / "src") + "/", "")
    assert re.search(says, text), text
    assert caught.value.hint


@pytest.mark.parametrize(
    ("csv", "stems"),
    [
        ("image,label\n1,a\n2,b\n", ("1", "2", "image")),
        ("breeds,label\n1,a\n2,b\n", ("1", "2", "3", "breeds")),
        ("cat,label\ncat.1,a\ncat.2,b\n", ("cat.1", "cat.2", "cat.3")),
    ],
)
def test_a_header_that_an_image_is_called_like_is_one(
    tmp_path: Path, csv: str, stems: tuple[str, ...]
) -> None:
    with pytest.raises(DlError, match="training images have no row"):
        planned(tmp_path, names(*stems), {"labels.csv": csv})


@pytest.mark.parametrize(
    ("csv", "stems"),
    [
        ("1,a\n2,b\n3,a\n", ("1", "2", "3")),
        ("1,a\n2,b\n", ("0001", "0002")),
        ("cat.1,a\ncat.2,b\n", ("cat.1", "cat.2")),
        ("gro\u0308\u00dfe.jpg,a\n2.jpg,b\n", ("gr\u00f6\u00dfe", "2")),
    ],
)
def test_a_csv_without_a_header_is_told(tmp_path: Path, csv: str, stems: tuple[str, ...]) -> None:
    with pytest.raises(DlError, match=r"labels\.csv has no header"):
        planned(tmp_path, names(*stems), {"labels.csv": csv})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"\n\n", "it is empty"),
        (b"\xef\xbb\xbf", "it is empty"),
        (b'id,label\n1,"a\n2,b\n', "a quote may be left open: unexpected end of data"),
        ("id,label\n1,a\n2,b\n".encode("utf-16"), "it is UTF-16, not UTF-8"),
    ],
)
@pytest.mark.parametrize("stems", [("1", "2"), ("img_1", "img_2")])
@pytest.mark.parametrize("naming", [Naming(), Naming("labels.csv"), Naming(label_column="label")])
def test_a_csv_that_can_not_be_used_is_named_and_why(
    tmp_path: Path, content: bytes, why: str, stems: tuple[str, str], naming: Naming
) -> None:
    source = plant(tmp_path, dict.fromkeys(names(*stems), b"") | {"labels.csv": content})
    with pytest.raises(DlError) as caught:
        plan_organize(source, tmp_path / "new", naming)
    assert caught.value.what.endswith("labels.csv can't be used")
    assert why in caught.value.why
    assert caught.value.hint


def test_a_csv_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    rows = "id,label\n1,größe\n2,dog\n".encode("latin-1")
    source = plant(tmp_path, dict.fromkeys(names("1", "2"), b"") | {"labels.csv": rows})
    with pytest.raises(DlError, match=r"labels\.csv can't be used") as caught:
        plan_organize(source, tmp_path / "new")
    assert caught.value.why == "line 2 is not UTF-8"
    assert "`iconv -f LATIN1 -t UTF-8`" in caught.value.hint


def test_a_csv_that_can_not_be_used_is_nobodys_concern_where_classes_are_told(
    tmp_path: Path,
) -> None:
    for number, images in enumerate((names("a/1", "b/2"), names("a.1", "b.2"), names("a/1"))):
        plan = planned(tmp_path / str(number), images, {"notes.csv": ""})
        assert set(labels_of(plan).values()) <= {"a", "b"}


@pytest.mark.parametrize(
    ("columns", "rows", "says"),
    [
        (10_001, 2, "it has 10,001 columns; expected at most 10,000"),
        (9_000, 1_200, "its rows have 10,798,800 cells fewer than its 9,000 columns"),
    ],
)
def test_a_csv_with_far_more_columns_than_cells_is_refused_before_it_takes_memory(
    tmp_path: Path, columns: int, rows: int, says: str
) -> None:
    header = ",".join(f"c{number}" for number in range(columns))
    csv = {"wide.csv": header + "\n1" * rows + "\n"}
    tracemalloc.start()
    try:
        with pytest.raises(DlError, match=says):
            planned(tmp_path / "1", names("1", "2"), csv, Naming("wide.csv"))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 10_000_000
    with pytest.raises(DlError, match=says):  # also where nobody names it
        planned(tmp_path / "2", names("1", "2"), csv)
    csv["labels.csv"] = "id,label\n1,a\n2,b\n"
    assert labels_of(planned(tmp_path / "3", names("1", "2"), csv)) == {"1.jpg": "a", "2.jpg": "b"}


def test_a_short_row_ends_in_empty_cells(tmp_path: Path) -> None:
    csv = {"labels.csv": "id,label,more\n1,a,x\n2,b\n"}
    assert labels_of(planned(tmp_path, names("1", "2"), csv)) == {"1.jpg": "a", "2.jpg": "b"}

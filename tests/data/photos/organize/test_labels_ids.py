"""Which image a row of a CSV is of: told by its name, its path or its number."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.labelled_images import labels_of, names, planned

from dlcli.data.photos.organize.labels import Naming
from dlcli.data.photos.organize.tables import Form
from dlcli.errors import DlError

IDS = [
    (["1", "2"], ["train/1.jpg", "train/2.jpg"]),
    (["1.jpg", "2.jpg"], ["train/1.jpg", "train/2.jpg"]),
    (["train/1.jpg", "train/2.jpg"], ["train/1.jpg", "train/2.jpg"]),
    (["./train/1", "./train/2"], ["train/1.jpg", "train/2.jpg"]),
    (["x.1", "x.2"], ["x.1.jpg", "x.2.jpg"]),
    ([" 1 ", "2"], ["train_images/1.jpg", "train_images/2.jpg"]),
    (["1", "12"], ["train/0001.jpg", "train/0012.jpg"]),
    (["0001", "0012"], ["train/1.jpg", "train/12.jpg"]),
]
IN_FOLDERS = ["a/1.png", "b/1.png"], ["train/a/1.png", "train/b/1.png"]


@pytest.mark.parametrize(
    ("ids", "images", "naming"),
    [
        *((ids, images, Naming()) for ids, images in IDS),
        *((ids, images, Naming("labels.csv")) for ids, images in (*IDS, IN_FOLDERS)),
    ],
)
def test_ids_may_be_names_paths_or_numbers_with_or_without_suffix(
    tmp_path: Path, ids: list[str], images: list[str], naming: Naming
) -> None:
    text = f"file,label\n{ids[0]},cat\n{ids[1]},dog\n"
    plan = planned(tmp_path, images, {"labels.csv": text}, naming)
    labels = [move.target.split("/")[1] for move in plan.moves if move.source in images]
    assert labels == ["cat", "dog"]
    assert plan.notes == ("Labels: column `label` of labels.csv, matched to images by `file`.",)


def test_folders_per_class_are_believed_unless_a_csv_is_named(tmp_path: Path) -> None:
    ids, images = IN_FOLDERS
    csvs = {"labels.csv": f"file,label\n{ids[0]},cat\n{ids[1]},dog\n"}
    plan = planned(tmp_path, images, csvs)
    assert {move.target for move in plan.moves} == {*images, "labels.csv"}


@pytest.mark.parametrize(
    ("ids", "images"),
    [
        (["1", "01", "2"], names("001", "002")),  # two rows for one number
        (["1", "2"], names("01", "001", "2")),  # two images for one row
        (["1", "x"], names("01", "0x")),
    ],
)
def test_numbers_are_matched_only_where_all_are_and_each_stands_once(
    tmp_path: Path, ids: list[str], images: list[str]
) -> None:
    text = "id,label\n" + "".join(f"{name},{'ab'[i % 2]}\n" for i, name in enumerate(ids))
    with pytest.raises(DlError, match=r"No column of .* names the images|have no row"):
        planned(tmp_path, images, {"labels.csv": text}, Naming("labels.csv"))


def test_the_ids_themselves_win_over_their_numbers(tmp_path: Path) -> None:
    text = "row,image,label\n2,01,a\n1,02,b\n"
    plan = planned(tmp_path, names("01", "02"), {"labels.csv": text})
    assert labels_of(plan) == {"01.jpg": "a", "02.jpg": "b"}


def test_a_table_may_name_images_to_predict_by_their_numbers(tmp_path: Path) -> None:
    csvs = {
        "labels.csv": "id,label\n1,a\n2,b\n",
        "sample_submission.csv": "id,a,b\n3,0.5,0.5\n4,0.5,0.5\n",
    }
    plan = planned(tmp_path, [f"images/000{i}.jpg" for i in range(1, 5)], csvs)
    assert labels_of(plan) == {"0001.jpg": "a", "0002.jpg": "b"}
    assert {move.target for move in plan.moves} >= {"test/0003.jpg", "test/0004.jpg"}


def test_an_id_that_stands_for_two_images_is_refused(tmp_path: Path) -> None:
    images = ["train/1.jpg", "train/1.png", "train/2.jpg"]
    with pytest.raises(DlError, match="names two images"):
        planned(tmp_path, images, {"labels.csv": "id,label\n1,a\n2,b\n"})


@pytest.mark.parametrize("stored", ["cafe\u0301", "caf\u00e9"])
@pytest.mark.parametrize("written", ["cafe\u0301", "caf\u00e9"])
def test_names_match_in_every_unicode_form(tmp_path: Path, stored: str, written: str) -> None:
    images = names(f"{stored}1", f"{stored}2")
    plan = planned(tmp_path, images, {"labels.csv": f"id,label\n{written}1,a\n{written}2,b\n"})
    assert labels_of(plan) == {f"{stored}1.jpg": "a", f"{stored}2.jpg": "b"}


def test_the_names_of_images_are_computed_once_however_many_columns_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[str] = []
    of = Form.of
    monkeypatch.setattr(Form, "of", lambda form, image: computed.append(image) or of(form, image))
    counts = []
    for columns in (1, 300):
        more = ",".join(f"c{number}" for number in range(columns))
        csv = {"labels.csv": f"id,label,{more}\n1,a\n2,b\n"}
        planned(tmp_path / str(columns), names("1", "2"), csv)
        counts.append(len(computed))
        computed.clear()
    assert counts[0] == counts[1]

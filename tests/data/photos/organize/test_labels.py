"""Labels in a CSV: which file and which columns are taken, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.archives import zipped
from support.labelled_images import labels_of, names, planned
from support.small_folders import plant, tree

from dlcli.data import operations
from dlcli.data.photos.organize import organize
from dlcli.data.photos.organize.labels import Naming
from dlcli.data.photos.organize.plan import plan_organize
from dlcli.errors import DlError
from dlcli.files.formats import write_csv

BREEDS = {"000bec": "pug", "001513": "chow", "001cdf": "pug", "00214f": "chow"}
DOGS = "id,breed\n" + "".join(f"{name},{breed}\n" for name, breed in BREEDS.items())


def test_dog_breeds_are_told_by_labels_csv(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        [*names(*BREEDS), "test/fff43b.jpg"],
        {"labels.csv": DOGS, "sample_submission.csv": "id,pug,chow\nfff43b,0.5,0.5\n"},
    )
    assert labels_of(plan) == {f"{name}.jpg": breed for name, breed in BREEDS.items()}
    assert plan.notes == ("Labels: column `breed` of labels.csv, matched to images by `id`.",)
    assert {move.target for move in plan.moves} >= {"labels.csv", "test/fff43b.jpg"}


PLANTS = (
    "image_id,healthy,multiple_diseases,rust,scab\n"
    "Train_0,0,0,0,1\nTrain_1,0,1,0,0\nTrain_2,1,0,0,0\nTrain_3,0,0,1,0\n"
)


def test_one_hot_columns_name_the_classes_and_a_table_the_test_images(tmp_path: Path) -> None:
    images = [f"images/Train_{i}.jpg" for i in range(4)] + [f"images/Test_{i}.jpg" for i in (0, 1)]
    plan = planned(
        tmp_path,
        images,
        {
            "train.csv": PLANTS,
            "test.csv": "image_id\nTest_0\nTest_1\n",
            "sample_submission.csv": "image_id,healthy\nTest_0,0.25\nTest_1,0.25\n",
        },
    )
    assert labels_of(plan) == {
        "Train_0.jpg": "scab",
        "Train_1.jpg": "multiple_diseases",
        "Train_2.jpg": "healthy",
        "Train_3.jpg": "rust",
    }
    assert {m.target for m in plan.moves} >= {"test/Test_0.jpg", "test/Test_1.jpg", "train.csv"}
    predict, label = plan.notes
    assert predict == "2 images that sample_submission.csv and test.csv name are test images."
    assert label == (
        "Labels: one-hot columns `healthy`, `multiple_diseases`, `rust`, `scab` of "
        "train.csv, matched to images by `image_id`."
    )


@pytest.mark.parametrize("between", [";", "\t"])
def test_a_csv_may_have_semicolons_or_tabs_between_its_cells(tmp_path: Path, between: str) -> None:
    rows = (["id", "breed", "weight"], ["1", "pug, small", "7,5"], ["2", '"chow"', "30,1"])
    text = "".join(f"{between.join(row)}\n" for row in rows)
    plan = planned(tmp_path, names("1", "2"), {"labels.csv": text})
    assert labels_of(plan) == {"1.jpg": "pug, small", "2.jpg": "chow"}


def test_a_comma_in_the_header_is_what_stands_between_cells(tmp_path: Path) -> None:
    plan = planned(tmp_path, names("1;2", "3"), {"a.csv": "id,the label;now\n1;2,a\n3,b\n"})
    assert labels_of(plan) == {"1;2.jpg": "a", "3.jpg": "b"}


def test_columns_and_file_may_be_named(tmp_path: Path) -> None:
    csvs = {
        "a.csv": "id,colour,shape\n1,red,round\n2,blue,flat\n",
        "b.csv": "key,other,label\n2,1,x\n1,2,y\n",
    }
    images = names("1", "2")
    by_shape = planned(tmp_path / "a", images, csvs, Naming("a.csv", None, "shape"))
    assert labels_of(by_shape) == {"1.jpg": "round", "2.jpg": "flat"}
    by_other = planned(tmp_path / "b", images, csvs, Naming("b.csv", "other"))
    assert labels_of(by_other) == {"1.jpg": "x", "2.jpg": "y"}
    by_column = planned(tmp_path / "c", images, csvs, Naming(label_column="colour"))
    assert labels_of(by_column) == {"1.jpg": "red", "2.jpg": "blue"}


def test_a_file_of_labels_may_lie_elsewhere(tmp_path: Path) -> None:
    write_csv(tmp_path / "mine.csv", [["id", "label"], ["1", "a"], ["2", "b"]])
    plan = planned(tmp_path, names("1", "2"), {}, Naming(str(tmp_path / "mine.csv")))
    assert labels_of(plan) == {"1.jpg": "a", "2.jpg": "b"}
    assert len(plan.moves) == 2


def test_a_csv_wins_over_the_names_of_files_where_it_names_all(tmp_path: Path) -> None:
    images = names("cat.1", "cat.2", "dog.1", "dog.2")
    rows = "id,breed\ncat.1,manx\ncat.2,korat\ndog.1,pug\ndog.2,pug\n"
    plan = planned(tmp_path / "all", images, {"labels.csv": rows})
    assert set(labels_of(plan).values()) == {"manx", "korat", "pug"}
    assert plan.notes == ("Labels: column `breed` of labels.csv, matched to images by `id`.",)
    part = rows.replace("dog.2,pug\n", "")
    plan = planned(tmp_path / "part", images, {"labels.csv": part})
    assert set(labels_of(plan).values()) == {"cat", "dog"}
    sizes = "id,width\n" + "".join(f"{i.partition('.')[0][6:]}.{i[-5]},500\n" for i in images)
    plan = planned(tmp_path / "sizes", images, {"sizes.csv": sizes})
    assert set(labels_of(plan).values()) == {"cat", "dog"}


def test_folders_per_class_are_believed_and_the_csv_comes_along(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        ["imgs/train/c0/img_1.jpg", "imgs/train/c1/img_2.jpg", "imgs/test/img_3.jpg"],
        {"driver_imgs_list.csv": "subject,classname,img\np1,c9,img_1.jpg\np1,c9,img_2.jpg\n"},
    )
    assert labels_of(plan) == {"img_1.jpg": "c0", "img_2.jpg": "c1"}
    assert "driver_imgs_list.csv" in {move.target for move in plan.moves}


def test_a_sample_submission_is_never_taken_for_labels(tmp_path: Path) -> None:
    sample = "id,label\n" + "".join(f"{name},{i % 2}\n" for i, name in enumerate(BREEDS))
    with pytest.raises(DlError, match="have no class in their names"):
        planned(tmp_path, names(*BREEDS), {"sampleSubmission.csv": sample})


def test_rows_without_an_image_are_said(tmp_path: Path) -> None:
    rows = DOGS + "gone1,pug\ngone2,pug\ntest1,\n"
    plan = planned(tmp_path, [*names(*BREEDS), "test/test1.jpg"], {"labels.csv": rows})
    assert plan.notes[1] == "Rows of labels.csv without an image: 2, such as `gone1`."


def test_labels_from_an_archive_survive_taking_it_back(tmp_path: Path) -> None:
    files = {path: path.encode() for path in names(*BREEDS)} | {"train/labels.csv": DOGS.encode()}
    archive = zipped(tmp_path / "dogs.zip", files)
    for _ in range(2):
        assert organize.organize(archive, tmp_path / "dogs") is not None
        assert set(tree(tmp_path / "dogs")) == {
            "labels.csv",
            *(f"train/{breed}/{name}.jpg" for name, breed in BREEDS.items()),
        }
        operations.undo(tmp_path / "dogs")


LABEL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(st.lists(LABEL, min_size=2, max_size=6))
def test_labels_become_folders_in_train_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, labels: list[str]
) -> None:
    root = tmp_path_factory.mktemp("labels")
    for number in range(len(labels)):
        plant(root, {f"train/{number}x.jpg": b""})
    rows = [[f"{number}x", label] for number, label in enumerate(labels)]
    write_csv(root / "labels.csv", [["id", "label"], *rows])
    try:
        plan = plan_organize(root, root / "new")
    except DlError:
        return
    for move in plan.moves:
        target = root / "new" / move.target
        assert target.resolve().is_relative_to(root / "new")
        if move.source.startswith("train/"):
            label = labels[int(Path(move.source).stem[:-1])]
            assert move.target.split("/") == [
                "train",
                label.strip().removeprefix("./"),
                target.name,
            ]

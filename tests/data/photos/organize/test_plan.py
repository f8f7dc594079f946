"""What people download, brought into the form of a dataset, before anything is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.small_folders import make, plant

from dlcli.data.journal import Move
from dlcli.data.photos.organize.plan import plan_organize
from dlcli.errors import DlError


def organized(tmp_path: Path, *paths: str) -> list[tuple[str, str]]:
    plan = plan_organize(make(tmp_path, *paths), tmp_path / "new")
    return [tuple(move) for move in plan.moves]  # type: ignore[misc]


def test_kaggles_flat_files_are_sorted_into_classes(tmp_path: Path) -> None:
    assert organized(
        tmp_path,
        "train/cat.12.jpg",
        "train/golden_retriever_3.png",
        "train/big-dog-7.JPG",
        "test1/1.jpg",
        "sampleSubmission.csv",
        "train/._cat.12.jpg",
    ) == [
        ("sampleSubmission.csv", "sampleSubmission.csv"),
        ("test1/1.jpg", "test/1.jpg"),
        ("train/big-dog-7.JPG", "train/big-dog/big-dog-7.JPG"),
        ("train/cat.12.jpg", "train/cat/cat.12.jpg"),
        ("train/golden_retriever_3.png", "train/golden_retriever/golden_retriever_3.png"),
    ]


def test_flat_files_may_lie_in_the_folder_itself(tmp_path: Path) -> None:
    assert organized(tmp_path, "cat.1.jpg", "dog.1.jpg") == [
        ("cat.1.jpg", "train/cat/cat.1.jpg"),
        ("dog.1.jpg", "train/dog/dog.1.jpg"),
    ]


def test_folders_per_class_become_train(tmp_path: Path) -> None:
    assert organized(tmp_path, "cat/a.jpg", "dog/b.jpg", "test/unknown/1.jpg", "readme.txt") == [
        ("cat/a.jpg", "train/cat/a.jpg"),
        ("dog/b.jpg", "train/dog/b.jpg"),
        ("test/unknown/1.jpg", "test/unknown/1.jpg"),
    ]


@pytest.mark.parametrize("valid", ["valid", "val", "validation"])
def test_validation_folders_become_valid(tmp_path: Path, valid: str) -> None:
    assert organized(tmp_path, "train/a/1.jpg", f"{valid}/a/2.jpg", f"{valid}/a.3.jpg") == [
        ("train/a/1.jpg", "train/a/1.jpg"),
        (f"{valid}/a.3.jpg", "valid/a/a.3.jpg"),
        (f"{valid}/a/2.jpg", "valid/a/2.jpg"),
    ]


def test_a_class_that_is_only_in_valid_is_refused_before_anything_is_copied(tmp_path: Path) -> None:
    with pytest.raises(DlError, match="Class `b` has no training images") as caught:
        organized(tmp_path, "train/a/1.jpg", "train/c/1.jpg", "val/b/3.jpg")
    assert "val/b/3.jpg" in str(caught.value)


def test_images_beside_the_folders_of_splits_are_left_behind_and_said(tmp_path: Path) -> None:
    paths = ("train/cat/1.jpg", "train/dog/1.jpg", "test1/1.jpg", "fish/1.jpg", "2.jpg", "a.csv")
    plan = plan_organize(make(tmp_path / "a", *paths), tmp_path / "new")
    assert plan.notes == ("Warning: left out 2 images outside the training folder, such as 2.jpg.",)
    plan = plan_organize(make(tmp_path / "b", "cat/1.jpg", "dog/1.jpg", "cat.2.jpg"), tmp_path)
    assert plan.notes == ()


SAMPLE = {"sample_submission.csv": b"id,label\n1,0\n2,0\n3,0\n"}


def test_images_in_folders_of_classes_are_never_taken_for_those_to_predict(tmp_path: Path) -> None:
    classes = [f"{'cat' if i < 7 else 'dog'}/{i}.jpg" for i in range(1, 13)]
    plan = plan_organize(plant(make(tmp_path, *classes), SAMPLE), tmp_path / "new")
    targets = {move.target for move in plan.moves}
    assert targets == {*(f"train/{path}" for path in classes), "sample_submission.csv"}
    assert plan.notes == ()


def test_images_beside_folders_of_classes_that_a_table_names_are_those_to_predict(
    tmp_path: Path,
) -> None:
    paths = ("cat/1.jpg", "dog/2.jpg", "1.jpg", "2.jpg", "3.jpg")
    plan = plan_organize(plant(make(tmp_path, *paths), SAMPLE), tmp_path / "new")
    assert {move.target for move in plan.moves if "/" in move.target} == {
        *("train/cat/1.jpg", "train/dog/2.jpg", "test/1.jpg", "test/2.jpg", "test/3.jpg")
    }
    assert plan.notes == ("3 images that sample_submission.csv names are test images.",)


def test_a_sample_without_a_header_names_its_first_image_too(tmp_path: Path) -> None:
    paths = ("cat.1.jpg", "dog.2.jpg", "3.jpg", "4.jpg")
    form = {"sample_submission.csv": b"3,0.5\n4,0.5\n"}
    plan = plan_organize(plant(make(tmp_path, *paths), form), tmp_path / "new")
    assert {move.target for move in plan.moves} >= {"test/3.jpg", "test/4.jpg"}


def test_where_there_is_a_test_folder_no_table_takes_images_from_those_to_learn_from(
    tmp_path: Path,
) -> None:
    labels = {"labels.csv": b"id,label\n1,a\n2,b\n3,a\n4,b\n"}
    paths = (*(f"{i}.jpg" for i in (1, 2, 3, 4)), *(f"test/{i}.jpg" for i in (1, 2, 3)))
    plan = plan_organize(plant(make(tmp_path, *paths), SAMPLE | labels), tmp_path / "new")
    targets = {move.target for move in plan.moves}
    assert targets >= {"train/a/1.jpg", "train/b/2.jpg", "train/a/3.jpg", "train/b/4.jpg"}
    assert targets >= {"test/1.jpg", "test/2.jpg", "test/3.jpg"}


def test_settings_and_tables_beside_the_images_come_along(tmp_path: Path) -> None:
    moves = organized(tmp_path, "a/1.jpg", "b/1.jpg", "dataset.yaml", "drivers.csv", "train.zip")
    assert ("dataset.yaml", "dataset.yaml") in moves
    assert ("drivers.csv", "drivers.csv") in moves
    assert len(moves) == 4


def test_flat_names_that_occur_twice_are_numbered(tmp_path: Path) -> None:
    root = make(tmp_path, "dog/9.jpg", "cat/a_b_1.jpg", "cat/a/b/1.jpg", "cat/a_b/1.jpg")
    moves = plan_organize(root, root / "new", flatten=True).moves
    assert [move.target for move in moves if move.source.startswith("cat/")] == [
        "train/cat/a_b_1-2.jpg",
        "train/cat/a_b_1-3.jpg",
        "train/cat/a_b_1.jpg",
    ]


def test_in_place_only_what_is_out_of_place_moves(tmp_path: Path) -> None:
    make(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "test1/1.jpg", "labels.csv")
    assert plan_organize(tmp_path, tmp_path).moves == (Move("test1/1.jpg", "test/1.jpg"),)
    (tmp_path / "test1").rename(tmp_path / "test")
    assert plan_organize(tmp_path, tmp_path).moves == ()


@pytest.mark.parametrize(
    ("paths", "says", "why", "hint"),
    [
        ([], "No training images", "no files like cat.12.jpg", "train/<class>/"),
        (["notes.txt"], "No training images", "no files like", "train/<class>/"),
        (["test/1.jpg"], "No training images", "it has no train/", "train/<class>/"),
        (["train.zip"], "No training images", "train.zip is an archive, which", "Unpack all of it"),
        (["labels.csv"], "No training images", "it has no train/", "train/<class>/"),
        (["x/train/a.1.jpg", "y/train/a.1.jpg"], "Several folders in .* could be the dataset",
         "x/ has a train/, and y/ has images too", "/x`"),
        (["train/1.jpg", "labels.csv"], "1 of 1 images .* no class in their names, such as 1.jpg",
         "expected names such as 1.jpg, found nothing", "train/<class>/"),
        (["train/a.1.jpg", "train/photo.jpg"], "1 of 2 images .* no class .* as photo.jpg",
         "like cat.12.jpg", "train/<class>/"),
        (["train/img_1.jpg", "train/img_2.jpg"], "would have the same class, `img`",
         "names all begin with", "train/<class>/"),
        (["train/a/b/1.jpg"], "too deep", "", "new --flatten`"),
    ],
)  # fmt: skip
def test_what_can_not_be_organised_is_told_with_a_way_out(
    tmp_path: Path, paths: list[str], says: str, why: str, hint: str
) -> None:
    with pytest.raises(DlError, match=says) as error:
        organized(tmp_path, *paths)
    assert why in error.value.why
    assert hint in error.value.hint


def test_columns_of_pixels_that_make_no_square_are_told(tmp_path: Path) -> None:
    for header, why in (
        ("label,pixel0,pixel1,pixel2", "has 3 columns of pixels; expected a square number"),
        ("label,pixel0,pixel2,pixel1,pixel3", "`pixel0` to `pixel3` of train.csv are not in order"),
        ("label,x,pixel0,pixel1,pixel2,pixel3", "besides its pixels train.csv has `label`, `x`"),
    ):
        (tmp_path / "train.csv").write_text(f"{header}\n")
        with pytest.raises(DlError, match="No training images") as error:
            plan_organize(tmp_path, tmp_path / "new")
        assert why in error.value.why
        assert "train.csv" in error.value.hint


@pytest.mark.parametrize("name", ["hostname", "notes.txt"])
def test_of_a_file_that_is_nothing_to_organise_its_folder_is_not_named(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).touch()
    with pytest.raises(DlError, match=r"is not an archive, image or CSV") as error:
        plan_organize(tmp_path / name, tmp_path / "new")
    assert error.value.hint == "Name a folder of images, or a zip or tar archive of them."


def test_a_file_is_no_folder_to_organise(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").touch()
    with pytest.raises(DlError, match="is a file") as error:
        plan_organize(tmp_path / "labels.csv", tmp_path / "new")
    assert "Name its folder" in error.value.hint


@pytest.mark.parametrize("around", ["imgs", "a/b/c", "state-farm/imgs"])
def test_a_folder_around_is_gone_through_and_what_lies_beside_comes_along(
    tmp_path: Path, around: str
) -> None:
    beside = around.rpartition("/")[0]
    paths = (f"{around}/train/c0/1.jpg", f"{around}/train/c1/2.jpg", f"{around}/test/3.jpg")
    plan = plan_organize(make(tmp_path, *paths, f"./{beside}/drivers.csv"), tmp_path / "new")
    assert [move.target for move in plan.moves if move.target != "drivers.csv"] == [
        "test/3.jpg",
        "train/c0/1.jpg",
        "train/c1/2.jpg",
    ]
    assert "drivers.csv" in [move.target for move in plan.moves]
    assert plan.notes == (f"Used the contents of {around}/, the outer folder.",)


@pytest.mark.parametrize(
    "paths",
    [
        ("pets/cat.1.jpg", "pets/dog.1.jpg"),
        ("pets/cat/cat.1.jpg", "pets/dog/dog.1.jpg"),
        ("train/train/cat.1.jpg", "train/train/dog.1.jpg"),
        ("train/images/cat.1.jpg", "train/images/dog.1.jpg"),
        ("train_images/cat.1.jpg", "train_images/dog.1.jpg"),
        ("Training/cat/cat.1.jpg", "Training/dog/dog.1.jpg"),
    ],
)
def test_a_folder_around_classes_is_no_class(tmp_path: Path, paths: tuple[str, ...]) -> None:
    targets = [target for _, target in organized(tmp_path, *paths)]
    assert targets == ["train/cat/cat.1.jpg", "train/dog/dog.1.jpg"]


def test_a_folder_around_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(DlError, match=r"Several folders in .* could be the dataset"):
        organized(tmp_path, "x/train/a.1.jpg", "cats/1.jpg", "dogs/1.jpg")


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
def test_no_name_leads_out_of_the_dataset(
    tmp_path_factory: pytest.TempPathFactory, label: str
) -> None:
    if len(label.encode()) > 200:
        return
    root = tmp_path_factory.mktemp("flat")
    make(root, f"train/x{label}.1.jpg", "train/dog.1.jpg")
    for move in plan_organize(root, root / "new").moves:
        assert (root / "new" / move.target).resolve().is_relative_to(root / "new" / "train")

"""A dataset's folder read as samples and classes, or refused with a way out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.small_folders import make

from dlcli.data.photos.look_alikes import look_alikes
from dlcli.data.photos.photos import find_sample_submissions, open_photos, require_trainable
from dlcli.errors import DlError


def test_samples_are_sorted_paths_and_classes_sorted_names(tmp_path: Path) -> None:
    root = make(
        tmp_path / "pets",
        "train/dog/b.jpg",
        "train/dog/a.PNG",
        "train/cat/c.jpeg",
        "valid/dog/d.jpg",
        "test/2.jpg",
        "test/10.jpg",
        "features/x/y.jpg",
        "notes.txt",
    )
    dataset = open_photos(root)
    assert dataset.name == "pets"
    assert dataset.classes == ("cat", "dog")
    assert dict(dataset.splits) == {
        "train": ("train/cat/c.jpeg", "train/dog/a.PNG", "train/dog/b.jpg"),
        "valid": ("valid/dog/d.jpg",),
        "test": ("test/10.jpg", "test/2.jpg"),
    }
    assert dataset.labels("train") == ("cat", "dog", "dog")
    assert dataset.class_of("valid/dog/d.jpg") == "dog"
    with pytest.raises(ValueError, match="no class"):
        dataset.class_of("test/2.jpg")


def test_test_images_may_lie_in_any_folder_of_test(tmp_path: Path) -> None:
    root = make(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "test/unknown/1.jpg", "test/2.jpg")
    assert open_photos(root).splits["test"] == ("test/2.jpg", "test/unknown/1.jpg")


def test_a_class_missing_from_valid_shifts_no_label(tmp_path: Path) -> None:
    root = make(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "train/c/1.jpg", "valid/c/2.jpg")
    (root / "valid" / "b").mkdir()
    dataset = open_photos(root)
    assert dataset.classes == ("a", "b", "c")
    assert dataset.labels("valid") == ("c",)


def test_a_class_folder_without_images_is_no_class(tmp_path: Path) -> None:
    root = make(tmp_path, "train/a/1.jpg", "train/b/notes.txt", "train/c/._1.jpg", "train/d/.x.jpg")
    assert open_photos(root).classes == ("a",)


def test_a_class_only_in_valid_is_an_error_that_names_it(tmp_path: Path) -> None:
    root = make(tmp_path, "train/a/1.jpg", "valid/zebra/1.jpg")
    with pytest.raises(DlError, match=r"has images of class `zebra`, train/ has none"):
        open_photos(root)


@pytest.mark.parametrize(
    ("paths", "says", "hint"),
    [
        ([], "No images in", "Check the path, or name another dataset: `-d DATASET`."),
        (["train.zip"], "found train.zip, an archive", "dl data organize"),
        (["train/notes.txt"], "No images in .*train", "Put the images of each class"),
        (["cat/1.jpg", "dog/1.jpg"], "not organised yet", "dl data organize"),
        (["cat.1.jpg"], "not organised yet", "dl data organize"),
        (["train/cat.1.jpg", "test1/1.jpg"], "has test1/ where test/ is", "dl data organize"),
        (["train/a/1.jpg", "val/a/2.jpg"], "has val/ where valid/ is", "dl data organize"),
        (["train/cat.1.jpg"], "Images lie directly in .* as cat.1.jpg", "dl data organize"),
        (
            ["train/a/b/1.jpg", "train/a/1.jpg"],
            "1 image of .* lies too deep, in 1 subfolder",
            " --flatten`",
        ),
    ],
)
def test_a_folder_that_is_no_dataset_is_told_with_a_way_out(
    tmp_path: Path, paths: list[str], says: str, hint: str
) -> None:
    with pytest.raises(DlError, match=says) as error:
        open_photos(make(tmp_path, *paths))
    assert hint in error.value.hint


def test_files_that_no_one_takes_for_photos_are_left_out_of_a_dataset(tmp_path: Path) -> None:
    root = make(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "train/notes/a.mat")
    (root / "train/notes/a.mat").write_bytes(b"\0\1\2")
    assert open_photos(root).classes == ("a", "b")
    assert open_photos(root).others == ("train/notes/a.mat",)
    (root / "train/notes/1.nef").touch()
    with pytest.raises(DlError, match="Class `notes` has no image"):
        open_photos(root)


def test_a_class_with_images_in_a_subfolder_alone_is_told_so(tmp_path: Path) -> None:
    root = make(tmp_path, "train/a/1.jpg", "train/b/1.nef", "train/b/deep/1.jpg")
    with pytest.raises(DlError, match="lies too deep"):
        open_photos(root)


def test_images_too_deep_for_0_1_0_to_be_seen_are_left_out(tmp_path: Path) -> None:
    root = make(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "train/b/c/d/1.jpg")
    dataset = open_photos(root)
    assert dataset.splits["train"] == ("train/a/1.jpg", "train/b/1.jpg")
    assert dict(dataset.deep) == {"train/b/c/d/": 1}


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(DlError, match="No such folder"):
        open_photos(tmp_path / "nowhere")


def test_one_class_can_be_opened_but_not_trained_on(tmp_path: Path) -> None:
    dataset = open_photos(make(tmp_path, "train/cat/1.jpg", "valid/cat/2.jpg"))
    with pytest.raises(DlError, match="has only class `cat`"):
        require_trainable(dataset)


def test_without_valid_there_is_nothing_to_judge_training_on(tmp_path: Path) -> None:
    root = make(tmp_path / "two words", "train/cat/1.jpg", "train/dog/2.jpg")
    with pytest.raises(DlError, match="each class has a single image") as error:
        require_trainable(open_photos(root))
    assert "dl data split" not in error.value.hint
    make(root, "train/dog/4.jpg")
    with pytest.raises(DlError, match="No images in") as error:
        require_trainable(open_photos(root))
    assert f"`dl data split '{root}'`" in error.value.hint
    require_trainable(open_photos(make(root, "valid/dog/3.jpg")))


def test_a_relative_path_and_a_link_keep_the_name_they_were_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "big-disk" / "v2", "train/a/1.jpg")
    (tmp_path / "pets").symlink_to("big-disk/v2")
    monkeypatch.chdir(tmp_path / "pets")
    assert open_photos(tmp_path / "pets").name == "pets"
    assert open_photos(Path("../../pets")).root.is_absolute()


def test_the_fingerprint_changes_with_names_sizes_and_times_of_its_split(tmp_path: Path) -> None:
    root = make(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "test/1.jpg")
    for path in root.rglob("*.jpg"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    dataset = open_photos(root)
    train, test = dataset.fingerprint("train"), dataset.fingerprint("test")
    assert len(train) == 16
    assert open_photos(root).fingerprints() == {**dataset.fingerprints(), "train": train}
    (root / "test/1.jpg").write_text("another size")
    assert dataset.fingerprint("train") == train
    assert dataset.fingerprint("test") != test
    os.utime(root / "train/a/1.jpg", (1_000_000_000.4, 1_000_000_000.4))
    assert dataset.fingerprint("train") == train, "parts of a second get lost in a copy"
    os.utime(root / "train/a/1.jpg", (1_000_000_002, 1_000_000_002))
    seen = {train, dataset.fingerprint("train")}
    (root / "train/b/1.jpg").rename(root / "train/b/2.jpg")
    seen.add(open_photos(root).fingerprint("train"))
    make(root, "train/b/3.jpg")
    seen.add(open_photos(root).fingerprint("train"))
    assert len(seen) == 4


def test_a_link_to_nowhere_has_its_part_in_the_fingerprint(tmp_path: Path) -> None:
    root = make(tmp_path, "train/a/1.jpg")
    (root / "train/a/2.jpg").symlink_to("gone.jpg")
    dataset = open_photos(root)
    before = dataset.fingerprint("train")
    make(root, "train/a/gone.jpg")
    assert dataset.fingerprint("train") != before


def test_odd_names_survive(tmp_path: Path) -> None:
    odd = ["a b", "-rf", "'\"", "new\nline", "猫", os.fsdecode(b"\xff\xfe")]
    root = make(tmp_path, *(f"train/{name}/{name}.jpg" for name in odd))
    dataset = open_photos(root)
    assert dataset.classes == tuple(sorted(odd))
    assert sorted(dataset.labels("train")) == sorted(odd)
    assert len(dataset.fingerprint("train")) == 16


@pytest.mark.parametrize(
    "name",
    [
        "sample_submission.csv",
        "sampleSubmission.csv",
        "Sample-Submission.CSV",
        "sample_submission_stg1.csv",
        "stage_2_sample_submission.csv",
        "submission_format.csv",
    ],
)
def test_the_sample_submission_is_found_under_its_spellings(tmp_path: Path, name: str) -> None:
    (tmp_path / "labels.csv").touch()
    (tmp_path / "submission.csv").touch()
    assert find_sample_submissions(tmp_path) == []
    (tmp_path / name).touch()
    assert find_sample_submissions(tmp_path) == [tmp_path / name]


def test_classes_that_look_alike() -> None:
    same = ("Cat", "cat", "cat\u00a0", "c\u200bat", "\uff43at")
    forms = ("cafe\u0301", "caf\u00e9")
    assert look_alikes([*same, *forms, "dog", "cats", "c at"]) == [
        tuple(sorted(same)),
        tuple(sorted(forms)),
    ]


def test_listing_needs_neither_numpy_nor_yaml() -> None:
    slow = "{'numpy', 'yaml', 'PIL'}"
    script = f"import sys, dlcli.data.photos.photos; print({slow} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "set()\n"

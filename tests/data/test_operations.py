"""Organise, split, sample and undo on real folders."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.small_folders import (
    DATASET,
    DOWNLOADED,
    KAGGLE,
    MADE,
    MADE_AND_SPLIT,
    SPLIT,
    organize_copy,
    organize_in_place,
    other_sample,
    plant,
    sample,
    split,
    tree,
    under,
    undo,
)

from dlcli.data import operations
from dlcli.data.journal import journals
from dlcli.data.photos import splits
from dlcli.data.photos.organize import organize
from dlcli.data.photos.photos import open_photos
from dlcli.errors import DlError


def test_the_same_seed_splits_the_same_files_another_seed_others(tmp_path: Path) -> None:
    files = {f"d/train/{c}/{i}.jpg": b"x" for c in ("cat", "dog") for i in range(50)}
    made = []
    for number, seed in enumerate((1, 1, 2)):
        root = plant(tmp_path / str(number), files) / "d"
        splits.split(root, 20, seed)
        made.append(open_photos(root).splits["valid"])
    assert made[0] == made[1] != made[2]


def test_two_operations_are_taken_back_the_later_first(tmp_path: Path) -> None:
    folder = plant(tmp_path, DOWNLOADED)
    root = folder / "kaggle"
    organize_in_place(folder)
    organized = tree(folder)
    splits.split(root, 2, 0)
    assert operations.undo(root).operation.name == "split"
    assert tree(folder) == organized
    assert operations.undo(root).operation.name == "organize"
    assert tree(folder, hidden=True) == DOWNLOADED
    with pytest.raises(DlError, match="Nothing to undo"):
        operations.undo(root)
    assert tree(folder, hidden=True) == DOWNLOADED


def test_undo_goes_no_further_than_files_that_stand_in_its_way(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE)
    moved = split(folder).operation.moves
    plant(folder / "dogscats", {moved[0].source: b"new"})
    after = tree(folder)
    with pytest.raises(DlError, match="would be overwritten"):
        undo("dogscats", folder)
    assert tree(folder) == after
    assert journals(folder / "dogscats")[-1].state == "done"


def test_undo_leaves_what_was_added_and_tells_what_is_gone(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE)
    moved = split(folder).operation.moves
    (folder / "dogscats" / moved[0].target).unlink()
    plant(folder, {"dogscats/valid/cat/new.jpg": b"new"})
    outcome = undo("dogscats", folder)
    assert outcome.missing == (moved[0].target,)
    left = dict(MADE)
    del left[f"dogscats/{moved[0].source}"]
    assert tree(folder) == left | {"dogscats/valid/cat/new.jpg": b"new"}


def test_undo_keeps_copies_that_are_the_only_ones(tmp_path: Path) -> None:
    folder = plant(tmp_path, DOWNLOADED)
    organize_copy(folder)
    (folder / "kaggle/train/cat.0.jpg").unlink()
    (folder / "dogscats/train/dog/dog.0.jpg").write_bytes(b"retouched")
    outcome = undo("dogscats", folder)
    assert outcome.kept == ("train/cat/cat.0.jpg", "train/dog/dog.0.jpg")
    assert sorted(tree(folder / "dogscats").values()) == [b"cat 0", b"retouched"]


def test_undo_refuses_where_no_copy_could_go(tmp_path: Path) -> None:
    folder = plant(tmp_path, DOWNLOADED)
    organize_copy(folder)
    shutil.rmtree(folder / "kaggle")
    after = tree(folder)
    with pytest.raises(DlError, match="may be the only copies"):
        undo("dogscats", folder)
    assert tree(folder) == after


def test_an_organized_folder_may_be_renamed_before_it_is_taken_back(tmp_path: Path) -> None:
    folder = plant(tmp_path, DOWNLOADED)
    organize_in_place(folder)
    (folder / "kaggle").rename(folder / "pets")
    undo("pets", folder)
    assert tree(folder / "pets") == KAGGLE


def test_organizing_twice_does_it_once(tmp_path: Path) -> None:
    folder = plant(tmp_path, DOWNLOADED)
    assert organize_copy(folder) is not None
    splits.split(folder / "dogscats", 2, 0)
    after = tree(folder)
    assert organize_copy(folder) is None
    assert tree(folder) == after


def test_organizing_what_is_organized_does_nothing(tmp_path: Path) -> None:
    folder = plant(tmp_path, under("kaggle", DATASET))
    assert organize_in_place(folder) is None
    assert tree(folder, hidden=True) == under("kaggle", DATASET)


@pytest.mark.parametrize("target", ["dogscats", "kaggle/inside"])
def test_a_dataset_is_made_in_a_folder_of_its_own(tmp_path: Path, target: str) -> None:
    folder = plant(tmp_path, DOWNLOADED | {"dogscats/mine.txt": b"mine"})
    before = tree(folder, hidden=True)
    with pytest.raises(DlError, match=r"is not empty|is inside"):
        organize.organize(folder / "kaggle", folder / target)
    assert tree(folder, hidden=True) == before


def test_a_sample_mirrors_the_dataset_beside_it(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE_AND_SPLIT)
    target, outcome = sample(folder)
    assert outcome is not None
    made = tree(target)
    assert target == folder / "dogscats-sample"
    assert "dataset.yaml" in made
    assert len([path for path in made if path.startswith("train/")]) == 3
    assert len([path for path in made if path.startswith("valid/")]) == 2
    assert all(SPLIT[path] == content for path, content in made.items())
    assert tree(folder / "dogscats", hidden=True) == SPLIT
    assert sample(folder) == (target, None)


def test_another_sample_is_replaced_only_on_demand(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE_AND_SPLIT)
    sample(folder)
    before = tree(folder, hidden=True)
    with pytest.raises(DlError, match="a different sample: it was made with --train 3 --valid 2 "):
        splits.sample(folder / "dogscats", 2, 2, 0)
    assert tree(folder, hidden=True) == before
    assert other_sample(folder)[1] is not None
    assert len(open_photos(folder / "dogscats-sample").splits["train"]) == 2


def test_a_folder_that_is_no_sample_is_never_replaced(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE_AND_SPLIT | {"dogscats-sample/precious.jpg": b"mine"})
    before = tree(folder, hidden=True)
    with pytest.raises(DlError, match="was not made by `dl data sample`"):
        other_sample(folder)
    assert tree(folder, hidden=True) == before


def test_there_is_no_sample_of_what_can_not_be_trained(tmp_path: Path) -> None:
    folder = plant(tmp_path, MADE)
    with pytest.raises(DlError, match=r"No images in .*valid") as error:
        sample(folder)
    assert "dl data split" in error.value.hint
    assert tree(folder, hidden=True) == MADE


def test_hostile_names_survive_every_operation(tmp_path: Path) -> None:
    odd = ["a b", "-rf", "'\"", "new\nline", "猫", os.fsdecode(b"\xff\xfe"), "#{}%", "a,b"]
    files = {
        f"kaggle/train/{label}.{i}.jpg": os.fsencode(f"{label} {i}")
        for label in odd
        for i in range(3)
    }
    folder = plant(tmp_path, files)
    organize_copy(folder)
    dataset = open_photos(folder / "dogscats")
    assert dataset.classes == tuple(sorted(odd))
    splits.split(folder / "dogscats", 8, 0)
    splits.sample(folder / "dogscats", 8, 8, 0)
    assert set(open_photos(folder / "dogscats-sample").classes) == set(odd)
    assert open_photos(folder / "dogscats-sample").fingerprint("train")
    for name in ("dogscats-sample", "dogscats", "dogscats"):
        undo(name, folder)
    assert tree(folder, hidden=True) == files

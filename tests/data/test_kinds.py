"""The kinds of datasets: which one a folder is, and what opens it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.small_folders import make

from dlcli.data.dataset import MARKS, UNMARKED, is_dataset, kind_of
from dlcli.data.kinds import OPENERS, open_dataset
from dlcli.data.photos.photos import Photos, open_photos
from dlcli.errors import DlError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return make(tmp_path / "pets", "train/a/1.jpg", "train/b/1.jpg", "train/b/2.jpg", "test/1.jpg")


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    return make(tmp_path / "films", "ratings.yaml")


def test_a_folder_without_a_mark_is_read_as_photos(photos: Path, tmp_path: Path) -> None:
    assert kind_of(photos) == kind_of(tmp_path / "nowhere") == "photos"
    dataset = open_dataset(photos)
    assert isinstance(dataset, Photos)
    assert dataset == open_photos(photos)
    assert dataset.kind == "photos"
    assert dataset.sizes == {"train": 3, "valid": 0, "test": 1}


def test_a_mark_names_the_kind(ratings: Path) -> None:
    assert kind_of(ratings) == "ratings"


def test_a_folder_looks_like_a_dataset_by_its_train_or_a_mark(
    photos: Path, ratings: Path, tmp_path: Path
) -> None:
    assert is_dataset(photos)
    assert is_dataset(ratings)
    assert not is_dataset(tmp_path)


def test_photos_are_not_read_of_another_kind(ratings: Path) -> None:
    with pytest.raises(DlError, match="is a dataset of ratings, not of photos") as error:
        open_photos(ratings)
    assert error.value.hint.startswith("Name a dataset of photos: `-d DATASET`.")


def test_each_kind_has_an_opener() -> None:
    assert {*OPENERS} <= {UNMARKED, *MARKS}

"""The kinds of datasets: what opens a folder of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dlcli.data.dataset import UNMARKED, Dataset, kind_of
from dlcli.files.paths import absolute, is_file


def _photos(root: Path) -> Dataset:
    from dlcli.data.photos.photos import open_photos

    return open_photos(root)


def _ratings(root: Path) -> Dataset:
    from dlcli.data.ratings.ratings import open_ratings

    return open_ratings(root)


# What opens a dataset of each kind, which is imported when it is needed.
OPENERS: Mapping[str, Callable[[Path], Dataset]] = {"photos": _photos, "ratings": _ratings}


def open_dataset(root: Path) -> Dataset:
    """Read a dataset's folder, whatever its kind.

    Raises:
        DlError: the folder is not a dataset, or a damaged one.
    """
    root = absolute(root)
    return OPENERS[kind_of(root)](root)


def _has_test_images(root: Path) -> bool:
    from dlcli.data.photos.photos import has_images

    return has_images(root, "test")


def _has_test_pairs(root: Path) -> bool:
    from dlcli.data.ratings.ratings import PAIRS

    return is_file(root / "test" / PAIRS)


# What tells whether a dataset has something to predict for a submission.
TESTS: Mapping[str, Callable[[Path], bool]] = {
    "photos": _has_test_images,
    "ratings": _has_test_pairs,
}


def has_test(root: Path) -> bool:
    """Whether a dataset has test examples; quicker than to read it."""
    return TESTS[kind_of(root)](root)


def _holds_ratings(source: Path) -> bool:
    from dlcli.data.ratings.organize import holds_ratings

    return holds_ratings(source)


# What tells that a download is of a kind; one that none knows is read as `UNMARKED`.
HOLDERS: Mapping[str, Callable[[Path], bool]] = {"ratings": _holds_ratings}


def kind_of_download(source: Path) -> str:
    """The kind of the dataset that a file, folder or archive would become.

    Raises:
        DlError: it is an archive that can't be read.
    """
    return next((kind for kind, holds in HOLDERS.items() if holds(source)), UNMARKED)

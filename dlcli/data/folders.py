"""Folders of images: list one, find its images, recognise a split by its folder's name."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from dlcli.errors import DlError
from dlcli.files.paths import quoted, shown

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")

# val/ and validation/ from other tools, test1/ and test_stg1/ from Kaggle.
_SPLIT_NAMES = {"train": r"train", "valid": r"val|valid|validation", "test": r"test(_?stg)?\d*"}


@dataclass(frozen=True)
class Listing:
    """What one folder holds, hidden entries left out; names sorted."""

    images: tuple[str, ...]
    folders: tuple[str, ...]
    others: tuple[str, ...]


def read_folder(folder: Path) -> Listing:
    """List one folder: images by their suffix, folders, other files; hidden entries left out.

    Hidden covers `._cat.jpg`, which macOS leaves in archives. A link counts as what it points to.

    Raises:
        DlError: no such folder, not a folder, or no permission to read it.
    """
    images, folders, others = [], [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                elif is_image(entry.name):
                    images.append(entry.name)
                else:
                    others.append(entry.name)
    except FileNotFoundError as error:
        raise DlError(f"No such folder: {shown(folder)}", hint="Check the path.") from error
    except NotADirectoryError as error:
        raise DlError(
            f"{shown(folder)} is a file",
            why="a dataset is a folder of images",
            hint=f"Name a folder. To make one of an archive: `dl data organize {quoted(folder)}`.",
        ) from error
    except PermissionError as error:
        raise DlError(
            f"Can't read {shown(folder)}",
            why="permission denied",
            hint="Change its permissions, or run as its owner.",
        ) from error
    return Listing(tuple(sorted(images)), tuple(sorted(folders)), tuple(sorted(others)))


def is_image(name: str) -> bool:
    """Whether a file's suffix is that of an image, in upper or lower case."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def split_named(folder: str) -> str | None:
    """The split that a downloaded folder's name stands for: "valid" for "val"; None for others."""
    for split, names in _SPLIT_NAMES.items():
        if re.fullmatch(names, folder, re.IGNORECASE):
            return split
    return None


def class_images(folder: Path) -> tuple[str, ...]:
    """Names of the images in a class's folder, or in any folder of test images.

    Raises:
        DlError: some lie one folder deeper, where they would be overlooked.
    """
    listing = read_folder(folder)
    for deeper in listing.folders:
        if read_folder(folder / deeper).images:
            raise DlError(
                f"{shown(folder / deeper)} lies one folder too deep",
                why=f"images belong directly in {shown(folder)}",
                hint="Move its images up, or move the folder out of the dataset.",
            )
    return listing.images

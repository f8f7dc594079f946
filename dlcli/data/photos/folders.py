"""Folders of images: list one, find its images, recognise a split by its folder's name."""

# A Path costs more than the system call, and these run for every link of a folder.
# ruff: noqa: PTH110, PTH112, PTH113

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcli.errors import DlError
from dlcli.files.paths import obstacle, quoted, shown
from dlcli.images.formats import TEXT, fault_of, is_image, left_out
from dlcli.words import count

_MOST_NAMED = 20
# Landmark photos lie in 200,000 classes. Links may make many more folders of a few.
MOST_FOLDERS = 1_000_000
MOST_NESTED = 100

# val/ and validation/ from other tools, test1/ and test_stg1/ from Kaggle.
_SPLIT_NAMES = {"train": r"train", "valid": r"val|valid|validation", "test": r"test(_?stg)?\d*"}


@dataclass(frozen=True)
class Listing:
    """What one folder holds, hidden entries left out; names sorted."""

    images: tuple[str, ...]
    folders: tuple[str, ...]
    others: tuple[str, ...]


def read_folder(folder: Path) -> Listing:
    """List one folder: images, folders, other files; hidden entries left out.

    Hidden covers `._cat.jpg`, which macOS leaves in archives. A link counts as what it points to, a
    broken one as a file. A pipe or device is not an image, whatever its name.

    Raises:
        DlError: no such folder, not a folder, or no permission to read it.
    """
    images, folders, others = [], [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                is_folder, is_file = _kind(entry)
                if is_folder:
                    folders.append(entry.name)
                elif is_file and is_image(entry.path):
                    images.append(entry.name)
                else:
                    others.append(entry.name)
    except FileNotFoundError as error:
        missing = DlError(f"No such folder: {shown(folder)}", hint="Check the path.")
        raise obstacle(folder) or missing from error
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


def _kind(entry: os.DirEntry[str]) -> tuple[bool, bool]:
    """Whether an entry is a folder, and whether a file; a link counts as `read_folder` says."""
    if not entry.is_symlink():
        return entry.is_dir(), entry.is_file()
    # an entry's own methods raise for a link to itself
    broken = not os.path.exists(entry.path)
    return os.path.isdir(entry.path), broken or os.path.isfile(entry.path)


def split_named(folder: str) -> str | None:
    """The split that a downloaded folder's name stands for: "valid" for "val"; None for others."""
    for split, names in _SPLIT_NAMES.items():
        if re.fullmatch(names, folder, re.IGNORECASE):
            return split
    return None


def walk(folder: Path) -> Iterator[tuple[str, Listing]]:
    """List a folder and all visible folders below it, parents first.

    Yields:
        each folder's path relative to `folder`, "" for itself, and what it holds. A link to a
        parent folder is not followed.

    Raises:
        DlError: as `read_folder`; there are more than `MOST_FOLDERS`, or deeper than `MOST_NESTED`.
    """
    for number, found in enumerate(_walk(folder, "", (folder,))):
        if number == MOST_FOLDERS:
            raise _endless(folder, f"it holds more than {MOST_FOLDERS:,} folders")
        yield found


def _walk(folder: Path, inner: str, above: tuple[Path, ...]) -> Iterator[tuple[str, Listing]]:
    if len(above) > MOST_NESTED:
        raise _endless(above[0], f"it holds folders in folders, more than {MOST_NESTED} deep")
    listing = read_folder(folder)
    yield inner, listing
    for name in listing.folders:
        deeper = folder / name
        if deeper.is_symlink() and deeper.resolve() in {each.resolve() for each in above}:
            continue
        yield from _walk(deeper, f"{inner}/{name}" if inner else name, (*above, deeper))


def _endless(folder: Path, why: str) -> DlError:
    return DlError(
        f"{shown(folder)} is not searched to its end",
        why=why,
        hint="Name a folder further down, or remove links between its folders: "
        f"`find {quoted(folder)} -type l` lists them.",
    )


def in_groups(found: Mapping[str, int]) -> str:
    """Folders with the number of images in each, one line each; of many only the first."""
    lines = [f"  {shown(name)}: {count(number, 'image')}" for name, number in found.items()]
    if len(lines) > _MOST_NAMED:
        lines[_MOST_NAMED:] = [f"  ... and {len(lines) - _MOST_NAMED:,} more"]
    return "\n".join(lines)


def require_images(folder: Path, files: Sequence[Path]) -> None:
    """Refuse a class of which every file is left out. A folder of text files is not a class.

    Args:
        folder: the folder of the class.
        files: its files; none is an image.

    Raises:
        DlError: counts the files by suffix and reason.
    """
    if all(fault_of(file) == TEXT for file in files):
        return
    raise DlError(
        f"Class `{shown(folder.name)}` has no image in {shown(folder)}",
        why=left_out(files).removesuffix("."),
        hint="Convert them to JPEG or PNG, or move the folder away if it is not a class.",
    )


def too_deep(root: Path, found: Mapping[str, int], target: Path | None = None) -> DlError:
    """The error for images in subfolders of class folders.

    Args:
        root: the dataset, or the download.
        found: the number of images in each such subfolder, by its path relative to `root`.
        target: the dataset that the hint makes of it; None for the reader's choice.
    """
    images = count(sum(found.values()), "image")
    where = count(len(found), "subfolder")
    lie = "lies" if sum(found.values()) == 1 else "lie"
    return DlError(
        f"{images} of {shown(root)} {lie} too deep, in {where} of class folders:\n"
        + in_groups(found),
        hint="Images belong directly in the folder of their class. To take them from there, run "
        f"`dl data organize {quoted(root)} {quoted(target) if target else 'DEST'} --flatten`.",
    )

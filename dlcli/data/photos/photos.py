"""A dataset of photos: a folder of images, read as samples and classes.

    dogscats/  train/<class>/*.jpg  valid/<class>/*.jpg  test/*.jpg or test/<any>/*.jpg
               dataset.yaml

Nothing here writes, and nothing decodes a picture: 25,000 files are listed in a tenth of a second.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from dlcli.data.dataset import NOUNS, SPLITS, Dataset, require_kind
from dlcli.data.pending import require_finished
from dlcli.data.photos.folders import (
    Listing,
    read_folder,
    require_images,
    split_named,
    too_deep,
    walk,
)
from dlcli.errors import DlError
from dlcli.files.paths import absolute, obstacle, quoted, shown
from dlcli.images.formats import is_unread_photo, left_out


@dataclass(frozen=True)
class Photos(Dataset):
    """Samples by split, as they were on disk when the folder was read.

    Args:
        classes: sorted names of the folders in `train/` that hold at least one image.
        splits: for each of `SPLITS` the sorted paths of its images, relative to `root`, with
            forward slashes: "train/cat/a.jpg", "test/1.jpg".
        others: paths of the files in the splits' folders that are not images, likewise.
        deep: the number of images in each folder that lies too deep to be read: "train/cat/a/b/".
    """

    classes: tuple[str, ...]
    splits: Mapping[str, tuple[str, ...]]
    others: tuple[str, ...] = ()
    deep: Mapping[str, int] = field(default_factory=dict)

    kind = "photos"
    noun = NOUNS[kind]
    why_changed = (
        "files have other names, sizes or times; a copy without their times, as by `cp -r`, counts "
        "as changed too"
    )
    how_to_copy = "Copy them with `cp -a` or `rsync -a`."

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes."""
        return self.classes

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many images each split has."""
        return {split: len(paths) for split, paths in self.splits.items()}

    def labels(self, split: str) -> tuple[str, ...]:
        """Class names of the samples of "train" or "valid", in the order of `splits[split]`."""
        return tuple(map(self.class_of, self.splits[split]))

    def class_of(self, path: str) -> str:
        """The class name of one sample of train or valid, given its path relative to the root."""
        split, _, rest = path.partition("/")
        if split == "test":
            raise ValueError(f"{path!r} is a test image, and test images have no class")
        return rest.partition("/")[0]

    def fingerprint(self, split: str) -> str:
        """Sixteen hex digits that change when a file is added, removed, renamed or changed.

        They hash relative path, size and modification time in whole seconds, not the pixels, so
        that asking is cheap and a copy that keeps times (`rsync -a`, unzip) compares equal. A file
        that is gone, or a link to nowhere, counts as one without size and time.

        Args:
            split: one of `SPLITS`.
        """
        from hashlib import sha256

        digest = sha256()
        prefix = f"{self.root}/"
        for path in self.splits[split]:
            try:
                status = os.stat(prefix + path)
            except OSError:
                stamp = "\0\0\0"
            else:
                stamp = f"\0{status.st_size}\0{int(status.st_mtime)}\0"
            digest.update(os.fsencode(path) + stamp.encode())
        return digest.hexdigest()[:16]


def open_photos(root: Path) -> Photos:
    """Read a folder of photos.

    A class folder that is missing, or empty, in `valid/` is fine and shifts no label: a label is
    a name, never a position.

    Raises:
        DlError: the dataset is of another kind; the folder is missing or empty, its images are not
            in their places, a class has only photos that can't be read, or a `dl data` command has
            moved only a part of them.
    """
    root = absolute(root)
    require_kind(root, Photos.kind)
    top = read_folder(root)
    require_finished(root)
    for split in ("train", "valid"):
        if split in top.others and (error := obstacle(root / split)):
            raise error
    _require_organized(root, top)
    found = {split: _files(root, split, split in top.folders) for split in SPLITS}
    deep = {folder: n for files in found.values() for folder, n in files.deep.items()}
    # 0.1.0 looked one folder below a class: runs exist of datasets with images below that
    if any(folder.count("/") == 3 for folder in deep):  # train/cat/kittens/
        raise too_deep(root, deep, root)
    splits = {split: files.images for split, files in found.items()}
    classes = tuple(sorted({path.split("/", 2)[1] for path in splits["train"]}))
    strangers = {path.split("/", 2)[1] for path in splits["valid"]} - set(classes)
    if strangers:
        raise DlError(
            f"{shown(root / 'valid')} has images of {_classes(strangers)}, train/ has none",
            why="a network can't learn a class that it never sees",
            hint=f"Move some images to {shown(root / 'train')}, or remove the folder from valid/.",
        )
    others = tuple(path for files in found.values() for path in files.others)
    return Photos(root, classes, splits, others, deep)


def require_trainable(dataset: Photos) -> None:
    """Refuse a dataset that can't be trained on, before anything costs time.

    Raises:
        DlError: fewer than two classes, or no image in `valid/`.
    """
    if error := untrainable(dataset):
        raise error


def untrainable(dataset: Photos) -> DlError | None:
    """Why a dataset can't be trained on, and what to do about it; None if it can."""
    train = shown(dataset.root / "train")
    if len(dataset.classes) < 2:
        return DlError(
            f"{shown(dataset.root)} has only {_classes(dataset.classes)}",
            why="training needs at least two classes",
            hint=f"Add a second folder of images to {train}.",
        )
    if dataset.splits["valid"]:
        return None
    why, hint = (
        "training needs images to validate on",
        f"Run `dl data split {quoted(dataset.root)}`.",
    )
    if not can_be_split(dataset):
        why += ", and each class has a single image"
        hint = f"Add images of the same classes to {train}."
    return DlError(f"No images in {shown(dataset.root / 'valid')}", why=why, hint=hint)


def can_be_split(dataset: Photos) -> bool:
    """Whether images could move from train to valid: a class has more than the one that stays."""
    return len(dataset.splits["train"]) > len(dataset.classes)


def has_images(root: Path, split: str) -> bool:
    """Whether a split has an image; quicker than to read the whole dataset."""
    folder = root / split
    return folder.is_dir() and any(listing.images for _, listing in walk(folder))


def find_sample_submissions(root: Path) -> list[Path]:
    """Kaggle's sample submissions at the root of a dataset, in any of their spellings."""
    return [
        root / name
        for name in read_folder(root).others
        if re.search(r"sample.*submi|submi.*(sample|format)", name, re.IGNORECASE)
        and name.lower().endswith(".csv")
    ]


class _Files(NamedTuple):
    """What the folder of one split holds; paths relative to the dataset.

    Args:
        images: sorted.
        others: files that are not images.
        deep: the number of images in each folder below a class's folder.
    """

    images: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    deep: Mapping[str, int] = MappingProxyType({})


def _files(root: Path, split: str, present: bool) -> _Files:
    if not present:
        return _Files()
    top = read_folder(root / split)
    if top.images and split != "test":
        raise DlError(
            f"Images lie directly in {shown(root / split)}, such as {shown(top.images[0])}",
            why="the folder of an image names its class",
            hint=f"Run `dl data organize {quoted(root)}`, or move them to one folder per class.",
        )
    images = [f"{split}/{name}" for name in top.images]
    others = [f"{split}/{name}" for name in top.others]
    deep: dict[str, int] = {}
    for folder in top.folders:
        base = f"{split}/{folder}"
        has_image = False
        left: list[str] = []
        for inner, listing in walk(root / base):
            prefix = f"{base}/{inner}/" if inner else f"{base}/"
            left += [prefix + name for name in listing.others]
            has_image = has_image or bool(listing.images)
            if inner and listing.images:
                deep[prefix] = len(listing.images)
            else:
                images += [prefix + name for name in listing.images]
        others += left
        files = [root / name for name in left]
        if split != "test" and not has_image and any(map(is_unread_photo, files)):
            require_images(root / base, files)
    return _Files(tuple(sorted(images)), tuple(others), deep)


def _require_organized(root: Path, top: Listing) -> None:
    organize = f"Run `dl data organize {quoted(root)}`."
    for found in top.folders:
        wanted = split_named(found)
        if wanted and wanted not in top.folders:
            raise DlError(
                f"{shown(root)} is not organised yet",
                why=f"it has {found}/ where {wanted}/ is expected",
                hint=organize,
            )
    if "train" in top.folders:
        inside = read_folder(root / "train")
        if inside.images or any(read_folder(root / "train" / f).images for f in inside.folders):
            return
        folders = [root / "train", *(root / "train" / name for name in inside.folders)]
        files = [folder / name for folder in folders for name in read_folder(folder).others]
        raise DlError(
            f"No images in {shown(root / 'train')}",
            why=left_out(files).removesuffix(".") or "images belong in train/<class>/",
            hint="Put the images of each class into train/<class>/.",
        )
    if top.images or any(read_folder(root / folder).images for folder in top.folders):
        raise DlError(
            f"{shown(root)} is not organised yet",
            why="it has images, but no train/ with a folder per class",
            hint=organize,
        )
    archives = [name for name in top.others if name.lower().endswith((".zip", ".tgz", ".gz"))]
    raise DlError(
        f"No images in {shown(root)}",
        why=f"found {shown(archives[0])}, an archive" if archives else "",
        hint=organize
        if archives
        else "Check the path, or name another dataset: `-d DATASET`. `dl data ls` lists datasets.",
    )


def _classes(names: tuple[str, ...] | set[str]) -> str:
    listed = ", ".join(f"`{shown(name)}`" for name in sorted(names))
    return f"{'class' if len(names) == 1 else 'classes'} {listed}"

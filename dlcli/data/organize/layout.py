"""What lies where in a folder as it was downloaded: images by split, CSVs, folders around it all.

imgs/train/c0/img_1.jpg    a folder around train/ is gone through where it is the only one
imgs/test/img_2.jpg
driver_imgs_list.csv       belongs to it all the same
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from dlcli.data.dataset import SETTINGS
from dlcli.data.folders import Listing, class_images, read_folder, split_named
from dlcli.errors import DlError
from dlcli.files.archives import is_archive
from dlcli.files.paths import quoted, shown

# Kaggle's flat names: cat.12.jpg, golden_retriever-3.png
_FLAT_NAME = re.compile(r"(.+?)[._-]\d+\.[^.]+", re.DOTALL)
# train_images/, Training/, test-jpg/, beside the names that a dataset itself may have
_SPLIT = re.compile(
    r"(?:(?P<train>train(?:ing)?)|(?P<valid>val(?:id(?:ation)?)?)|(?P<test>test(?:ing)?))"
    r"(?:[ _-]?(?:images?|imgs?|jpe?gs?|pngs?|tiffs?|data|set))?",
    re.IGNORECASE,
)
MOST_AROUND = 4


class Image(NamedTuple):
    """An image, and what its path may tell of it.

    Args:
        base: the folder of its split, relative to what was downloaded: "imgs/train/".
        folder: the folder in that, of its class or of any name; "" where there is none.
        name: its own.
    """

    base: str
    folder: str
    name: str

    @property
    def path(self) -> str:
        """Relative to what was downloaded."""
        inner = f"{self.folder}/" if self.folder else ""
        return f"{self.base}{inner}{self.name}"

    @property
    def label(self) -> str:
        """The class that its own name tells; "" where it tells none, as Train_12.jpg."""
        match = _FLAT_NAME.fullmatch(self.name)
        return match[1] if match and not split_of(match[1]) else ""


@dataclass(frozen=True)
class Layout:
    """What was found.

    Args:
        source: what was downloaded.
        prefix: the folder in it that holds train/, or the folders of the classes; "" for itself.
        images: the images of "train", "valid" and "test", each in a fixed order.
        has_train: whether there is a folder to train on; else all is "train" that is not test.
        beside: images that are in no folder of a split though there are such.
        tables: CSVs, and `settings` too, at the top or in a folder around.
        archives: as the tables.
    """

    source: Path
    prefix: str
    images: Mapping[str, tuple[Image, ...]]
    has_train: bool
    beside: tuple[str, ...]
    tables: tuple[str, ...]
    settings: tuple[str, ...]
    archives: tuple[str, ...]


@lru_cache
def split_of(folder: str) -> str | None:
    """The split that the name of a downloaded folder or file stands for; None for others."""
    if split := split_named(folder):
        return split
    match = _SPLIT.fullmatch(folder)
    return match.lastgroup if match else None


def read_layout(source: Path) -> Layout:
    """Look at what was downloaded.

    Raises:
        DlError: two folders could be the one that is meant; images lie a folder too deep.
    """
    prefix, around = _go_in(source)
    top = read_folder(source / prefix)
    splits = {name: split for name in top.folders if (split := split_of(name))}
    images: dict[str, list[Image]] = {"train": [], "valid": [], "test": []}
    for folder, split in splits.items():
        images[split] += _images_below(source, f"{prefix}{folder}/", split)
    beside = [Image(prefix, "", name) for name in top.images]
    has_train = "train" in splits.values()
    for folder in top.folders:
        if folder not in splits:
            inner = source / prefix / folder
            names = _listing(inner).images if has_train else class_images(inner)
            beside += [Image(prefix, folder, name) for name in names]
    if not has_train:
        images["train"] = beside
    others = [f"{prefix}{name}" for name in top.others]
    own = {name.rpartition("/")[2] for name in others}
    # of two that would get one name the inner one is taken
    others += [name for name in around if name.rpartition("/")[2] not in own]
    return Layout(
        source=source,
        prefix=prefix,
        images={split: tuple(found) for split, found in images.items()},
        has_train=has_train,
        beside=tuple(sorted(image.path for image in beside)) if has_train else (),
        tables=tuple(name for name in others if name.lower().endswith(".csv")),
        settings=tuple(name for name in others if name.rpartition("/")[2] == SETTINGS),
        archives=tuple(name for name in others if is_archive(name)),
    )


def tell_classes(names: tuple[str, ...]) -> bool:
    """Whether the names of images that lie side by side tell two or more classes."""
    labels = {Image("", "", name).label for name in names}
    return len(labels) > 1 and "" not in labels


def _go_in(source: Path) -> tuple[str, list[str]]:
    """The folder that is meant, relative to the source, and the files around it."""
    prefix, around = "", list[str]()
    for _ in range(MOST_AROUND):
        top = read_folder(source / prefix)
        inner = _inner(source / prefix, top)
        if inner is None:
            break
        around += [f"{prefix}{name}" for name in top.others]
        prefix += f"{inner}/"
    return prefix, around


def _inner(folder: Path, top: Listing) -> str | None:
    """The folder inside that is meant instead of this one; None where this one is.

    Raises:
        DlError: more than one could be.
    """
    if top.images or any(map(split_of, top.folders)):
        return None
    inside = {name: _listing(folder / name) for name in top.folders}
    holding = [n for n, one in inside.items() if "train" in map(split_of, one.folders)]
    others = [n for n, one in inside.items() if n not in holding and one.images]
    if len(holding) > 1 or (holding and others):
        raise DlError(
            f"Which folder in {shown(folder)} is the dataset is not plain",
            why=f"{shown(holding[0])}/ has a train/, and {shown([*holding[1:], *others][0])}/ has "
            "images too",
            hint=f"Name it: `dl data organize {quoted(folder / holding[0])}`.",
        )
    if holding:
        return holding[0]
    if len(inside) != 1:
        return None
    ((name, only),) = inside.items()
    goes_on = bool(only.folders or only.others) and not only.images
    return name if goes_on or tell_classes(only.images) else None


def _images_below(source: Path, base: str, split: str) -> list[Image]:
    """The images in a split's folder, and one folder deeper."""
    listing = read_folder(source / base)
    if not listing.images and len(listing.folders) == 1:
        (only,) = listing.folders  # train/train/, as an archive in its own folder gives
        names = _listing(source / base / only).images
        if split_of(only) == split or (split != "test" and tell_classes(names)):
            return _images_below(source, f"{base}{only}/", split)
    images = [Image(base, "", name) for name in listing.images]
    for folder in listing.folders:
        images += [Image(base, folder, name) for name in class_images(source / base / folder)]
    return images


def _listing(folder: Path) -> Listing:
    try:
        return read_folder(folder)
    except DlError:  # nobody may look into it, as into lost+found
        return Listing((), (), ())

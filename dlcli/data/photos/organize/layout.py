"""The layout of a downloaded folder: images by split, CSVs, archives, an outer folder.

imgs/train/c0/img_1.jpg    imgs/ is an outer folder, entered because it is the only folder
imgs/test/img_2.jpg
driver_imgs_list.csv       still counts, though it is outside imgs/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from dlcli.data.dataset import SETTINGS
from dlcli.data.photos.folders import Listing, read_folder, split_named, walk
from dlcli.data.photos.organize.foreign import require_files
from dlcli.errors import DlError
from dlcli.files.archives import is_archive
from dlcli.files.paths import quoted, shown

# Kaggle's flat names: cat.12.jpg, golden_retriever-3.png
_FLAT_NAME = re.compile(r"(.+?)[._-]\d+\.[^.]+", re.DOTALL)
# train_images/, Training/, test-jpg/, besides the names in a dataset itself
_SPLIT = re.compile(
    r"(?:(?P<train>train(?:ing)?)|(?P<valid>val(?:id(?:ation)?)?)|(?P<test>test(?:ing)?))"
    r"(?:[ _-]?(?:images?|imgs?|jpe?gs?|pngs?|tiffs?|data|set))?",
    re.IGNORECASE,
)
MOST_AROUND = 4


class Image(NamedTuple):
    """An image, with its split's folder and class as far as its path shows them.

    Args:
        base: the folder of its split, relative to the download: "imgs/train/".
        folder: the folder in that, named after its class or anything; "" where there is none.
        name: its file name.
        deeper: the subfolder of `folder` that it is in: "kittens", "2019/may"; usually "".
    """

    base: str
    folder: str
    name: str
    deeper: str = ""

    @property
    def path(self) -> str:
        """Its path, relative to the download."""
        return f"{self.place}{self.name}"

    @property
    def place(self) -> str:
        """The path of its folder, relative to the download: "" or with a slash at its end."""
        place = f"{self.base}{self.folder}/" if self.folder else self.base
        return f"{place}{self.deeper}/" if self.deeper else place

    @property
    def label(self) -> str:
        """The class in its file name; "" where there is none, as in Train_12.jpg."""
        match = _FLAT_NAME.fullmatch(self.name)
        return match[1] if match and not split_of(match[1]) else ""


@dataclass(frozen=True)
class Layout:
    """What a downloaded folder holds.

    Args:
        source: the folder.
        prefix: the inner folder that holds train/ or the classes' folders; "" for `source` itself.
        images: the images of "train", "valid" and "test", each in a fixed order.
        has_train: whether there is a training folder; else all images but test ones are "train".
        beside: images outside the folders of splits, where there are such folders.
        others: the files among the images, in the folders of splits and classes, that are none.
        empty: the class folders that have such files alone.
        tables: CSVs and dataset.yaml, at the top or in an outer folder.
        archives: archives, in the same places.
    """

    source: Path
    prefix: str
    images: Mapping[str, tuple[Image, ...]]
    has_train: bool
    beside: tuple[str, ...]
    others: tuple[str, ...]
    empty: tuple[str, ...]
    tables: tuple[str, ...]
    settings: tuple[str, ...]
    archives: tuple[str, ...]


@lru_cache
def split_of(folder: str) -> str | None:
    """The split that a downloaded folder or file is named after; None for other names."""
    if split := split_named(folder):
        return split
    match = _SPLIT.fullmatch(folder)
    return match.lastgroup if match else None


def read_layout(source: Path) -> Layout:
    """Read the layout of a downloaded folder.

    Raises:
        DlError: two folders could be the dataset; a pipe, socket or device is in it.
    """
    prefix, around = _go_in(source)
    top = read_folder(source / prefix)
    splits = {name: split for name in top.folders if (split := split_of(name))}
    images: dict[str, list[Image]] = {"train": [], "valid": [], "test": []}
    read = _Reader(source)
    for folder, split in splits.items():
        images[split] += read.split(f"{prefix}{folder}/", split)
    beside = [Image(prefix, "", name) for name in top.images]
    has_train = "train" in splits.values()
    for folder in top.folders:
        if folder not in splits:
            if has_train:
                names = _listing(source / prefix / folder).images
                beside += [Image(prefix, folder, name) for name in names]
            else:
                beside += read.folder(prefix, folder)
    if not has_train:
        images["train"] = beside
    others = [f"{prefix}{name}" for name in top.others]
    own = {name.rpartition("/")[2] for name in others}
    # where two would get the same name, the inner one counts
    others += [name for name in around if name.rpartition("/")[2] not in own]
    require_files(source, others)
    return Layout(
        source=source,
        prefix=prefix,
        images={split: tuple(found) for split, found in images.items()},
        has_train=has_train,
        beside=tuple(sorted(image.path for image in beside)) if has_train else (),
        others=tuple(read.others),
        empty=tuple(read.empty),
        tables=tuple(name for name in others if name.lower().endswith(".csv")),
        settings=tuple(name for name in others if name.rpartition("/")[2] == SETTINGS),
        archives=tuple(name for name in others if is_archive(name)),
    )


def tell_classes(names: tuple[str, ...]) -> bool:
    """Whether the names of images in one folder hold two or more classes."""
    labels = {Image("", "", name).label for name in names}
    return len(labels) > 1 and "" not in labels


def _go_in(source: Path) -> tuple[str, list[str]]:
    """The folder that is the dataset, relative to the source, and the files outside it."""
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
    """The inner folder that is the dataset; None where this one is.

    Raises:
        DlError: several could be.
    """
    if top.images or any(map(split_of, top.folders)):
        return None
    inside = {name: _listing(folder / name) for name in top.folders}
    holding = [n for n, one in inside.items() if "train" in map(split_of, one.folders)]
    others = [n for n, one in inside.items() if n not in holding and one.images]
    if len(holding) > 1 or (holding and others):
        raise DlError(
            f"Several folders in {shown(folder)} could be the dataset",
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


class _Reader:
    """Reads the images of splits and classes, and notes what is left out.

    Args:
        source: the download; all paths are relative to it.
    """

    def __init__(self, source: Path) -> None:
        self.source = source
        self.others: list[str] = []
        self.empty: list[str] = []

    def split(self, base: str, split: str) -> list[Image]:
        """The images in a split's folder and in its subfolders."""
        listing = read_folder(self.source / base)
        if not listing.images and len(listing.folders) == 1:
            (only,) = listing.folders  # train/train/, from an archive unpacked in its own folder
            names = _listing(self.source / base / only).images
            if split_of(only) == split or (split != "test" and tell_classes(names)):
                return self.split(f"{base}{only}/", split)
        self._leave_out(base, listing)
        images = [Image(base, "", name) for name in listing.images]
        for folder in listing.folders:
            images += self.folder(base, folder, is_class=split != "test")
        return images

    def folder(self, base: str, folder: str, *, is_class: bool = True) -> list[Image]:
        """The images in a class's folder, or any folder of test images, and below."""
        images: list[Image] = []
        before = len(self.others)
        for inner, listing in walk(self.source / base / folder):
            place = "/".join(filter(None, (folder, inner)))
            self._leave_out(f"{base}{place}/", listing)
            images += [Image(base, folder, name, inner) for name in listing.images]
        if is_class and not images and len(self.others) > before:
            self.empty.append(f"{base}{folder}")
        return images

    def _leave_out(self, base: str, listing: Listing) -> None:
        require_files(self.source / base, listing.others)
        tables = (name for name in listing.others if not name.lower().endswith(".csv"))
        self.others += [base + name for name in tables]


def _listing(folder: Path) -> Listing:
    try:
        return read_folder(folder)
    except DlError:  # not readable, such as lost+found
        return Listing((), (), ())

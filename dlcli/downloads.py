"""What people download, brought into the form of a dataset: which file is to go where.

Planning reads folders and writes nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dlcli.dataset import SETTINGS
from dlcli.errors import DlError
from dlcli.folders import Listing, class_images, read_folder, split_named, typed
from dlcli.journal import Move
from dlcli.places import shown

# Kaggle's flat names: cat.12.jpg, golden_retriever-3.png
_FLAT_NAME = re.compile(r"(.+?)[._-]\d+\.[^.]+", re.DOTALL)
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".7z", ".rar")


def plan_organize(source: Path, target: Path) -> list[Move]:
    """Bring a folder as people download it into the form of a dataset.

    Flat files with their class in the name (`train/cat.12.jpg`), class folders with or without a
    `train/` around them, `val/`, `validation/` and `test1/` are all understood. CSV files beside
    them (the sample submission) and `dataset.yaml` come along.

    Args:
        source: the folder to read.
        target: the dataset's folder to be; the same as `source` to organise it in place.

    Returns:
        moves from paths relative to `source` to paths relative to `target`; none where a folder
        that is to be organised in place already is.

    Raises:
        DlError: no such folder, no images to learn from, or images whose class can't be told.
    """
    require_folder(source)
    top = read_folder(source)
    splits = {name: split for name in top.folders if (split := split_named(name))}
    moves = []
    for folder, split in splits.items():
        moves += _folder_moves(source, folder, split)
    if "train" not in splits.values():
        _require_not_nested(source, top)
        moves += _flat_moves(source, "", "train", top.images)
        for folder in set(top.folders) - set(splits):
            names = class_images(source / folder)
            moves += [Move(f"{folder}/{name}", f"train/{folder}/{name}") for name in names]
    if not any(move.target.startswith("train/") for move in moves):
        raise _nothing_to_learn_from(source, top)
    _require_told_apart(source, moves)
    _require_classes_in_train(moves)
    beside = [name for name in top.others if name.lower().endswith(".csv") or name == SETTINGS]
    moves += [Move(name, name) for name in beside]
    return sorted(move for move in moves if source != target or move.source != move.target)


def left_behind(source: Path, moves: Sequence[Move]) -> tuple[str, ...]:
    """The images beside train/, valid/ and test/, which an organize leaves where they are.

    Args:
        source: the folder that is or was organised.
        moves: what `plan_organize` gave for it.
    """
    top = read_folder(source)
    images = [*top.images]
    for folder in top.folders:
        if split_named(folder) is None:
            with suppress(DlError):  # it may not be readable, as lost+found
                images += [f"{folder}/{name}" for name in read_folder(source / folder).images]
    taken = {move.source for move in moves}
    return tuple(sorted(image for image in images if image not in taken))


def require_folder(source: Path) -> None:
    """Refuse, before anything is made, to organise what is no folder.

    Raises:
        DlError: it is an archive or another file, or does not exist.
    """
    if not source.is_file():
        read_folder(source)
    elif source.name.lower().endswith(_ARCHIVES):
        raise DlError(f"{shown(source)} is an archive", hint=_unpack(source))
    else:
        raise DlError(
            f"{shown(source)} is a file",
            why="a folder of images is needed",
            hint=_by_hand(source.parent),
        )


def _folder_moves(source: Path, folder: str, split: str) -> list[Move]:
    """Moves of one folder that is known to be train, valid or test."""
    listing = read_folder(source / folder)
    if split == "test":
        moves = [Move(f"{folder}/{name}", f"test/{name}") for name in listing.images]
    else:
        moves = _flat_moves(source, f"{folder}/", split, listing.images)
    for inner in listing.folders:
        names = class_images(source / folder / inner)
        moves += [Move(f"{folder}/{inner}/{name}", f"{split}/{inner}/{name}") for name in names]
    return moves


def _flat_moves(source: Path, prefix: str, split: str, names: tuple[str, ...]) -> list[Move]:
    """Moves of images that lie side by side and have their class in their names."""
    labels = {name: match[1] for name in names if (match := _FLAT_NAME.fullmatch(name))}
    if len(labels) < len(names):
        example = next(name for name in names if name not in labels)
        raise DlError(
            f"{len(names) - len(labels):,} of {len(names):,} images in {shown(source / prefix)} "
            f"have no class in their names, as {shown(example)}",
            why="flat files are expected to be called like cat.12.jpg",
            hint=_by_hand(source),
        )
    return [Move(prefix + name, f"{split}/{label}/{name}") for name, label in labels.items()]


def _require_not_nested(source: Path, top: Listing) -> None:
    """Refuse a folder around the one that is meant, as many an archive unpacks to."""
    for folder in top.folders:
        if any(split_named(name) == "train" for name in read_folder(source / folder).folders):
            raise DlError(
                f"No images to learn from in {shown(source)}",
                why=f"they seem to be in {shown(source / folder)}",
                hint=f"Run `dl data organize {typed(source / folder)}`.",
            )


def _require_told_apart(source: Path, moves: list[Move]) -> None:
    """Refuse flat files whose names all begin alike: the labels must be elsewhere."""
    train = [move for move in moves if move.target.startswith("train/")]
    labels = {move.target.split("/")[1] for move in train}
    if len(labels) > 1:
        return
    (label,) = labels
    flat = [move.source for move in train if f"/{label}/" not in f"/{move.source}"]
    if flat:
        raise DlError(
            f"The images in {shown(source)} would all be of one class, `{shown(label)}`",
            why=f"that is what their names begin with, as {shown(flat[0])}",
            hint=_by_hand(source),
        )


def _require_classes_in_train(moves: list[Move]) -> None:
    """Refuse images to judge on of a class that there is nothing to learn about."""
    classes: dict[str, set[str]] = defaultdict(set)
    for move in moves:
        split, name, *_ = move.target.split("/")
        classes[split].add(name)
    if strangers := sorted(classes["valid"] - classes["train"]):
        example = next(m for m in moves if m.target.startswith(f"valid/{strangers[0]}/"))
        raise DlError(
            f"Class `{shown(strangers[0])}` has no images to learn from",
            why=f"they are all put aside to judge on, as {shown(example.source)}",
            hint="Put some of them into the training folder, or leave that class out.",
        )


def _nothing_to_learn_from(source: Path, top: Listing) -> DlError:
    if archives := [name for name in top.others if name.lower().endswith(_ARCHIVES)]:
        return DlError(
            f"No images to learn from in {shown(source)}",
            why=f"{shown(archives[0])} is an archive",
            hint=_unpack(source / archives[0]),
        )
    return DlError(
        f"No images to learn from in {shown(source)}",
        why="found no train/, no folder per class, and no files like cat.12.jpg",
        hint=_by_hand(source),
    )


def _unpack(archive: Path) -> str:
    folder = typed(archive.with_suffix(""))
    return f"Unpack it, then name its folder: `unzip {typed(archive)} -d {folder}`."


def _by_hand(source: Path) -> str:
    return (
        f"Put the images of each class into a folder of its name, {shown(source)}/train/<class>/."
    )

"""Plans: which files `dl data` is to move or copy, worked out before any is touched.

A plan is a list of `Move`s with relative paths. Planning reads folders and writes nothing; the
same files and the same seed give the same plan.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.dataset import SETTINGS, Dataset
from dlcli.errors import DlError, ExitCode
from dlcli.folders import Listing, class_images, read_folder, split_named, typed
from dlcli.journal import Move
from dlcli.places import shown

if TYPE_CHECKING:
    from numpy.random import Generator

# 2,000 images judge an accuracy of 0.99 to a quarter of a percentage point, and a large dataset
# does not miss them; a small one would, so there it is a fifth.
VALID_IMAGES = 2_000
VALID_FRACTION = 0.2
SMALL_DATASET = 10_000

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
    beside = [name for name in top.others if name.lower().endswith(".csv") or name == SETTINGS]
    moves += [Move(name, name) for name in beside]
    return sorted(move for move in moves if source != target or move.source != move.target)


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


def plan_split(dataset: Dataset, size: float | None, seed: int) -> list[Move]:
    """Choose a random part of train, in each class the same share, to become valid.

    A class keeps at least one image in train, so one that has a single image keeps that.

    Args:
        size: a number of images, or a fraction of train (a float between 0 and 1); None for 2,000
            images, or a fifth where there are fewer than 10,000.
        seed: of the random choice.

    Raises:
        DlError: more images are asked for than can be spared.
    """
    import numpy as np

    by_class = _by_class(dataset, "train")
    total = len(dataset.splits["train"])
    if size is None:
        size = VALID_IMAGES if total >= SMALL_DATASET else VALID_FRACTION
    if isinstance(size, float):
        size = max(1, round(size * total))
    spare = {name: len(paths) - 1 for name, paths in by_class.items()}
    if size > sum(spare.values()):
        raise DlError(
            f"Can't move {size:,} of {total:,} images to valid/",
            why=f"each class keeps at least one, which leaves {sum(spare.values()):,} to move",
            hint="Ask for fewer, `--valid N`, or add images.",
        )
    shares = apportion({name: len(paths) for name, paths in by_class.items()}, size, most=spare)
    chosen = _choose(by_class, shares, np.random.default_rng(seed))
    return [Move(path, "valid/" + path.removeprefix("train/")) for path in chosen]


def plan_sample(dataset: Dataset, train: int, valid: int, seed: int) -> list[Move]:
    """Choose a random part of a dataset, in each class the same share, for fast experiments.

    Args:
        train: number of images to take from train; all there are where they are fewer.
        valid: likewise from valid.
        seed: of the random choice.

    Returns:
        moves whose source and target are the same relative path.

    Raises:
        DlError: fewer images than classes are asked for, and a class would be lost.
    """
    import numpy as np

    if train < len(dataset.classes):
        raise DlError(
            f"{train:,} is too few for a sample of {len(dataset.classes):,} classes",
            why="it has at least one image of each in train/",
            hint=f"Ask for more: `--train {len(dataset.classes)}` or above.",
            exit_code=ExitCode.USAGE,
        )
    random = np.random.default_rng(seed)
    chosen = []
    for split, size, least in (("train", train, 1), ("valid", valid, 0)):
        by_class = _by_class(dataset, split)
        counts = {name: len(paths) for name, paths in by_class.items()}
        shares = apportion(counts, min(size, sum(counts.values())), least=least)
        chosen += _choose(by_class, shares, random)
    return [Move(path, path) for path in chosen]


def apportion(
    counts: Mapping[str, int], size: int, *, least: int = 0, most: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Share `size` among classes in proportion to their counts, by largest remainder.

    Args:
        counts: how many there are of each.
        size: how many to share out; between `least` each and the sum of `most`.
        least: what each class gets at least.
        most: what each can give at most; its count by default.

    Returns:
        whole numbers that sum to `size`, less than one away from the exact proportion unless a
        bound forbids.
    """
    total = sum(counts.values())
    most = counts if most is None else most
    exact = {name: size * count / total for name, count in counts.items()}
    shares = {name: min(max(int(exact[name]), least), most[name]) for name in counts}
    while (missing := size - sum(shares.values())) != 0:
        step = 1 if missing > 0 else -1
        if not least * len(counts) <= size <= sum(most.values()):
            raise ValueError(f"can't share {size} among {dict(most)}, at least {least} each")
        movable = [n for n in counts if least <= shares[n] + step <= most[n]]
        # ties go to the first by name, so that a plan depends on nothing but the files
        furthest = sorted(movable, key=lambda name: (step * (shares[name] - exact[name]), name))
        for name in furthest[: abs(missing)]:
            shares[name] += step
    return shares


def singletons(dataset: Dataset) -> tuple[str, ...]:
    """The classes with a single image, which a split leaves in train."""
    counts = Counter(dataset.labels("train"))
    return tuple(name for name in dataset.classes if counts[name] == 1)


def _by_class(dataset: Dataset, split: str) -> dict[str, list[str]]:
    by_class = defaultdict(list)
    for path in dataset.splits[split]:
        by_class[dataset.class_of(path)].append(path)
    return dict(sorted(by_class.items()))


def _choose(
    by_class: Mapping[str, list[str]], shares: Mapping[str, int], random: Generator
) -> list[str]:
    chosen = []
    for name, paths in by_class.items():
        rows = random.choice(len(paths), shares[name], replace=False)
        chosen += [paths[row] for row in sorted(rows)]
    return chosen


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

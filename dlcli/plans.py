"""Plans: which files `dl data` is to move or copy, worked out before any is touched.

A plan is a list of `Move`s with relative paths. Planning reads folders and writes nothing; the
same files and the same seed give the same plan.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dlcli.dataset import Dataset
from dlcli.errors import DlError, ExitCode
from dlcli.journal import Move

if TYPE_CHECKING:
    from numpy.random import Generator

# 2,000 images judge an accuracy of 0.99 to a quarter of a percentage point, and a large dataset
# does not miss them; a small one would, so there it is a fifth.
VALID_IMAGES = 2_000
VALID_FRACTION = 0.2
SMALL_DATASET = 10_000


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

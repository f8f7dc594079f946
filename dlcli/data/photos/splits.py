"""Split a dataset, and take a sample of one.

A plan is a list of `Move`s with relative paths. Planning reads folders and writes nothing; the
same files and the same seed give the same plan. Each `to_...` only makes the plan, for `--dry-run`.
`split` and `sample` first finish what was killed, and work under the folder's lock.
"""

from __future__ import annotations

import dataclasses
import filecmp
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.data.dataset import FEATURES, SAMPLE, SETTINGS, SPLITS, dataset_settings
from dlcli.data.journal import FOLDER, Move, Operation, hold, journals, unfinished
from dlcli.data.leftovers import name_left
from dlcli.data.moves import Outcome, carry_out
from dlcli.data.operations import working_in
from dlcli.data.own_files import others_among_own
from dlcli.data.photos.photos import Photos, open_photos, require_trainable
from dlcli.errors import DlError, ExitCode
from dlcli.files.atomic import atomic_folder, digest_of, settle_folder
from dlcli.files.own import is_litter
from dlcli.files.paths import is_file, quoted, shown

if TYPE_CHECKING:
    from numpy.random import Generator


# 2,000 images judge an accuracy of 0.99 to a quarter of a percentage point, and a large dataset
# does not miss them; a small one would, so there it is a fifth.
VALID_IMAGES = 2_000
VALID_FRACTION = 0.2
SMALL_DATASET = 10_000
# In the details of a sample: the digest of the `dataset.yaml` that it got.
SETTINGS_DIGEST = "settings_sha256"


def plan_split(dataset: Photos, size: float | None, seed: int) -> list[Move]:
    """Choose a random part of train to become valid, the same share of each class.

    A class keeps at least one image in train, so a class with a single image keeps that one.

    Args:
        size: a number of images, or a fraction of train (a float between 0 and 1); None for 2,000
            images, or a fifth where there are fewer than 10,000.
        seed: of the random choice.

    Raises:
        DlError: more images are asked for than can be moved.
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
        movable = sum(spare.values())
        raise DlError(
            f"Can't move {size:,} of {total:,} images to valid/",
            why=f"each class keeps at least one, which leaves {movable:,} to move",
            hint=f"Use `--valid {movable}` or less, or add images."
            if movable
            else f"Add images of the same classes to {shown(dataset.root / 'train')}.",
        )
    shares = apportion({name: len(paths) for name, paths in by_class.items()}, size, most=spare)
    chosen = _choose(by_class, shares, np.random.default_rng(seed))
    return [Move(path, "valid/" + path.removeprefix("train/")) for path in chosen]


def plan_sample(dataset: Photos, train: int, valid: int, seed: int) -> list[Move]:
    """Choose a random part of a dataset for fast experiments, the same share of each class.

    Args:
        train: number of images to take from train; all of them where there are fewer.
        valid: likewise from valid.
        seed: of the random choice.

    Returns:
        moves whose source and target are the same relative path.

    Raises:
        DlError: fewer images than classes are asked for, so a class would be lost.
    """
    import numpy as np

    if train < len(dataset.classes):
        raise DlError(
            f"{train:,} is too few for a sample of {len(dataset.classes):,} classes",
            why="it needs at least one image of each class in train/",
            hint=f"Use `--train {len(dataset.classes)}` or more.",
            exit_code=ExitCode.USAGE,
        )
    random = np.random.default_rng(seed)
    chosen = []
    for part, size, least in (("train", train, 1), ("valid", valid, 0)):
        by_class = _by_class(dataset, part)
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


def singletons(dataset: Photos) -> tuple[str, ...]:
    """The classes with a single image, which a split leaves in train."""
    counts = Counter(dataset.labels("train"))
    return tuple(name for name in dataset.classes if counts[name] == 1)


def enough_for_each(dataset: Photos) -> int:
    """How many images to move, so that each class with two images gets one to validate on.

    The least such number, in steps of a twentieth of the images; never more than can be moved.
    """
    counts = Counter((*dataset.labels("train"), *dataset.labels("valid")))
    spare = {name: count - 1 for name, count in counts.items()}
    for twentieths in range(1, 19):
        size = min(round(twentieths / 20 * sum(counts.values())), sum(spare.values()))
        shares = apportion(counts, size, most=spare)
        if all(shares[name] for name in counts if spare[name]):
            return size
    return sum(spare.values())


def _by_class(dataset: Photos, name: str) -> dict[str, list[str]]:
    by_class = defaultdict(list)
    for path in dataset.splits[name]:
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


def split(root: Path, size: float | None, seed: int) -> Outcome:
    """Move a random part of train to valid; see `plan_split`.

    Raises:
        DlError: valid has images already, or more are asked for than can be moved.
    """
    with working_in(root, "split") as (held, finished):
        if finished:
            return finished
        return carry_out(held, to_split(root, size, seed))


def to_split(root: Path, size: float | None, seed: int) -> Operation:
    """The operation that `split` would carry out."""
    dataset = open_photos(root)
    if dataset.splits["valid"]:
        made = journals(root)
        undoable = made and made[-1].name == "split"
        raise DlError(
            f"{shown(root / 'valid')} already holds images",
            why="a dataset is split once",
            hint=f"`dl data undo {quoted(root)}` takes the split back."
            if undoable
            else f"To split again, move them back to {shown(root / 'train')}.",
        )
    moves = plan_split(dataset, size, seed)
    return Operation("split", "move", root, tuple(moves), details={"valid": size, "seed": seed})


def sample(
    root: Path, train: int, valid: int, seed: int, *, replace: bool = False
) -> tuple[Path, Outcome | None]:
    """Copy a random part of a dataset to a folder beside it, `<dataset>-sample`.

    It is built in a hidden folder and renamed into place, so that there is a whole sample or none.
    A sample behind a link, or with files of others in it, is not replaced.

    Args:
        train: images to take from train, all where they are fewer; see `plan_sample`.
        valid: likewise from valid.
        seed: of the random choice.
        replace: replace an existing sample that differs.

    Returns:
        the sample's folder, and what was done; None where the same sample already exists.

    Raises:
        DlError: another sample exists, or there are too few images to take one.
    """
    # a dataset that can only be read does not change meanwhile, unless through somebody else
    with hold(root) if _can_lock(root) else nullcontext():
        operation = to_sample(root, train, valid, seed)
        target = operation.root
        name_left(root.with_name(f".{target.name}.{end}") for end in ("partial", "replaced"))
        settle_folder(target)
        if unfinished(target):  # the undo of an earlier sample
            with working_in(target, "sample"):
                pass
        is_there = os.path.lexists(target)
        if is_there and _is_sample(target, operation, replace):
            return target, None
        with atomic_folder(target, replace=is_there) as built:
            with hold(built) as held:
                held.is_ours = True
                outcome = carry_out(held, dataclasses.replace(operation, root=built), target)
            if outcome.missing:
                raise DlError(
                    f"{len(outcome.missing):,} images disappeared from {shown(root)} during the "
                    "copy",
                    why=f"one of them is {shown(outcome.missing[0])}",
                    hint=f"Run `dl data sample {quoted(root)}` again once nothing else changes "
                    "that folder.",
                )
    return target, outcome


def _can_lock(root: Path) -> bool:
    journals_there = root / FOLDER
    places = (root, journals_there) if journals_there.exists() else (root,)
    return all(os.access(place, os.W_OK) for place in places)


def to_sample(root: Path, train: int, valid: int, seed: int) -> Operation:
    """The operation that `sample` would carry out."""
    dataset = open_photos(root)
    require_trainable(dataset)
    moves = plan_sample(dataset, train, valid, seed)
    if missing := [move.source for move in moves if not (root / move.source).exists()]:
        raise DlError(
            f"{shown(root / missing[0])} does not exist",
            why="it was removed a moment ago, or it is a broken link",
            hint="Remove the link, or put the file back.",
        )
    settings = {}
    if dataset_settings(root) or (root / SETTINGS).exists():  # not what a link may lead to
        moves.append(Move(SETTINGS, SETTINGS))
        settings = {SETTINGS_DIGEST: digest_of(root / SETTINGS)}
    sources = [dataset.fingerprint("train"), dataset.fingerprint("valid")]
    details = {"train": train, "valid": valid, "seed": seed, "fingerprints": sources} | settings
    target = root.with_name(root.name + SAMPLE)
    return Operation("sample", "copy", target, tuple(moves), origin=root, details=details)


def _is_sample(target: Path, operation: Operation, replace: bool) -> bool:
    """Whether a folder is the sample that an operation would make; refuse to overwrite another."""
    samples = [journal.read_header() for journal in journals(target) if journal.name == "sample"]
    if not samples:
        raise DlError(
            f"{shown(target)} was not made by `dl data sample`",
            why="it is not replaced, because it may be the only copy",
            hint="Rename it or move it away.",
        )
    made = samples[-1].details
    # 0.1.0 recorded no digest; and other settings make no other sample
    if all(
        made[key] == operation.details[key] for key in operation.details.keys() - {SETTINGS_DIGEST}
    ):
        return True
    if not replace:
        options = " ".join(f"--{name} {made[name]}" for name in ("train", "valid", "seed"))
        same_files = made["fingerprints"] == operation.details["fingerprints"]
        raise DlError(
            f"{shown(target)} is a different sample",
            why=f"it was made with {options}"
            + ("" if same_files else ", and the dataset has changed since"),
            hint="Add `--replace` to replace it.",
        )
    if target.is_symlink():
        raise DlError(
            f"{shown(target)} is a link to {shown(target.resolve())}",
            why="`dl data sample` replaces no folder behind a link",
            hint=f"Remove the link, `rm {quoted(target)}`, then run the same command again.",
        )
    if stranger := _stranger(target):
        raise DlError(
            f"{shown(target)} is not replaced",
            why=f"it holds {shown(stranger)}, which `dl data sample` did not put there",
            hint="Move it away, or give the folder another name.",
        )
    dataset = operation.source
    if only := _not_in(dataset, target, made.get(SETTINGS_DIGEST)):
        more = f" and {len(only) - 1:,} more" if len(only) > 1 else ""
        raise DlError(
            f"{shown(target)} is not replaced",
            why=f"{shown(only[0])}{more} may be the only copy: {shown(dataset)} has no such file, "
            "or another",
            hint="Move it away, or give the folder another name.",
        )
    return False


def _stranger(sample: Path) -> str:
    """A file, or link, in a sample that neither a journal nor `dl features` put there; "" if none.

    Returns:
        its path, relative to the sample.
    """
    ours = {move.target for journal in journals(sample) for move in journal.read().moves}
    for other in others_among_own(sample):
        return str(other.relative_to(sample))
    for folder, folders, files in os.walk(sample):
        if Path(folder) == sample:
            folders[:] = [name for name in folders if name not in (FOLDER, FEATURES)]
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in (*links, *files):
            path = str(Path(folder, name).relative_to(sample))
            if path not in ours and not is_litter(name):
                return path
    return ""


def _not_in(dataset: Path, sample: Path, settings: str | None) -> list[str]:
    """The files of a sample that its dataset does not hold with the same bytes.

    They were changed since, or removed from the dataset. A journal is not believed: it may be
    somebody else's, and list files that `dl` never copied.

    Args:
        settings: the digest of the `dataset.yaml` that was copied. A file with it was not edited in
            the sample, so it is no loss if the dataset's own was edited since.

    Returns:
        their paths, relative to the sample.
    """
    moves = {move for journal in journals(sample) for move in journal.read().moves}
    inside = os.path.realpath(sample) + os.sep

    def is_in_dataset(move: Move) -> bool:
        copy = sample / move.target
        if move.target == SETTINGS and settings and is_file(copy) and digest_of(copy) == settings:
            return True
        places = [dataset / path for path in (move.source, *_in_each_split(move.target))]
        return any(
            _has_same_bytes(copy, place) and not os.path.realpath(place).startswith(inside)
            for place in places
        )

    there = sorted(move for move in moves if os.path.lexists(sample / move.target))
    return [move.target for move in there if not is_in_dataset(move)]


def _in_each_split(path: str) -> list[str]:
    """Where a file may be after another split of its dataset."""
    rest = path.partition("/")[2]
    return [f"{split}/{rest}" for split in SPLITS] if rest else []


def _has_same_bytes(copy: Path, original: Path) -> bool:
    """Whether two files are equal; False where one is missing or can't be read."""
    with suppress(OSError):
        return filecmp.cmp(copy, original, shallow=False)
    return False

"""The folder of one feature store: manifest, lock, size, removal."""

from __future__ import annotations

import errno
import itertools
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from dlcli.data.dataset import FEATURES, SPLITS
from dlcli.data.own_files import (
    ARRAY,
    BEFORE,
    LOCK,
    MANIFEST,
    ROWS,
    SPLIT_FILES,
    STORE,
    SUFFIXES,
)
from dlcli.data.photos.photos import Photos
from dlcli.errors import DlError
from dlcli.features.key import feature_key, store_name
from dlcli.features.split_log import (
    Listed,
    StoredSplit,
    array_path,
    list_images,
    read_split,
)
from dlcli.files import atomic, locks
from dlcli.files.formats import read_yaml, write_yaml
from dlcli.files.own import (
    NotOwnError,
    others_in,
    remove_known,
    remove_own,
    require_own,
)
from dlcli.files.paths import cache_home, shown
from dlcli.models.forward import Forward


@dataclass(frozen=True)
class StoredFeatures:
    """What `dl features ls` shows of one store.

    Args:
        rows: number of rows of each finished split.
        unfinished: splits whose computation was stopped.
        manifest: the function that made it; {} if it can't be read.
    """

    folder: Path
    rows: dict[str, int]
    unfinished: tuple[str, ...]
    size_bytes: int
    manifest: dict[str, Any]


def store_folder(dataset: Photos, forward: Forward, splits: Iterable[str] = SPLITS) -> Path:
    """The folder of a function's features of some splits, which may not exist yet.

    A dataset that can't be written keeps new stores in the cache folder, where they are found again
    by the dataset's path; so does one whose `features/` is a link. A store that came with the
    dataset is used from there, if it has the features of these splits.
    """
    inside, cached = store_folders(dataset, forward)
    if inside.parent.is_symlink() or (inside.is_dir() and not _is_writable(inside)):
        wanted = [split for split in splits if dataset.splits[split]]
        return inside if all(ready_split(inside, dataset, split) for split in wanted) else cached
    is_new_here = place_of_new_stores(dataset.root) == inside.parent
    return inside if inside.exists() or is_new_here else cached


def place_of_new_stores(root: Path) -> Path:
    """The folder of a dataset's new stores: in the dataset, or in the cache if it is read-only.

    They are in the cache too if the dataset's `features/` is a link. It may lead to files of
    others, so nothing is written or removed there.
    """
    inside, cached = store_places(root)
    if inside.is_symlink():
        return cached
    return inside if _is_writable(inside if inside.is_dir() else root) else cached


def store_folders(dataset: Photos, forward: Forward) -> tuple[Path, Path]:
    """Where a function's features may be: in the dataset's folder, and in the cache."""
    inside, cached = (place / store_name(forward) for place in store_places(dataset.root))
    return inside, cached


def store_places(root: Path) -> tuple[Path, Path]:
    """Where a dataset's stores may be: in its own folder, and in the cache."""
    path = os.path.realpath(root)
    digest = sha256(os.fsencode(path)).hexdigest()[:12]
    return root / FEATURES, cache_home() / FEATURES / f"{root.name}-{digest}"


def _root_of(folder: Path) -> Path:
    """The folder of a store's dataset, or its place in the cache: below, no link is followed."""
    return folder.parents[1] if folder.parent.name == FEATURES else folder.parent


def _is_writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def stored_features(root: Path) -> list[StoredFeatures]:
    """Every store of a dataset, by name."""
    found = []
    manifests = (place.glob(f"*/{MANIFEST}") for place in store_places(root))
    for manifest in (each for found_there in manifests for each in sorted(found_there)):
        folder = manifest.parent
        done = stored_rows(folder)
        begun = tuple(s for s in SPLITS if s not in done and array_path(folder, s).exists())
        function = function_of(folder)
        described = function.describe() if function else {}
        found.append(StoredFeatures(folder, done, begun, size_bytes(folder), described))
    return found


def require_room(count: int, what: str, like: Path, splits: Iterable[str], fewer: str) -> None:
    """Refuse feature stores that don't fit on the disk, before an hour is spent.

    Args:
        count: how many more stores.
        what: a name for them, with their number.
        like: a store of the same size.
        splits: the splits to store.
        fewer: a hint on how to need less.

    Raises:
        DlError: says how much room there is.
    """
    sizes = [size_bytes(array_path(like, split)) for split in splits] * count
    atomic.require_room(
        like,
        sizes,
        f"for {what} beside {shown(like)}",
        f"{fewer}, or free some space: `dl features ls` and `dl features rm` list and remove "
        "features.",
    )


def stored_rows(folder: Path) -> dict[str, int]:
    """The number of rows of each finished split of a store."""
    stored = {split: read_split(folder, split) for split in SPLITS}
    return {split: each.rows for split, each in stored.items() if each and each.finished}


def skipped(folder: Path, split: str) -> dict[str, str]:
    """The images that were left out as unreadable: path -> why."""
    stored = read_split(folder, split)
    return stored.skipped if stored else {}


def rows_of_same_files(
    folder: Path, listing: Iterable[Listed]
) -> Iterator[tuple[StoredSplit, dict[str, int]]]:
    """Find stored rows of the same files, from another split or an earlier state of this one.

    Yields:
        stored rows, and the row number of each image: path -> number.
    """
    wanted = {listed.file: listed.path for listed in listing}
    can_change = _is_writable(folder) and not folder.parent.is_symlink()
    for place in (*_set_aside(folder), folder):
        for split in SPLITS:
            stored = read_split(place, split)
            if stored is None or not (stored.finished or place != folder):
                continue
            stored = stored.believed()
            if not stored.finished and not can_change:  # opening it would write
                continue
            numbers = {
                wanted[listed.file]: number
                for number, listed in enumerate(stored.with_rows)
                if listed.file in wanted
            }
            if numbers:
                yield stored, numbers


def next_before(folder: Path) -> Path:
    """A new folder for setting a split aside, beside those set aside before."""
    places = (folder / BEFORE / str(number) for number in itertools.count())
    return next(place for place in places if not place.exists())


def forget_before(folder: Path, dataset: Photos) -> None:
    """Remove what was set aside, unless a split is still unfinished."""
    places = (folder, *_set_aside(folder))
    begun = [s for s in SPLITS if any(array_path(place, s).exists() for place in places)]
    waiting = [s for s in begun if dataset.splits[s] and not ready_split(folder, dataset, s)]
    if len(places) > 1 and not waiting:
        remove_known(folder / BEFORE, folder, re.compile(rf"\d+|\d+/({SPLIT_FILES})"))


def _set_aside(folder: Path) -> list[Path]:
    """The folders of rows of earlier states."""
    try:
        require_own(folder / BEFORE, folder, folder=True)
    except NotOwnError:
        return []
    return [path for path in (folder / BEFORE).glob("*") if not path.is_symlink()]


def require_own_store(folder: Path) -> None:
    """Refuse a store in which computing would write to files of others, or remove them.

    Leftovers of killed commands go; the store has to be locked.

    Raises:
        NotOwnError: it or something in it is a link, or there is something in a folder of rows.
    """
    require_own(folder, _root_of(folder), folder=True)
    atomic.remove_leftovers(folder)
    for path in others_in(folder, STORE):
        name = path.relative_to(folder).as_posix()
        if STORE.fullmatch(name):
            require_own(path, folder, folder=path.suffix not in SUFFIXES[:3])
        elif path.parent != folder:
            raise NotOwnError(
                f"{shown(path)} is not a file of `dl`",
                why=f"{shown(path.parent)} holds rows of features, which may be made anew",
                hint="Move it elsewhere, then try again. Nothing was changed.",
            )


def require_removable(folder: Path) -> None:
    """Refuse a store behind a dataset's `features/` that is a link.

    Raises:
        NotOwnError: names the real folder.
    """
    if folder.parent == _root_of(folder) / FEATURES and folder.parent.is_symlink():
        real = Path(os.path.realpath(folder))
        command = shlex.join(["rm", "-r", str(real)])
        raise NotOwnError(
            f"{shown(folder)} stays",
            why=f"{shown(folder.parent)} is a link to {shown(real.parent)}, which may be somebody "
            "else's",
            hint=f"If these features are yours, remove them there: `{command}`",
        )


def remove_features(folder: Path) -> list[Path]:
    """Remove one store; the manifest goes last, so that a half-removed store can still be named.

    Returns:
        what stays in its folder, because `dl` did not make it.

    Raises:
        DlError: a process is computing them.
        NotOwnError: the folder is a link, or the dataset's `features/` is one.
    """
    root = _root_of(folder)
    require_removable(folder)
    with held(folder):
        _empty(folder)
        remove_own(folder / MANIFEST, root)
        remove_known(folder, root, STORE)
    return others_in(folder, STORE)


def remove_with_features(root: Path) -> int:
    """Remove a folder that holds nothing but features.

    Returns:
        their size in bytes; 0 if the folder holds something else, and stays.

    Raises:
        DlError: a process is computing them.
    """
    there = root / FEATURES
    if not root.is_dir() or [path.name for path in root.iterdir()] != [FEATURES]:
        return 0
    stores = [store for store in stored_features(root) if store.folder.parent == there]
    if there.is_symlink() or {store.folder for store in stores} != set(there.iterdir()):
        return 0
    if any(others_in(store.folder, STORE) for store in stores):
        return 0
    for store in stores:
        remove_features(store.folder)
    there.rmdir()
    root.rmdir()
    return sum(store.size_bytes for store in stores)


def function_of(folder: Path) -> Forward | None:
    """The function that made a store.

    None if the manifest is missing or damaged, or does not match the folder's name; and if the
    store is a link, while its dataset's `features/` may be one.
    """
    try:
        require_own(folder / MANIFEST, folder.parent)
        function = Forward.from_description(read_yaml(folder / MANIFEST))
        return function if folder.name.endswith(f"-{feature_key(function)}") else None
    except (OSError, DlError, KeyError, TypeError):
        return None


def ready_split(folder: Path, dataset: Photos, split: str) -> StoredSplit | None:
    """One split's rows; None unless they are complete and match its images as they are now."""
    stored = read_split(folder, split)
    if stored is None or function_of(folder) is None or not stored.believed().finished:
        return None
    return stored if stored.is_of(list_images(dataset.root, dataset.splits[split])) else None


def claim(folder: Path, forward: Forward) -> None:
    """Empty a store of another or unknown function, and write this function's manifest."""
    _empty(folder)
    write_yaml(folder / MANIFEST, forward.describe())


def held(folder: Path) -> AbstractContextManager[None]:
    """Lock a store's folder; make it if it is missing.

    Raises:
        DlError: another process works on it; says which.
    """
    doing = f"{shown(folder)} is being worked on"
    return locks.held(folder / LOCK, doing, root=_root_of(folder), make_folder=True)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failed write to a store into an error that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise DlError(
            f"Can't write features to {shown(folder)}",
            why=error.strerror or str(error),
            hint="Free some space, then run the same command again. It resumes from there."
            if full
            else "Make that folder writable, or copy the dataset to one that is.",
        ) from error


def _empty(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if ROWS.fullmatch(path.name) and path.is_dir():
            inside = re.compile(rf"{ARRAY}|\d+|\d+/({SPLIT_FILES})")
            remove_known(path, folder, inside)
        elif ROWS.fullmatch(path.name):
            remove_own(path, folder)
    atomic.remove_leftovers(folder)


def size_bytes(folder: Path) -> int:
    """The size of a folder's files, with subfolders, in bytes."""
    size = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a computation may be running
            size += path.stat().st_size if path.is_file() else 0
    return size

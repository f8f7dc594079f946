"""Reuse stored features where both versions of the rule for pixels give the same.

The versions differ only for images that are turned or scaled (`images.pixels.PixelChange`). The log
of a split names these images. It has them from decoding. For a store of before version 2, their
headers are read once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from dlcli.data.photos.photos import Photos
from dlcli.errors import DlError
from dlcli.features.split_log import Listed, StoredSplit, list_images, read_split
from dlcli.features.store import (
    function_of,
    held,
    rows_of_same_files,
    store_folder,
    store_folders,
    stored_features,
)
from dlcli.images.headers import changed_images
from dlcli.images.pixels import PixelChange
from dlcli.models.forward import Forward


def kept_as(dataset: Photos, forward: Forward, splits: Iterable[str]) -> Forward:
    """The function under whose key the features of some splits are kept.

    That is `forward` itself, or the same by the other version of the rule for pixels: if only that
    has a store, and no image of these splits is one for which the versions differ.
    """
    other = _by_other_rule(forward)
    splits = tuple(splits)
    folder, own = (store_folder(dataset, each, splits) for each in (other, forward))
    if function_of(folder) is None or function_of(own) is not None:
        return forward
    same = not any(changed_of(folder, dataset, split) for split in splits)
    return other if same else forward


def changed_of(folder: Path, dataset: Photos, split: str) -> Mapping[str, Sequence[PixelChange]]:
    """The images of a split that version 2 of the rule turns or scales: path -> what it does.

    Args:
        folder: a store that may have recorded them; what is found out for its rows is recorded.
    """
    paths = dataset.splits[split]
    stored = read_split(folder, split)
    if stored is None or not stored.finished or not stored.is_of(list_images(dataset.root, paths)):
        return changed_images(dataset.root, paths)
    if stored.changed is not None:
        return stored.changed
    changed = changed_images(dataset.root, paths)
    with suppress(OSError, DlError), held(folder):  # it may be closed, or in use
        if read_split(folder, split) == stored and stored.believed().finished:
            stored.record_changed(changed)
    return changed


def changed_in(dataset: Photos) -> dict[str, Sequence[PixelChange]]:
    """The images of a dataset that version 2 of the rule turns or scales: path -> what it does.

    A split's headers are read only if no store has recorded these images: that takes 0.1 ms each.
    """
    stores = [store.folder for store in stored_features(dataset.root)]
    changed: dict[str, Sequence[PixelChange]] = {}
    for split, paths in dataset.splits.items():
        listing = list_images(dataset.root, paths) if stores else ()
        for folder in stores:
            stored = read_split(folder, split)
            recorded = stored.changed if stored and stored.finished else None
            if stored and recorded is not None and stored.is_of(listing):
                changed |= recorded
                break
        else:
            changed |= changed_images(dataset.root, paths)
    return changed


def rows_to_keep(
    dataset: Photos, forward: Forward, listing: Sequence[Listed]
) -> Iterator[tuple[StoredSplit, dict[str, int], Mapping[str, Sequence[PixelChange]]]]:
    """Find stored rows of the same files that this function would compute again.

    Yields:
        stored rows; the row number of each image, path -> number; and which of these images are
        turned or scaled.
    """
    for function in (_by_other_rule(forward), forward):
        for folder in store_folders(dataset, function):
            if function_of(folder) != function:
                continue
            for stored, numbers in rows_of_same_files(folder, listing):
                changed = changed_images(dataset.root, numbers)
                if function != forward:
                    numbers = {path: row for path, row in numbers.items() if path not in changed}
                yield stored, numbers, changed


def _by_other_rule(forward: Forward) -> Forward:
    return forward.by_rule(1 if forward.pixels.version == 2 else 2)

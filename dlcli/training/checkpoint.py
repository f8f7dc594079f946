"""Checkpoints: what a resume needs, written atomically after every epoch.

    checkpoint/state.npz      weights that train, optimizer, and the progress of training
    checkpoint/best-3.npz     the weights of the best epoch so far

Frozen weights are not stored: they come from the backbone's own file.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dlcli.errors import DlError
from dlcli.files.atomic import atomic
from dlcli.files.formats import damaged, opened, parse_json
from dlcli.files.own import own_folder, remove_known, remove_own
from dlcli.files.typed import read_as
from dlcli.runs.run import CHECKPOINT

if TYPE_CHECKING:
    import numpy as np

STATE = "state.npz"
_DAMAGED_HINT = "Train a new run: this one can't be resumed."
# Errors of reading a file that is gone, or that names a place in it that there can't be; others are
# those of the disk.
_OF_CONTENT = (errno.ENOENT, errno.EINVAL)

# A checkpoint of the largest network has a tenth of that.
_MOST_BYTES = 1 << 35


@dataclass
class Progress:
    """The progress of training at the end of an epoch.

    Args:
        phase: the number of the phase, from 0.
        phase_epochs: finished epochs of that phase.
        best_epoch: the epoch with the lowest valid loss, from 1; 0 before the first.
        best_phase: the phase of that epoch.
        best_loss: the loss of that epoch.
        since_best: epochs of this phase since the best one, for early stopping.
        history: one row per finished epoch.
        seconds: duration of these epochs.
    """

    phase: int = 0
    phase_epochs: int = 0
    best_epoch: int = 0
    best_phase: int = 0
    best_loss: float = float("inf")
    since_best: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class _Row:
    """What is read of a row of the history, besides its scores."""

    epoch: int
    phase: str
    val_loss: float


_ROW = {each.name for each in fields(_Row)}


def save_checkpoint(
    folder: Path,
    progress: Progress,
    weights: Sequence[np.ndarray],
    optimizer: Sequence[np.ndarray],
    judged: Sequence[np.ndarray] | None = None,
) -> None:
    """Write the end of an epoch.

    The best epoch's weights are written first, under their own name, so that a stop between the
    two writes leaves the older pair intact.

    Args:
        folder: the run's `checkpoint/`.
        weights: those that train, in the model's order.
        optimizer: its variables.
        judged: the weights with this valid loss, if they are running means; None: `weights`.
    """
    with own_folder(folder, folder.parent, make=True):
        pass
    if progress.best_epoch == len(progress.history):
        save_best(folder, progress, judged or weights)
    _save(folder / STATE, weights=weights, optimizer=optimizer, progress=asdict(progress))
    for file in folder.glob("best-*.npz"):
        if file != best_file(folder, progress) and re.fullmatch(CHECKPOINT, file.name):
            file.unlink()


def save_best(folder: Path, progress: Progress, weights: Sequence[np.ndarray]) -> None:
    """Write the best epoch's weights alone."""
    _save(best_file(folder, progress), weights=weights)


def load_checkpoint(
    folder: Path, scores: Iterable[str] = ()
) -> tuple[Progress, list[np.ndarray], list[np.ndarray]]:
    """Read the end of the last finished epoch: progress, weights, optimizer.

    Args:
        folder: the run's `checkpoint/`.
        scores: the names of the scores that the history has of each epoch, see `Job`.

    Raises:
        DlError: there is none, or it is damaged.
    """
    file = folder / STATE
    arrays = _read(file)
    try:
        progress: Progress = read_as(Progress, parse_json(str(arrays["progress"])), "progress")
        _require_sound(progress, [f"val_{name}" for name in scores])
        return progress, _numbered(arrays, "weights"), _numbered(arrays, "optimizer")
    except (KeyError, ValueError) as error:
        raise damaged(file, error, _DAMAGED_HINT) from error


def load_best(folder: Path, progress: Progress) -> list[np.ndarray]:
    """The weights of the best epoch, in the model's order.

    Raises:
        DlError: they are missing or damaged.
    """
    file = best_file(folder, progress)
    arrays = _read(file)
    try:
        return _numbered(arrays, "weights")
    except (KeyError, ValueError) as error:
        raise damaged(file, error, _DAMAGED_HINT) from error


def of_another_network(file: Path) -> DlError:
    """The error of weights that don't fit the network of their run."""
    return damaged(file, "its weights are not those of this run's network", _DAMAGED_HINT)


def has_checkpoint(folder: Path) -> bool:
    """Whether at least one epoch is finished."""
    return (folder / STATE).is_file()


def remove_checkpoint(folder: Path) -> None:
    """Remove the checkpoint, its state first, so that an interrupted removal leaves none."""
    remove_own(folder / STATE, folder.parent)
    remove_known(folder, folder.parent, re.compile(CHECKPOINT))


def best_file(folder: Path, progress: Progress) -> Path:
    """The file of the best epoch's weights."""
    return folder / f"best-{progress.best_epoch}.npz"


def _save(path: Path, **values: Any) -> None:
    import numpy as np

    arrays: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            arrays[name] = np.array(json.dumps(value))
        else:
            arrays |= {f"{name}-{i}": array for i, array in enumerate(value)}
    with atomic(path, path.parents[1]) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def _require_sound(progress: Progress, columns: Iterable[str]) -> None:
    """Refuse a progress that no training has had.

    Raises:
        ValueError: says which value is wrong.
    """
    for name in ("phase", "phase_epochs", "best_epoch", "best_phase", "since_best"):
        if getattr(progress, name) < 0:
            raise ValueError(f"`progress.{name}` is below 0")
    for number, row in enumerate(progress.history, start=1):
        read_as(_Row, {name: row[name] for name in row if name in _ROW}, f"history.{number}")
        for column in columns:
            read_as(float, row.get(column), f"history.{number}.{column}")
        if row["epoch"] != number or row.keys() != progress.history[0].keys():
            raise ValueError(f"`history.{number}` is not the row of that epoch")
    if progress.best_epoch > len(progress.history):
        raise ValueError("`progress.best_epoch` is not in its history")


def _read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that `_save` wrote; none takes more memory than its file has bytes.

    Raises:
        DlError: it is missing or damaged.
        MemoryError, OSError: it may be whole, but memory or the disk fails.
    """
    from zipfile import ZIP_STORED, ZipFile

    try:
        with opened(path, _MOST_BYTES) as file, ZipFile(file) as archive:
            members = archive.infolist()
            if any(member.compress_type != ZIP_STORED for member in members):
                raise ValueError("it is compressed")
            if sum(member.file_size for member in members) > os.fstat(file.fileno()).st_size:
                raise ValueError("it is shorter than what it holds")
            return {
                member.filename.removesuffix(".npy"): _array(archive.read(member))
                for member in members
            }
    except (DlError, MemoryError):
        raise
    # damaged bytes make the readers of archives and of Python's literals raise almost anything
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in _OF_CONTENT:
            error.filename = str(path)
            raise
        raise damaged(path, error, _DAMAGED_HINT) from error


def _array(data: bytes) -> np.ndarray:
    """An array of numbers or a text, as NumPy saves it; of copied data, so that it can be changed.

    Raises:
        MemoryError: there is none for the copy.
        Exception: it is damaged.
    """
    import numpy as np
    from numpy.lib import format as npy

    file = io.BytesIO(data)
    if npy.read_magic(file) != (1, 0):
        raise ValueError("it was not written by `dl`")
    try:
        shape, fortran, kind = npy.read_array_header_1_0(file)
    except MemoryError as error:  # so Python's parser says that a literal is nested too deeply
        raise ValueError("an array's header can't be read") from error
    if kind.kind not in "fiubU" or any(length < 0 for length in shape):
        raise ValueError(f"it holds {kind} of the shape {shape}")
    start = file.tell()
    if math.prod(shape) * kind.itemsize != len(data) - start:
        raise ValueError("an array has another size than it says")
    order: Literal["F", "C"] = "F" if fortran else "C"
    return np.ndarray(shape, kind, data, start, order=order).copy(order)


def _numbered(arrays: Mapping[str, np.ndarray], name: str) -> list[np.ndarray]:
    count = sum(key.startswith(f"{name}-") for key in arrays)
    return [arrays[f"{name}-{i}"] for i in range(count)]

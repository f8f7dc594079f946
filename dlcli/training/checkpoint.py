"""Checkpoints: what a resume needs, written atomically after every epoch.

    checkpoint/state.npz      weights that train, optimizer, and the progress of training
    checkpoint/best-3.npz     the weights of the best epoch so far

Frozen weights are not stored: they come from the backbone's own file.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.files.atomic import atomic
from dlcli.files.formats import damaged

if TYPE_CHECKING:
    import numpy as np

STATE = "state.npz"
_DAMAGED_HINT = "Train a new run: this one can't be resumed."


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
    folder.mkdir(exist_ok=True)
    if progress.best_epoch == len(progress.history):
        save_best(folder, progress, judged or weights)
    _save(folder / STATE, weights=weights, optimizer=optimizer, progress=asdict(progress))
    for file in folder.glob("best-*.npz"):
        if file != best_file(folder, progress):
            file.unlink()


def save_best(folder: Path, progress: Progress, weights: Sequence[np.ndarray]) -> None:
    """Write the best epoch's weights alone."""
    _save(best_file(folder, progress), weights=weights)


def load_checkpoint(
    folder: Path,
) -> tuple[Progress, list[np.ndarray], list[np.ndarray]]:
    """Read the end of the last finished epoch: progress, weights, optimizer.

    Raises:
        DlError: there is none, or it is damaged.
    """
    import zipfile

    import numpy as np

    try:
        with np.load(folder / STATE, allow_pickle=False) as file:
            progress = Progress(**json.loads(str(file["progress"])))
            return progress, _arrays(file, "weights"), _arrays(file, "optimizer")
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise damaged(folder / STATE, error, _DAMAGED_HINT) from error


def load_best(folder: Path, progress: Progress) -> list[np.ndarray]:
    """The weights of the best epoch, in the model's order.

    Raises:
        DlError: they are missing or damaged.
    """
    import zipfile

    import numpy as np

    path = best_file(folder, progress)
    try:
        with np.load(path, allow_pickle=False) as file:
            return _arrays(file, "weights")
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise damaged(path, error, _DAMAGED_HINT) from error


def has_checkpoint(folder: Path) -> bool:
    """Whether at least one epoch is finished."""
    return (folder / STATE).is_file()


def remove_checkpoint(folder: Path) -> None:
    """Remove the checkpoint, its state first, so that an interrupted removal leaves none."""
    (folder / STATE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


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
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def _arrays(file: Any, name: str) -> list[np.ndarray]:
    count = sum(key.startswith(f"{name}-") for key in file.files)
    return [file[f"{name}-{i}"] for i in range(count)]

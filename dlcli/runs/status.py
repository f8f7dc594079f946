"""A run's status in `status.yaml`: its state as it is now, its epoch, its scores."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dlcli.errors import DlError
from dlcli.evaluation.scores import NAMES
from dlcli.files.formats import read_bytes, read_yaml
from dlcli.files.own import is_own_file
from dlcli.files.typed import read_as
from dlcli.process import at_work

# The types of a status's values; others may have any.
_TYPES = {
    **dict.fromkeys(("state", "started", "finished", "reason", "recipe", "predicts_from"), str),
    **dict.fromkeys(("epoch", "best_epoch", "planned_epochs", "parameters"), int),
    **dict.fromkeys((f"{of}_{name}" for of in ("val", "train") for name in NAMES), float),
    "seconds": float,
    **dict.fromkeys(("predicted", "diagnosis", "owner"), Mapping[str, Any]),
}

STATES = ("running", "finished", "failed", "interrupted")


def true_status(file: Path, lock_file: Path) -> dict[str, Any]:
    """What the file holds, with a state that is true now.

    Args:
        file: a run's `status.yaml`.
        lock_file: names the process that works on the run, while one does.
    """
    status = written_status(file)
    if status.get("state") not in STATES:
        return status | {"state": "failed"}
    if status["state"] == "running" and not at_work(status, lock_file):
        return status | {"state": "interrupted"}
    return status


def written_status(file: Path) -> dict[str, Any]:
    """What the file holds; {} if it is missing or damaged."""
    try:
        status = read_yaml(file) if is_own_file(file) else None
    except DlError:  # one damaged file must not hide all other runs
        return {}
    return _sound(status) if isinstance(status, dict) else {}


def is_damaged(file: Path) -> bool:
    """Whether the file is empty or cut short."""
    with suppress(OSError, DlError):
        whole = read_bytes(file).endswith(b"\n")
        return not whole or not written_status(file)
    return True


def _sound(status: Mapping[Any, Any]) -> dict[str, Any]:
    """A status without values of another type than they are written in."""
    kept = {}
    for name, value in status.items():
        try:
            kept[name] = read_as(_TYPES.get(name, Any), value, str(name))
        except ValueError:
            continue
    return kept

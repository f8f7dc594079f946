"""A run's record in `config.yaml`: how the run was made, as typed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dlcli.data.dataset import SPLITS
from dlcli.files.formats import damaged
from dlcli.files.typed import read_as
from dlcli.images.pixels import PixelRule
from dlcli.models.forward import Forward
from dlcli.runs.changes import Change
from dlcli.settings.schedule import MOST_EPOCHS
from dlcli.settings_file import RECORD

# The recipe that the record of an ensemble names.
ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class RecordedDataset:
    """The dataset as it was when the run began.

    Args:
        fingerprints: of each split's images.
        images: how many each split had.
    """

    path: Path
    fingerprints: Mapping[str, str]
    images: Mapping[str, int]


@dataclass(frozen=True)
class RecordedMember:
    """A member of an ensemble, with its scores when the ensemble was made."""

    name: str
    path: Path
    val_accuracy: float
    val_loss: float


@dataclass(frozen=True)
class RunRecord:
    """How a run was made.

    Args:
        recipe: the recipe's name; "ensemble" for an ensemble.
        recipe_file, recipe_digest: a project recipe's file, and a hash of its text.
        dataset: the dataset.
        forward: the function from image to feature; None if the network takes pixels.
        pixels: how files become pixels if images go through the network; None for an ensemble.
        pseudo_labels: the digest of the test images' pseudo-labels.
        changes: changes by `dl resume`.
        members: the members of an ensemble; empty for a trained run.
        command, host, git, versions: command, machine and software that made it.
    """

    recipe: str
    dataset: RecordedDataset
    command: str
    host: str
    versions: Mapping[str, str]
    git: str | None = None
    forward: Forward | None = None
    pixels: PixelRule | None = None
    pseudo_labels: str | None = None
    recipe_file: Path | None = None
    recipe_digest: str | None = None
    changes: tuple[Change, ...] = ()
    members: tuple[RecordedMember, ...] = ()


def read_record(file: Path, config: Mapping[str, Any]) -> RunRecord:
    """Read the record in a run's `config.yaml`.

    Args:
        file: the file, to name it in errors.
        config: its content.

    Raises:
        DlError: a value is missing or has another type; names its key.
    """
    known = {field.name for field in fields(RunRecord)}
    held = {key: value for key, value in config[RECORD].items() if key in known}
    try:
        record: RunRecord = read_as(RunRecord, held, RECORD)
        for split in SPLITS:
            if split not in record.dataset.fingerprints:
                raise ValueError(f"`{RECORD}.dataset.fingerprints.{split}` is missing")
        for number, change in enumerate(record.changes):
            if change.epochs is not None and not 0 <= change.after <= change.epochs <= MOST_EPOCHS:
                raise ValueError(f"`{RECORD}.changes.{number}.epochs` can't be {change.epochs:,}")
        if not record.members and record.pixels is None:
            raise ValueError(f"`{RECORD}.pixels` is missing")
    except ValueError as error:
        hint = "Restore the file, mend that line, or take another run."
        raise damaged(file, error, hint) from error
    return record

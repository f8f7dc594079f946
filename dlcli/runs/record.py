"""A run's record in `config.yaml`: how the run was made, as typed values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dlcli.data.dataset import SPLITS, UNMARKED
from dlcli.evaluation.scores import NAMES
from dlcli.files.formats import damaged
from dlcli.files.typed import read_as
from dlcli.images.pixels import PixelRule
from dlcli.models.forward import Forward
from dlcli.runs.changes import Change
from dlcli.settings.schedule import MOST_EPOCHS
from dlcli.settings_file import RECORD

# For each kind of dataset what its record must have.
NEEDED: Mapping[str, Callable[[RunRecord], Mapping[str, Any]]] = {
    "photos": lambda record: {
        "dataset.images": record.dataset.images,
        "pixels": record.members or record.pixels,
    },
    "ratings": lambda record: {"dataset.ratings": record.dataset.ratings},
}
# The recipe that the record of an ensemble names.
ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class RecordedDataset:
    """The dataset as it was when the run began.

    Args:
        fingerprints: of each split's examples.
        images, ratings: how many each split had; one of the two, by the dataset's kind.
    """

    path: Path
    fingerprints: Mapping[str, str]
    images: Mapping[str, int] | None = None
    ratings: Mapping[str, int] | None = None

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many examples each split had."""
        return self.images or self.ratings or {}


@dataclass(frozen=True)
class RecordedMember:
    """A member of an ensemble, with its scores when the ensemble was made."""

    name: str
    path: Path
    val_loss: float
    val_accuracy: float | None = None
    val_rmse: float | None = None

    @property
    def scores(self) -> dict[str, float]:
        """The scores by their names, see `evaluation.scores`."""
        found = {name: getattr(self, f"val_{name}") for name in NAMES}
        return {name: value for name, value in found.items() if value is not None}

    def describe(self) -> dict[str, Any]:
        """What `config.yaml` says of it."""
        scores = {f"val_{name}": value for name, value in self.scores.items()}
        return {"name": self.name, "path": str(self.path), **scores}


@dataclass(frozen=True)
class RunRecord:
    """How a run was made.

    Args:
        recipe: the recipe's name; "ensemble" for an ensemble.
        kind: of dataset.
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
    kind: str = UNMARKED
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
        if record.kind not in NEEDED:
            raise ValueError(f"`{RECORD}.kind` is {record.kind!r:.40}, which `dl` does not know")
        for key, held in NEEDED[record.kind](record).items():
            if not held and held != {}:
                raise ValueError(f"`{RECORD}.{key}` is missing")
    except ValueError as error:
        hint = "Restore the file, mend that line, or take another run."
        raise damaged(file, error, hint) from error
    return record

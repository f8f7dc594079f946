"""A dataset: a folder of examples in splits. What datasets of every kind have.

A dataset of each kind has its own package beside this module, see `dlcli.data.kinds`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from dlcli.errors import DlError, did_you_mean
from dlcli.files.formats import read_yaml
from dlcli.files.paths import is_file, is_folder, shown
from dlcli.words import short

SPLITS = ("train", "valid", "test")
SETTINGS = "dataset.yaml"
FEATURES = "features"
KAGGLE = "kaggle"
# The name of a sample is its dataset's with this at the end.
SAMPLE = "-sample"

# The file at its root that marks a dataset's kind. A folder with none of them is read as photos,
# which need no mark.
MARKS = {"ratings": "ratings.yaml"}
UNMARKED = "photos"
# What one example of each kind is called.
NOUNS = {"photos": "image", "ratings": "rating"}


@dataclass(frozen=True)
class Dataset(ABC):
    """What datasets of every kind have.

    Args:
        root: absolute path of the folder.

    Attributes:
        kind: the name of the kind, as `MARKS` has it.
        noun: what one example is called, as in `NOUNS`.
        why_changed: why fingerprints differ, in an error.
        how_to_copy: how to copy a dataset so that they don't differ.
    """

    root: Path

    kind: ClassVar[str]
    noun: ClassVar[str]
    why_changed: ClassVar[str]
    how_to_copy: ClassVar[str]

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.root.name

    @property
    @abstractmethod
    def sizes(self) -> Mapping[str, int]:
        """How many examples each of `SPLITS` has."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of its examples; none if they have none."""
        return ()

    @abstractmethod
    def fingerprint(self, split: str) -> str:
        """Sixteen hex digits that change when the examples of a split change.

        Args:
            split: one of `SPLITS`.
        """

    def fingerprints(self) -> dict[str, str]:
        """Each split's fingerprint, as its files are now."""
        return {split: self.fingerprint(split) for split in SPLITS}


def kind_of(root: Path) -> str:
    """The kind of the dataset in a folder; `UNMARKED` also for a folder that is not a dataset."""
    return next((kind for kind, mark in MARKS.items() if is_file(root / mark)), UNMARKED)


def require_kind(root: Path, wanted: str) -> None:
    """Refuse a dataset of another kind than a command can use.

    Raises:
        DlError: names both kinds.
    """
    kind = kind_of(root)
    if kind != wanted:
        raise DlError(
            f"{shown(root)} is a dataset of {kind}, not of {wanted}",
            hint=f"Name a dataset of {wanted}: `-d DATASET`. `dl data ls` lists datasets.",
        )


def is_dataset(root: Path) -> bool:
    """Whether a folder looks like a dataset: it has a train/, or the mark of a kind."""
    return is_folder(root / "train") or kind_of(root) in MARKS


def whole_of(root: Path) -> Path | None:
    """The dataset that a folder is a sample of; None where it isn't one, or the dataset is gone."""
    name = root.name.removesuffix(SAMPLE)
    if name in ("", root.name):
        return None
    whole = root.with_name(name)
    return whole if whole.is_dir() else None


def dataset_settings(root: Path) -> dict[str, Any]:
    """What `dataset.yaml` says about a dataset; {} where there is none.

    Raises:
        DlError: the file is not a YAML mapping, or has an unknown key.
    """
    path = root / SETTINGS
    if not path.exists():
        return {}
    value = read_yaml(path)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DlError(
            f"{shown(path)} is not a file of settings",
            why=f"expected lines of `key: value`, found a {type(value).__name__}",
            hint="Mend or remove the file.",
        )
    for name in map(str, value):
        if name != KAGGLE:
            raise DlError(
                f"{shown(path)}: no setting is called `{short(name)}`",
                hint=f"{did_you_mean(name, (KAGGLE,))} This file takes only the block `{KAGGLE}:`.",
            )
    return value

"""A run's record in `config.yaml`: how the run was made, as typed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from dlcli.config import RECORD
from dlcli.data.dataset import SPLITS
from dlcli.files.formats import damaged
from dlcli.images.pixels import PixelRule
from dlcli.models.forward import Forward
from dlcli.runs.changes import Change

# The recipe that the record of an ensemble names.
ENSEMBLE = "ensemble"

_WORDS = {str: "text", Path: "text", int: "a whole number", float: "a number", tuple: "a list"}


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
        record: RunRecord = _read(RunRecord, held, RECORD)
        for split in SPLITS:
            if split not in record.dataset.fingerprints:
                raise ValueError(f"`{RECORD}.dataset.fingerprints.{split}` is missing")
        if not record.members and record.pixels is None:
            raise ValueError(f"`{RECORD}.pixels` is missing")
    except ValueError as error:
        hint = "Restore the file, mend that line, or take another run."
        raise damaged(file, error, hint) from error
    return record


def _read(kind: Any, held: Any, key: str) -> Any:
    """Convert a YAML value to the type of an annotation, a block to a mapping or dataclass.

    Raises:
        ValueError: it is missing, unknown or of another type; names its key.
    """
    form, inside = get_origin(kind), get_args(kind)
    if form in (Union, UnionType):
        return None if held is None else _read(inside[0], held, key)
    if form is Literal and held in inside:
        return held
    if form is tuple and isinstance(held, list):
        return tuple(_read(inside[0], each, f"{key}.{n}") for n, each in enumerate(held))
    if form is Mapping and isinstance(held, dict):
        return {name: _read(inside[1], each, f"{key}.{name}") for name, each in held.items()}
    if is_dataclass(kind) and isinstance(held, dict):
        return _read_block(kind, held, key)
    if kind is Path and isinstance(held, str):
        return Path(held)
    # by its exact type: `true` is an `int` too
    if type(held) is kind or (kind is float and type(held) is int):
        return held
    expected = _WORDS.get(form or kind, "a block of `key: value`")
    if form is Literal:
        expected = " or ".join(map(str, inside))
    raise ValueError(f"`{key}` should be {expected}, not {held!r:.40}")


def _read_block(kind: Any, held: Mapping[str, Any], key: str) -> Any:
    kinds = get_type_hints(kind)
    for name in held:
        if name not in kinds:
            raise ValueError(f"this version of `dl` does not know `{key}.{name}`")
    for field in fields(kind):
        if field.name not in held and field.default is MISSING:
            raise ValueError(f"`{key}.{field.name}` is missing")
    return kind(**{name: _read(kinds[name], each, f"{key}.{name}") for name, each in held.items()})

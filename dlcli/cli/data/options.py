"""The options of those commands of `dl data` that work on datasets of every kind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SplitOptions:
    """The options of `dl data split`."""

    valid: float | None
    by: str | None
    new_users: bool
    again: bool
    dry_run: bool
    as_json: bool


@dataclass(frozen=True)
class SampleOptions:
    """The options of `dl data sample`; None for what was not typed."""

    train: int | None
    valid: int | None
    users: int | None
    replace: bool
    dry_run: bool
    as_json: bool


@dataclass(frozen=True)
class UndoOptions:
    """The options of `dl data undo`."""

    drop: bool
    yes: bool
    dry_run: bool
    as_json: bool

"""The commands of `dl data` by the kind of a dataset: what each kind's module has to have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from dlcli.cli.data.options import SampleOptions, SplitOptions, UndoOptions
    from dlcli.data.choice import Choice


class Commands(Protocol):
    """What the module of each kind has: a function for each command, which prints its result."""

    def row(self, root: Path) -> dict[str, Any]:
        """What the list of datasets says about one."""

    def split(self, root: Path, seed: int, options: SplitOptions) -> None:
        """Choose what is valid."""

    def sample(self, root: Path, seed: int, options: SampleOptions) -> None:
        """Copy a part to a dataset beside it."""

    def undo(self, root: Path, before: Choice | None, options: UndoOptions) -> None:
        """Take back the last operation; `before` is what an earlier command named last."""

    def ls(self, root: Path, as_json: bool) -> None:
        """List what is in a dataset."""

    def check(self, root: Path, as_json: bool) -> bool:
        """Look for faults; whether one is serious."""


def _photos() -> Commands:
    from dlcli.cli.data import photos

    return photos


def _ratings() -> Commands:
    from dlcli.cli.data import ratings

    return ratings


COMMANDS: Mapping[str, Callable[[], Commands]] = {"photos": _photos, "ratings": _ratings}


def commands_of(root: Path) -> Commands:
    """The commands for the dataset in a folder."""
    from dlcli.data.dataset import kind_of

    return COMMANDS[kind_of(root)]()


def row_of(root: Path) -> dict[str, Any]:
    """What the list of datasets says about the one in a folder."""
    return commands_of(root).row(root)

"""An ensemble's members: find their runs, and require the same classes of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.inference.predictions import names_are
from dlcli.runs.record import RecordedMember
from dlcli.runs.run import Run


def members_of(run: Run) -> list[Run]:
    """The runs of an ensemble: at their recorded paths, or beside the ensemble.

    Raises:
        DlError: one is gone, or the ensemble is among its own members.
    """
    _refuse_cycle(run, ())
    members = [(each, _find(run, each)) for each in run.record.members]
    gone = [each for each, member in members if member is None]
    if gone:
        raise DlError(
            f"{gone[0].name}, a member of {run.name}, is gone",
            why=f"it is not at {shown(gone[0].path)}, and an ensemble can't predict without it",
            hint="Put it back, or make an ensemble of other runs: `dl ensemble RUN RUN`.",
        )
    return [member for _, member in members if member is not None]


def _find(run: Run, recorded: RecordedMember) -> Run | None:
    path = recorded.path
    # the folder of all runs may have moved as a whole, for example to another machine
    moved = run.path.parent.parent / path.parent.name / path.name
    return next((Run(place) for place in (path, moved) if Run(place).is_run), None)


def _refuse_cycle(run: Run, above: tuple[Path, ...]) -> None:
    if run.path in above:
        raise DlError(
            f"{run.name} is a member of itself",
            why="an ensemble can't be computed from itself",
            hint=f"Mend `members` in {shown(run.config_file)}, or take another run.",
        )
    for recorded in run.record.members:
        if member := _find(run, recorded):
            _refuse_cycle(member, (*above, run.path))


def require_same_classes(runs: Sequence[Run]) -> None:
    """Refuse runs with different classes.

    Raises:
        DlError: says which classes differ.
    """
    first, *others = runs
    for run in others:
        known, here = set(first.classes), set(run.classes)
        if known != here:
            only = [
                f"{names_are(names)} only in {of.name}"
                for names, of in ((known - here, first), (here - known, run))
                if names
            ]
            raise DlError(
                f"{first.name} and {run.name} have different classes",
                why=", ".join(only),
                hint="Make an ensemble of runs with the same classes.",
            )

"""An ensemble's members: find their runs, and require the same classes of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.images.pixels import NEWEST, RuleVersion
from dlcli.inference.predictions import different_classes
from dlcli.runs.choice import missing_members
from dlcli.runs.run import Run


def members_of(run: Run) -> list[Run]:
    """The runs of an ensemble: at their recorded paths, or beside the ensemble.

    Raises:
        DlError: one is gone, or the ensemble is among its own members.
    """
    _refuse_cycle(run, ())
    if gone := missing_members(run):
        names = ", ".join(each.name for each in gone)
        left = [each.name for each in run.record.members if each not in gone]
        hint = f"Put back {shown(gone[0].path)}, or name another run: `dl runs` lists them."
        if len(left) > 1:
            hint += f"\nMake an ensemble of the other members: `dl ensemble {' '.join(left)}`."
        raise DlError(
            f"The ensemble {run.name} can't predict",
            why=f"its members {names} are gone" if len(gone) > 1 else f"its member {names} is gone",
            hint=hint,
        )
    found = (run.member(each) for each in run.record.members)
    return [member for member in found if member is not None]


def shown_by(run: Run) -> RuleVersion:
    """The version of the rule for pixels by which a run's report shows its images.

    That is the run's own; of an ensemble, the newest of its members' that are still there.

    Raises:
        DlError: an ensemble is among its own members.
    """
    _refuse_cycle(run, ())
    if pixels := run.record.pixels:
        return pixels.version
    members = filter(None, map(run.member, run.record.members))
    return max(map(shown_by, members), default=NEWEST)


def _refuse_cycle(run: Run, above: tuple[Path, ...]) -> None:
    if run.path in above:
        raise DlError(
            f"{run.name} is a member of itself",
            why="an ensemble can't be computed from itself",
            hint=f"Mend `members` in {shown(run.config_file)}, or take another run.",
        )
    for recorded in run.record.members:
        if member := run.member(recorded):
            _refuse_cycle(member, (*above, run.path))


def require_same_classes(runs: Sequence[Run]) -> None:
    """Refuse an ensemble of runs with different classes.

    Raises:
        DlError: says which classes differ.
    """
    first, *others = runs
    for run in others:
        if set(first.classes) != set(run.classes):
            hint = "Make an ensemble of runs with the same classes."
            raise different_classes(first, set(first.classes), run, set(run.classes), hint)

"""Making a dataset of what was downloaded, as `dl data organize` does."""

from __future__ import annotations

import os
from pathlib import Path

from dlcli.arranging import at_work
from dlcli.dataset import FEATURES
from dlcli.downloads import plan_organize, require_folder
from dlcli.errors import DlError
from dlcli.folders import read_folder, typed
from dlcli.journal import Operation, journals
from dlcli.moves import Outcome, carry_out
from dlcli.places import shown


def organize(source: Path, target: Path, *, move: bool = False) -> Outcome | None:
    """Bring a downloaded folder into the form of a dataset.

    Args:
        source: the folder to read.
        target: the dataset's folder to be. Where it is `source` itself the files move in place;
            else they are copied and `source` stays as it is.
        move: move the files to `target` instead of copying them.

    Returns:
        what was done; None where it was done before.

    Raises:
        DlError: there is nothing to organise, or something stands in the way.
    """
    require_folder(source)
    with at_work(target, "organize") as (held, finished):
        if finished and _made_from(source, finished.operation):
            return finished
        operation = to_organize(source, target, move=move)
        return carry_out(held, operation) if operation else None


def to_organize(source: Path, target: Path, *, move: bool = False) -> Operation | None:
    """The operation that `organize` would carry out; None where there is nothing to do."""
    if os.path.realpath(source) == os.path.realpath(target):
        moves = plan_organize(source, source)
        return Operation("organize", "move", target, tuple(moves)) if moves else None
    if any(_made_from(source, journal.read()) for journal in journals(target)):
        return None
    if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(source)):
        raise DlError(
            f"{shown(target)} lies in {shown(source)}",
            why="a dataset can't be made inside the folder that it is made from",
            hint="Name a folder elsewhere, or organise it in place: "
            f"`dl data organize {typed(source)} {typed(source)}`.",
        )
    if target.exists() and not _is_free(target):
        raise DlError(
            f"{shown(target)} is not empty",
            why="a dataset is made in a folder of its own",
            hint="Name another, as in `dl data organize SRC NAME`.",
        )
    moves = plan_organize(source, target)
    return Operation("organize", "move" if move else "copy", target, tuple(moves), origin=source)


def new_since(source: Path, target: Path) -> tuple[str, ...]:
    """The files of a source that were not there when a dataset was made from it.

    Nothing where the source can't be organised any more: the dataset doesn't need it.
    """
    made = [journal.read() for journal in journals(target) if journal.name == "organize"]
    if source == target or not made or made[-1].kind != "copy":
        return ()
    known = {move.source for operation in made for move in operation.moves}
    try:
        moves = plan_organize(source, target)
    except DlError:
        return ()
    return tuple(move.source for move in moves if move.source not in known)


def _is_free(target: Path) -> bool:
    """Whether a folder is empty, or holds no more than the features of what was taken back."""
    listing = read_folder(target)
    return not (listing.images or listing.others or set(listing.folders) - {FEATURES})


def _made_from(source: Path, operation: Operation) -> bool:
    return operation.name == "organize" and operation.source == source

"""Runs whose folder can't be written: what is made of them is kept under the state folder."""

from __future__ import annotations

import errno
import os

from dlcli.errors import DlError
from dlcli.files.paths import shown, state_home
from dlcli.progress import say
from dlcli.run import Run

_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


def place_of(run: Run) -> Run:
    """The folder that takes what is made of a run; its own where that can be written.

    Raises:
        DlError: neither that nor the one that stands in for it can be written.
    """
    if _can_be_written(run):
        return run
    place, why = stand_in(run), "permission denied"
    try:
        place.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno not in _NOT_ALLOWED:  # a full disk is said as such
            raise
        why = error.strerror or why
    if not _can_be_written(place):
        raise DlError(
            f"{shown(run.path)} can't be written, and neither can {shown(place.path)}",
            why=why,
            hint="Copy the run to a folder of yours, or name another folder for what is made "
            "with the environment variable XDG_STATE_HOME.",
        )
    return place


def said_place_of(run: Run) -> Run:
    """The same, said where it is not the run's own folder."""
    place = place_of(run)
    if place != run:
        say(f"{shown(run.path)} can't be written: what is made goes to {shown(place.path)}.")
    return place


def places_of(run: Run) -> tuple[Run, ...]:
    """The folders that may hold what was made of a run, its own first."""
    return (run,) if _can_be_written(run) else (run, stand_in(run))


def _can_be_written(run: Run) -> bool:
    inside = [each for each in (run.predictions("valid").parent, run.figures) if each.exists()]
    return all(os.access(folder, os.W_OK | os.X_OK) for folder in (run.path, *inside))


def stand_in(run: Run) -> Run:
    """What takes the place of a run's folder, for it alone: another person's may have its name."""
    from hashlib import sha256

    config = run.config_file.read_bytes() if run.config_file.is_file() else b""
    name = f"{run.name}-{sha256(config).hexdigest()[:8]}"
    return Run(state_home() / "runs" / run.dataset / name)

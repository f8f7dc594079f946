"""The stand-in of a run whose folder can't be written: where its new files go instead.

Such a run is another user's, on a disk that is mounted read-only, or a link to another folder. Its
stand-in has the same file names, under the state folder.
"""

from __future__ import annotations

import errno
import os

from dlcli.errors import DlError
from dlcli.files.formats import read_bytes
from dlcli.files.paths import shown, state_home
from dlcli.progress import say
from dlcli.runs.run import Run

_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


def writable_run(run: Run) -> Run:
    """The folder for new files of a run: its own, or if that can't be written, its stand-in.

    Raises:
        NotOwnError: a link takes the place of a file or folder of the run.
        DlError: neither can be written.
    """
    run.require_own()
    if _can_be_written(run):
        return run
    kept_in, why = stand_in(run), "permission denied"
    try:
        kept_in.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno not in _NOT_ALLOWED:  # such as a full disk
            raise
        why = error.strerror or why
    if not _can_be_written(kept_in):
        raise DlError(
            f"{shown(run.path)} can't be written, and neither can {shown(kept_in.path)}",
            why=why,
            hint="Copy the run to a folder of your own, or set another folder for new files by the "
            "environment variable XDG_STATE_HOME.",
        )
    return kept_in


def writable_run_said(run: Run) -> Run:
    """The same, with a message if it is not the run's own folder."""
    kept_in = writable_run(run)
    if kept_in != run:
        why = "is a link" if run.path.is_symlink() else "can't be written"
        say(f"{shown(run.path)} {why}: new files go to {shown(kept_in.path)}.")
    return kept_in


def runs_to_read(run: Run) -> tuple[Run, ...]:
    """The folders that may hold files of a run, its own first.

    Raises:
        NotOwnError: a link takes the place of a file or folder of the run.
    """
    run.require_own()
    return (run,) if _can_be_written(run) else (run, stand_in(run))


def _can_be_written(run: Run) -> bool:
    if run.path.is_symlink():  # to files that may be somebody else's
        return False
    inside = [each for each in (run.predictions_file("valid").parent, run.figures) if each.exists()]
    return all(os.access(folder, os.W_OK | os.X_OK) for folder in (run.path, *inside))


def stand_in(run: Run) -> Run:
    """The stand-in for a run's folder, unique because other users' runs may have the same name."""
    from hashlib import sha256

    config = read_bytes(run.config_file) if run.config_file.is_file() else b""
    name = f"{run.name}-{sha256(config).hexdigest()[:8]}"
    return Run(state_home() / "runs" / run.dataset / name)

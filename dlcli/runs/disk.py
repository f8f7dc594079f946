"""The size of runs on disk, what depends on them, and their removal."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.errors import DlError
from dlcli.files.atomic import remove_folder, remove_leftovers
from dlcli.files.formats import read_bytes
from dlcli.files.own import others_in, remove_known, require_own
from dlcli.files.paths import shown
from dlcli.runs.ladder import Ladder
from dlcli.runs.listing import Row
from dlcli.runs.run import CHECKPOINT, Run

# The other name of a frozen network that is a hard link in a run, see
# `inference.serving.make_engine`.
IN_CACHE = "the network in the cache"


@dataclass(frozen=True)
class Stored:
    """One file of a run.

    Args:
        name: its path within the run.
        same_as: another name of the very same file, named before or outside of the run, which
            takes no room again.
    """

    name: str
    size_bytes: int
    same_as: str | None = None


def stored_files(run: Run) -> list[Stored]:
    """Every file of a run, by name. Files that vanish meanwhile are left out."""
    found: list[Stored] = []
    first: dict[tuple[int, int], str] = {}
    engine = os.path.relpath(run.engine, run.path)
    for folder, below, names in os.walk(run.path):
        below.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            try:
                stat = os.lstat(path)
            except FileNotFoundError:
                continue
            inside = os.path.relpath(path, run.path)
            known = first.setdefault((stat.st_dev, stat.st_ino), inside)
            if stat.st_nlink > 1 and os.path.dirname(inside) == engine:
                known = IN_CACHE
            found.append(Stored(inside, stat.st_size, known if known != inside else None))
    return found


def size_of(files: Sequence[Stored]) -> int:
    """The total size of files in bytes; a file with two names counts once."""
    return sum(file.size_bytes for file in files if file.same_as is None)


def folder_sizes(folders: Iterable[Path]) -> list[int]:
    """The size of each folder's files in bytes, with subfolders; links are not followed.

    A file with names in several folders counts in the first alone.
    """
    seen: set[tuple[int, int]] = set()
    return [sum(_new_sizes(folder, seen)) for folder in folders]


def _new_sizes(folder: Path, seen: set[tuple[int, int]]) -> Iterator[int]:
    for inner, _, names in os.walk(folder):
        for name in names:
            try:
                stat = os.lstat(os.path.join(inner, name))
            except OSError:  # vanished meanwhile
                continue
            if (stat.st_dev, stat.st_ino) not in seen:
                seen.add((stat.st_dev, stat.st_ino))
                yield stat.st_size


def checkpoint_of(run: Run, files: Sequence[Stored]) -> list[Stored]:
    """The files of a run's checkpoint, without those of others in its folder."""
    own = re.compile(f"{run.checkpoint.name}/({CHECKPOINT})")
    return [file for file in files if own.fullmatch(file.name)]


def require_at_rest(run: Run) -> None:
    """Refuse a run that is being trained.

    Raises:
        DlError: names the process.
    """
    status = run.status
    if status["state"] == "running":
        raise run.busy(status)


def require_no_link(run: Run) -> None:
    """Refuse a run that is a link to a folder elsewhere.

    Raises:
        DlError: says where that is.
    """
    if run.path.is_symlink():
        raise DlError(
            f"{shown(run.path)} is a link to {shown(run.path.readlink())}",
            why="files elsewhere may belong to someone else",
            hint="Remove the link itself with `rm`, or name the run's own folder.",
        )


def remove_run(run: Run) -> None:
    """Remove the folder of a locked run.

    Status and lock go last, at once, so that an interrupted removal leaves a run that is listed
    and can be removed again, and that no other process resumes.
    """
    remove_leftovers(run.path.parent, deep=False)
    for path in run.path.iterdir():
        if path in (run.status_file, run.lock_file):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    remove_folder(run.path)


def remove_checkpoint(run: Run) -> list[Path]:
    """Remove a locked run's checkpoint; all else stays.

    Returns:
        what stays in its folder, because `dl` did not make it.

    Raises:
        NotOwnError: it is a link.
    """
    own = re.compile(CHECKPOINT)
    require_own(run.checkpoint, run.path, folder=True)
    remove_leftovers(run.checkpoint)
    remove_known(run.checkpoint, run.path, own)
    return others_in(run.checkpoint, own)


def needed_by(run: Run, rows: Sequence[Row], runs_dir: Path) -> list[str]:
    """What depends on a run, in words: ensembles, unfinished runs, its ladder.

    Args:
        run: that may be removed.
        rows: all runs but those that go with it; damaged ones can't tell.
    """
    found = [
        reason
        for row in rows
        if row.run.path != run.path and _may_name(row.run, run)
        for reason in _reasons(row, run)
    ]
    for ladder in Ladder.all(runs_dir, run.dataset):
        for step, name in ladder.record()["runs"].items():
            if name == run.name and ladder.path.parent == run.path.parent:
                found.append(f"the ladder {ladder.name} has it as its step {step}")
    return found


def ensembles_with(run: Run, rows: Sequence[Row]) -> list[Run]:
    """The ensembles among the rows that predict with a run; damaged ones can't tell."""
    found = []
    for row in rows:
        with suppress(DlError):
            if _may_name(row.run, run) and _is_member(run, row.run.config):
                found.append(row.run)
    return found


def _is_member(run: Run, config: Mapping[str, Any]) -> bool:
    """Whether an ensemble's settings name a run as a member."""
    members = config["run"].get("members")
    return isinstance(members, list) and any(
        isinstance(member, Mapping) and _is_named(run, str(member.get("path")))
        for member in members
    )


def _may_name(other: Run, run: Run) -> bool:
    """Whether a run's settings contain another's name; odd names are escaped there."""
    try:
        return not run.name.isascii() or run.name.encode() in read_bytes(other.config_file)
    except (OSError, DlError):
        return False


def _reasons(row: Row, run: Run) -> Iterator[str]:
    try:
        config = row.run.config
    except DlError:
        return
    if _is_member(run, config):
        yield f"the ensemble {row.run.name} predicts with it"
    if row.state == "finished":
        return
    train = config.get("train")
    for values in train.values() if isinstance(train, Mapping) else ():
        yield from _rests_on(row.run, values, run)


def _rests_on(other: Run, hyperparameters: Any, run: Run) -> Iterator[str]:
    words = {"init_from": "started from its weights", "pseudo_label": "trains on its labels"}
    for name, what in words.items():
        named = hyperparameters.get(name) if isinstance(hyperparameters, Mapping) else None
        if isinstance(named, str) and _is_named(run, named):
            yield f"{other.name}, which is not finished, {what}"


def _is_named(run: Run, named: str) -> bool:
    """Whether a path or `<dataset>/<name>` is that of a run; all runs may have moved together."""
    path = Path(named)
    return path.name == run.name and path.parent.name in ("", run.dataset)

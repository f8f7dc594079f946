"""Copy a folder to or from a box: list, plan, copy, and resume after a lost connection."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli import words
from dlcli.aws.copy import rsync, sftp
from dlcli.aws.copy.lists import git_ignored, listed_here, listed_project, listed_there
from dlcli.aws.copy.plan import (
    HISTORY,
    Direction,
    Entry,
    Folders,
    Plan,
    plan_copy,
    require_narrow,
    require_remote,
)
from dlcli.aws.ssh import Unreachable, connect, home_of, reached_again, run, wait_for_ssh
from dlcli.aws.system_ssh import Host
from dlcli.errors import DlError, ExitCode
from dlcli.files.atomic import existing
from dlcli.files.paths import home, shown
from dlcli.progress import Bar, say, track
from dlcli.words import printable

if TYPE_CHECKING:
    from paramiko import SSHClient


# Lost connections in a row without any progress; others do not count.
MOST_DROPS = 5
# How long a lost machine is waited for.
AWAY_SECONDS = 300.0
# Units of a progress bar: (least size in bytes, unit, its bytes).
UNITS = ((10_000_000, "MB", 1_000_000), (10_000, "kB", 1_000), (0, "bytes", 1))
# How a shell ends whose command is not installed.
_NOT_FOUND = 127


@dataclass(frozen=True)
class Prepared:
    """A planned copy that has not begun.

    Args:
        there: the folder on the box, absolute.
        files: the files to copy, as the source lists them.
    """

    direction: Direction
    folders: Folders
    there: str
    plan: Plan
    files: Mapping[str, Entry]


def prepare(
    client: SSHClient,
    direction: Direction,
    folders: Folders,
    *,
    delete: bool = False,
    overwrite: bool = False,
    with_history: bool = False,
    options: str = "",
) -> Prepared:
    """List both sides and plan the copy; nothing is changed.

    Args:
        options: options for the machine, for the hints.
        with_history: whether `put` also copies a project's `.git`.

    Raises:
        DlError: a folder is a whole home or disk, the source is empty, the destination has no
            room, or the source cannot be listed completely although `delete` is set.
    """
    require_narrow(folders.here, home())
    require_remote(folders.there)
    there = f"{home_of(client)}/{folders.there}"
    elsewhere = {
        each: f"{other}{options}" if other else "" for each, other in folders.elsewhere.items()
    }
    ignored: set[str] = set()
    far, complete = listed_there(client, there)
    if delete and direction == "get" and not complete:
        raise DlError(
            f"Some of {printable(there)} on the box cannot be read, so `--delete` is refused",
            why="it would also delete local copies of files that it can't see on the box",
            hint=f"Make the folder readable (`dl aws ssh{options}`), or leave out `--delete`.",
        )
    if folders.is_project:
        near, ignored = listed_project(folders.here, with_history)
        ignored |= git_ignored(folders.here, far)
        if not with_history or direction == "get":
            elsewhere[HISTORY] = ""
    else:
        near = listed_here(folders.here)
    source, target = (near, far) if direction == "put" else (far, near)
    if not source:
        raise _nothing(direction, folders, there, options)
    plan = plan_copy(
        source,
        target,
        exclude=folders.exclude,
        elsewhere=elsewhere,
        ignored=ignored,
        delete=delete,
        overwrite=overwrite,
    )
    _require_room(client, direction, folders.here, plan.size_bytes)
    return Prepared(direction, folders, there, plan, {name: source[name] for name in plan.send})


def copy(host: Host, prepared: Prepared, again: Callable[[], Host] | None = None) -> None:
    """Carry out a planned copy; after a lost connection, reconnect and continue.

    Args:
        again: finds the machine after a lost connection; by default it waits at the old address.

    Raises:
        Unreachable: the connection was lost too often, or the machine stays away.
        DlError: a disk is full, or a file cannot be read or written.
    """
    if not prepared.files:
        return
    with connect(host) as client:
        why_not = rsync.why_not(client)
    if why_not:
        say(f"{why_not[0].upper()}{why_not[1:]}, so SFTP is used, which is slower.")
    act = _by_sftp if why_not else _by_rsync
    verb = "Sending" if prepared.direction == "put" else "Fetching"
    total, unit, size = counted_in(prepared.plan.size_bytes)
    with track(f"{verb} {prepared.folders.what}", total, unit) as bar:
        _until_done(host, prepared, act, bar, size, again or partial(_same, host))
        bar.advance(total - bar.done)
    if any(name.startswith(HISTORY) for name in prepared.files):
        # git needs these folders, which may be empty
        folders = [f"{prepared.there}/{HISTORY}{name}" for name in ("objects", "refs")]
        with connect(host) as client:
            run(client, ["mkdir", "-p", *folders])


def trust_there(client: SSHClient, folders: Sequence[str]) -> list[str]:
    """Let `dl` on the box trust folders; returns those that it could not trust.

    They are none if `dl` is not installed there yet, or is too old to ask for trust.

    Args:
        folders: absolute paths there.
    """
    script = 'dl="$HOME/.local/bin/dl"; [ -x "$dl" ] || dl=dl; "$dl" config trust -- "$1"'
    ran = {each: run(client, ["sh", "-c", script, "sh", each])[0] for each in folders}
    return [folder for folder, code in ran.items() if code not in (0, ExitCode.USAGE, _NOT_FOUND)]


def delete_at_goal(client: SSHClient, prepared: Prepared) -> None:
    """Delete what the plan says, and the folders that become empty.

    Raises:
        DlError: something cannot be deleted.
    """
    names = prepared.plan.delete
    if prepared.direction == "get":
        for name in names:
            (prepared.folders.here / name).unlink(missing_ok=True)
        for folder in _folders_of(names):
            path = prepared.folders.here / folder
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        return
    # by stdin, as a command line is too short; `./` keeps names from being read as options
    script = 'cd -- "$1" && xargs -0 rm -f'
    _require_ok(*_piped(client, script, prepared.there, names))
    script = 'cd -- "$1" && xargs -0 rmdir --ignore-fail-on-non-empty'
    _piped(client, script, prepared.there, _folders_of(names))


def _piped(
    client: SSHClient, script: str, there: str, names: Sequence[str]
) -> tuple[int, str, str]:
    text = "".join(f"./{name}\0" for name in names)
    return run(client, ["sh", "-c", script, "sh", there], text.encode("utf-8", "surrogateescape"))


def _require_ok(code: int, _: str, err: str) -> None:
    if code:
        raise DlError("Some files on the box were not deleted", why=err.strip().partition("\n")[0])


def _folders_of(names: Sequence[str]) -> list[str]:
    """The folders of files, inner folders first."""
    found = set()
    for name in names:
        parts = name.split("/")[:-1]
        found |= {"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    return sorted(found, key=lambda folder: (-folder.count("/"), folder))


def _same(host: Host) -> Host:
    wait_for_ssh(host, AWAY_SECONDS)
    return host


def _until_done(
    host: Host,
    prepared: Prepared,
    act: Callable[[Host, Prepared, Callable[[int], None]], None],
    bar: Bar,
    unit_bytes: int,
    again: Callable[[], Host],
) -> None:
    drops = 0
    while True:
        arrived = 0

        def progress(done: int) -> None:
            nonlocal arrived
            arrived = done
            bar.advance(max(0, min(done, prepared.plan.size_bytes) // unit_bytes - bar.done))

        try:
            act(host, prepared, progress)
            return
        except Unreachable as error:
            drops = 1 if arrived else drops + 1
            if drops > MOST_DROPS:
                raise
            bar.say(f"The connection was lost: {error.why}. Reconnecting.")
            time.sleep(min(drops, MOST_DROPS))
            host = reached_again(again, AWAY_SECONDS)
            bar.say("Reconnected; the copy continues.")


def _by_rsync(host: Host, prepared: Prepared, progress: Callable[[int], None]) -> None:
    here, there = prepared.folders.here, prepared.there
    rsync.copy_once(host, prepared.direction, here, there, list(prepared.files), progress)


def _by_sftp(host: Host, prepared: Prepared, progress: Callable[[int], None]) -> None:
    here, there = prepared.folders.here, prepared.there
    with connect(host) as client:
        put = prepared.direction == "put"
        present = listed_there(client, there)[0] if put else listed_here(here)
        left = sftp.remaining(prepared.files, present)
        before = prepared.plan.size_bytes - sum(entry.size for entry in left.values())
        progress(before)
        sftp.copy_once(
            client, prepared.direction, here, there, left, lambda done: progress(before + done)
        )


def _require_room(client: SSHClient, direction: Direction, here: Path, size_bytes: int) -> None:
    """Refuse a copy that is larger than the free space, before it begins.

    Raises:
        DlError: says how much is free.
    """
    if direction == "get":
        place = existing(here)
        free, where = shutil.disk_usage(place).free, shown(place)
    else:
        code, out, _ = run(client, ["sh", "-c", 'df -P -k "$HOME"'])
        if code:
            return
        free, where = int(out.splitlines()[-1].split()[3]) * 1024, "the box's home folder"
    if size_bytes > free:
        raise DlError(
            f"No room for {words.size(size_bytes)} in {where}",
            why=f"{words.size(free)} are free",
            hint="Free some space, or leave files out with `--exclude`.",
        )


def counted_in(size_bytes: int) -> tuple[int, str, int]:
    """A size for a progress bar: the number of units, the unit, and its bytes."""
    unit, one = next((unit, one) for least, unit, one in UNITS if size_bytes >= least)
    return -(-size_bytes // one), unit, one


def _nothing(direction: Direction, folders: Folders, there: str, options: str) -> DlError:
    if direction == "put":
        return DlError(f"{shown(folders.here)} is empty or missing", hint="Check its name.")
    around = folders.there.rpartition("/")[0] or "."
    return DlError(
        f"{printable(there)} on the box is empty or missing",
        why=f"{folders.what} should be there",
        hint=f"See what is there: `dl aws ssh{options} ls {shlex.quote(around)}`.",
    )


def dataset_of(client: SSHClient, there: str, named: str) -> str:
    """The dataset of a run that was named without it; empty if the name is a dataset's.

    Args:
        there: the runs of a dataset of that name, `runs/NAME`, relative to the home folder.
        named: the name of a dataset or a run.

    Raises:
        DlError: the box has neither, or several datasets have such a run.
    """
    script = (
        'cd; if [ -d "$1" ]; then echo; fi; '
        'for each in "${1%/*}"/*/"$2"; do if [ -d "$each" ]; then echo "$each"; fi; done'
    )
    _, out, _ = run(client, ["sh", "-c", script, "sh", there, named])
    found = out.splitlines()
    if "" in found or "/" in named:
        return ""
    datasets = sorted(path.split("/")[-2] for path in found)
    if not datasets:
        raise DlError(
            f"The box has no dataset and no run {named!r}",
            hint="Name `DATASET` or `DATASET/RUN`, as `dl runs --all` lists them there.",
        )
    if len(datasets) > 1:
        names = ", ".join(f"`{each}/{named}`" for each in datasets)
        raise DlError(
            f"On the box {len(datasets)} datasets have a run {named}", hint=f"Name one: {names}."
        )
    say(f"{named} is {datasets[0]}/{named} on the box")
    return datasets[0]

"""Copies between a folder here and the sshd's home, and what lies in a folder after them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from dlcli.aws.copy.copy import Prepared, copy, delete_at_goal, prepare
from dlcli.aws.copy.plan import Direction, Folders
from dlcli.aws.ssh import connect
from dlcli.aws.system_ssh import Host


def tree(folder: Path) -> dict[bytes, object]:
    """Each file below a folder: link, or content, time and whether it can be run."""
    found: dict[bytes, object] = {}
    for file in folder.rglob("*"):
        name = os.fsencode(file.relative_to(folder))
        if file.is_symlink():
            found[name] = os.fspath(file.readlink())
        elif file.is_file():
            status = file.stat()
            found[name] = (file.read_bytes(), int(status.st_mtime), bool(status.st_mode & 0o100))
    return found


def dogs(here: Path, **others: object) -> Folders:
    """The dataset dogs: this folder here, `data/dogs` there."""
    return replace(Folders("dataset dogs", here, "data/dogs"), **others)  # type: ignore[arg-type]


def copied(host: Host, direction: Direction, folders: Folders, **options: bool) -> Prepared:
    """A copy from the look to the last deletion."""
    with connect(host) as client:
        prepared = prepare(client, direction, folders, **options)
    copy(host, prepared)
    if prepared.plan.delete:
        with connect(host) as client:
            delete_at_goal(client, prepared)
    return prepared

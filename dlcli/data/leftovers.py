"""Folders beside a dataset that earlier versions may have left: named, and never removed.

Up to 0.1.0 `dl` knew them by their names alone, which users' own folders may have too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from dlcli.files.own import is_copy
from dlcli.files.paths import quoted, shown
from dlcli.progress import say

COPIED = (
    "it is a copy of a folder that `dl` unpacked, or moved files back to, and may hold the only "
    "copies of images"
)


def name_left(paths: Iterable[Path]) -> None:
    """Say which of some paths are there, and what to type to remove each."""
    for path in filter(os.path.lexists, paths):
        if is_copy(path):
            say(f"Warning: {shown(path)} stays: {COPIED}.")
            continue
        say(
            f"Warning: {shown(path)} stays. An earlier version of `dl` may have left it when it "
            f"was stopped. If you do not need it: `{how_to_remove(path)}`"
        )


def how_to_remove(path: Path) -> str:
    """The command that removes a path; of a link, the link alone."""
    is_folder = path.is_dir() and not path.is_symlink()
    return f"rm {'-r ' if is_folder else ''}{quoted(path)}"

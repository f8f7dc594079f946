"""Folders beside a dataset that earlier versions may have left: named, and never removed.

Up to 0.1.0 `dl` knew them by their names alone, which users' own folders may have too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from dlcli.files.paths import quoted, shown
from dlcli.progress import say


def name_left(paths: Iterable[Path]) -> None:
    """Say which of some paths are there, and what to type to remove each."""
    for path in paths:
        if os.path.lexists(path):
            folder = path.is_dir() and not path.is_symlink()
            say(
                f"Warning: {shown(path)} stays. An earlier version of `dl` may have left it when "
                "it was stopped. If you do not need it: "
                f"`rm {'-r ' if folder else ''}{quoted(path)}`"
            )

"""Names that differ only in case or Unicode form, which some disks take for one name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from dlcli.data.journal import FOLDER
from dlcli.errors import DlError
from dlcli.files.atomic import aside, existing
from dlcli.files.paths import shown
from dlcli.words import composed


def require_distinct(root: Path, paths: Iterable[str]) -> None:
    """Refuse a plan if two of its files, or two of its folders, would be one on the disk.

    Args:
        root: the dataset's folder; it need not exist yet.
        paths: the files, relative to the root.

    Raises:
        DlError: names the two.
    """
    first: dict[str, str] = {}
    tells = None  # the disk is asked once, after the first clash
    for path in dict.fromkeys(part for each in paths for part in _with_folders(each)):
        other = first.setdefault(composed(path).casefold(), path)
        if other == path:
            continue
        if tells is None:
            tells = tells_apart(existing(root / FOLDER))
        if not tells:
            raise DlError(
                f"{other!a} and {path!a} have the same name on the disk of {shown(root)}",
                why="it does not tell upper case from lower case, or Unicode forms, in names",
                hint="Nothing was moved. Rename one of the two, or name a folder on another disk.",
            )


def tells_apart(folder: Path) -> bool:
    """Whether a folder's disk has two files for names that differ only in case or Unicode form."""
    with suppress(OSError), aside(folder / "\N{LATIN CAPITAL LETTER E WITH ACUTE}") as probe:
        (probe / "\N{LATIN CAPITAL LETTER E WITH ACUTE}").touch()
        alike = ("\N{LATIN SMALL LETTER E WITH ACUTE}", "E\N{COMBINING ACUTE ACCENT}")
        return not any(os.path.lexists(probe / name) for name in alike)
    return True  # it can't be written to, as the next step will say


def _with_folders(path: str) -> Iterable[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]

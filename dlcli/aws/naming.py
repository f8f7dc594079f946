"""What a box is called: as set, or as the folder of the project that one works in.

And what one types to mean it: a hint that lost the region would act on another box.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import find_project_file

if TYPE_CHECKING:
    from dlcli.settings.aws import Aws

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
FALLBACK = "box"


@dataclass(frozen=True)
class Named:
    """A box as a message speaks of it.

    Args:
        name: the box's.
        account: what follows a command that means its account and region, ` --region eu-west-1`.
    """

    name: str
    account: str

    @property
    def options(self) -> str:
        """What follows a command that means this box, ` -n dogs --region eu-west-1`.

        The name always: what is said in one folder is typed in another.
        """
        return f" -n {self.name}{self.account}"

    def __str__(self) -> str:
        return self.name


def project_folder(folder: Path) -> Path:
    """The project around a folder: where its git checkout or `dl.yaml` is, else the folder."""
    for parent in (folder, *folder.parents):
        if (parent / ".git").exists():
            return parent
    file = find_project_file(folder)
    return file.parent if file else folder


def project_name(folder: Path) -> str:
    """The project's name, in letters that a tag and an ssh alias may have."""
    project = project_folder(folder)
    if project == Path.home():
        return FALLBACK
    return re.sub(r"[^A-Za-z0-9._-]+", "-", project.name).strip("-._")[:63] or FALLBACK


def box_name(settings: Aws, folder: Path) -> str:
    """The name of the box that a command is about.

    Raises:
        DlError: what was set can't be a name.
    """
    return project_name(folder) if settings.name is None else checked_name(settings.name)


def checked_name(name: str) -> str:
    """A box's name, where it can be one: it becomes a tag, a folder and an ssh alias.

    Raises:
        DlError: it can't.
    """
    if not _NAME.fullmatch(name):
        raise DlError(
            f"A box can't be called {name!r}",
            why="it takes letters, digits, `.`, `_` and `-`, 63 at most, a letter or digit first",
            hint="Name it by `-n NAME`.",
            exit_code=ExitCode.USAGE,
        )
    return name

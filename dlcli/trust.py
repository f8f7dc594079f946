"""Trust in projects: whose recipes `dl` runs, and whose settings may cost money or send files.

A project's `dl.yaml` and `recipes/` may be somebody else's: a download, a shared disk, a backup. So
`dl` runs nothing of a project before the user has trusted its folder, once. A record outside of the
project keeps that. It holds the folder's path without links, and the folder's owner: another user's
folder in its place is not trusted. What lies in a trusted folder may change at will.

`DL_TRUST` holds more folders that are trusted, for computers at which nobody answers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dlcli.errors import DlError
from dlcli.files.paths import expanded, quoted, reason, shown, state_home
from dlcli.progress import say

# Folders that are trusted, as in PATH.
VARIABLE = "DL_TRUST"
# A record holds a number, a space and a path.
_MOST_RECORD_BYTES = 64 << 10


class UntrustedError(DlError):
    """A command needs something of a project that the user has not trusted.

    Attributes:
        folder: the project's folder, without links.
    """

    def __init__(self, what: str, folder: Path) -> None:
        super().__init__(
            what,
            why=f"{shown(folder)} is not a trusted project" + _changed(folder),
            hint=f"Read its `dl.yaml` and `recipes/`, then type `{command(folder)}`.",
        )
        self.folder = folder


_ask: Callable[[UntrustedError], None] | None = None


@contextmanager
def asked_by(ask: Callable[[UntrustedError], None] | None) -> Iterator[None]:
    """Ask the user about projects while the block runs.

    Args:
        ask: asks whether to trust a project, and raises an error if not. None: nobody is asked.
    """
    global _ask
    before, _ask = _ask, ask
    try:
        yield
    finally:
        _ask = before


def require(folder: Path, what: str) -> None:
    """Require that a project is trusted; the user is asked, where that is possible.

    Args:
        folder: the project's folder.
        what: what is not done otherwise, as the error says it.

    Raises:
        UntrustedError: it is not.
    """
    if is_trusted(folder):
        return
    error = UntrustedError(what, real(folder))
    if _ask is None:
        raise error
    _ask(error)
    try:
        trust(folder)
    except OSError as failed:  # the answer counts for this process and its children
        named = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = os.pathsep.join(filter(None, [named, str(error.folder)]))
        say(
            f"Warning: the answer is not remembered: {reason(failed)}. "
            f"If `dl` should not ask again, set `{VARIABLE}={quoted(error.folder)}`."
        )


def require_file(file: Path, project: Path, what: str) -> None:
    """Require that a project's file is trusted, and the one to which it is a link.

    Raises:
        UntrustedError: it is not.
    """
    for folder in untrusted(file, project):
        require(folder, what)


def untrusted(file: Path, project: Path) -> list[Path]:
    """The folders that need trust before a project's file is used: its project, and a link's goal.

    A link in `recipes/` may lead into another project's `recipes/`: then that project needs trust.
    """
    goal = real(file).parent
    if file.parent != project and goal.name == file.parent.name:
        goal = goal.parent
    folders = dict.fromkeys((real(project), goal))
    return [folder for folder in folders if not is_trusted(folder)]


def is_trusted(folder: Path) -> bool:
    """Whether the user has trusted a folder."""
    folder = real(folder)
    if folder in _named():
        return True
    try:
        return _recorded(_record_of(folder)) == _content(folder)
    except OSError:  # the folder is gone
        return False


def trust(folder: Path) -> None:
    """Trust a folder from now on.

    Raises:
        OSError: the folder is missing, or the record can't be written.
    """
    from dlcli.files.atomic import atomic  # here, because every command imports this module

    folder = real(folder)
    content, file = _content(folder), _record_of(folder)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with atomic(file) as temporary:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as opened:
            opened.write(content)


def revoke(folder: Path) -> bool:
    """Trust a folder no longer; returns whether it was trusted. It may be gone."""
    try:
        _record_of(real(folder)).unlink()
    except FileNotFoundError:
        return False
    return True


def trusted_folders() -> list[Path]:
    """The folders that the user has trusted, sorted; some may be gone, or have another owner."""
    found = set(_named())
    with suppress(FileNotFoundError):
        for file in _records().iterdir():
            _, _, path = _recorded(file).removesuffix(b"\n").partition(b" ")
            if path and file == _record_of(Path(os.fsdecode(path))):
                found.add(Path(os.fsdecode(path)))
    return sorted(found)


def command(folder: Path) -> str:
    """The command that trusts a folder."""
    return f"dl config trust {quoted(folder)}"


def real(path: Path) -> Path:
    """A path from the root of the file system, without links."""
    return Path(os.path.realpath(path))


def open_to_all(folder: Path) -> bool:
    """Whether every user of the computer may put files into a folder."""
    return bool(folder.stat().st_mode & 0o002)


def _named() -> list[Path]:
    """The folders in `DL_TRUST`. A relative path would trust whatever folder is the current one."""
    named = map(expanded, os.environ.get(VARIABLE, "").split(os.pathsep))
    return [real(folder) for folder in named if folder.is_absolute()]


def _changed(folder: Path) -> str:
    """Why a folder that was trusted no longer is."""
    return " since its owner has changed" if _recorded(_record_of(folder)) else ""


def _records() -> Path:
    """A file for each folder, so that no process writes what another one wrote."""
    return state_home() / "trusted"


def _record_of(folder: Path) -> Path:
    from hashlib import sha256

    return _records() / sha256(os.fsencode(folder)).hexdigest()


def _content(folder: Path) -> bytes:
    """What the record of a folder holds: its owner and its path."""
    return b"%d %s\n" % (folder.stat().st_uid, os.fsencode(folder))


def _recorded(file: Path) -> bytes:
    """What a record holds; empty if there is none, or it can't be read."""
    try:
        with file.open("rb") as opened:
            return opened.read(_MOST_RECORD_BYTES)
    except OSError:
        return b""

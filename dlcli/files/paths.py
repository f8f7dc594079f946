"""Paths: how they are typed and shown, where `dl` keeps its files, where a project begins.

`dl`'s own folders follow the XDG base directory rules.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
from contextlib import suppress
from pathlib import Path

from dlcli.errors import DlError, ExitCode
from dlcli.words import printable

PROJECT_FILE = "dl.yaml"


def home() -> Path:
    """The home folder.

    Raises:
        DlError: there is none: HOME is not set, and the user has no account on this computer.
    """
    try:
        found = Path.home()
    except RuntimeError:
        why = "HOME is not set, and this user has no account on this computer"
    else:
        if found.is_absolute():
            return found
        why = f"HOME is {printable(str(found))}, which is not an absolute path"
    raise DlError(
        "There is no home folder",
        why=why,
        hint="Set HOME to a folder that you may write to: `export HOME=FOLDER`.",
    )


def _home(variable: str, default: str) -> Path:
    named = Path(os.environ.get(variable, ""))
    # the specification has relative paths ignored
    return (named if named.is_absolute() else home() / default) / "dl"


def config_home() -> Path:
    """Settings of one person: `~/.config/dl`."""
    return _home("XDG_CONFIG_HOME", ".config")


def state_home() -> Path:
    """What is remembered from one command to the next: `~/.local/state/dl`."""
    return _home("XDG_STATE_HOME", ".local/state")


def cache_home() -> Path:
    """What can be made again at any time: `~/.cache/dl`."""
    return _home("XDG_CACHE_HOME", ".cache")


def find_project_file(folder: Path) -> Path | None:
    """The nearest `dl.yaml` in a folder or one above it, whatever it is; it is not opened."""
    for parent in (folder, *folder.parents):
        if os.path.lexists(parent / PROJECT_FILE):
            return parent / PROJECT_FILE
    return None


def expanded(path: str | Path) -> Path:
    """A path as it was typed, with `~` as the home folder; a file may be named `~notes`, too."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # `~somebody`, where nobody has that name
        return Path(path)


def with_home(path: str | Path) -> Path:
    """A path as it was typed, with `~` as the home folder.

    Raises:
        DlError: it begins with `~` and the name of nobody, or there is no home folder.
    """
    found = expanded(path)
    first = found.parts[0] if found.parts else ""
    if first == "~":
        home()  # raises
    if first.startswith("~") and not os.path.lexists(first):
        raise DlError(
            f"There is no path {shown(found)}",
            why="the name after `~` is not a user of this computer",
            hint=f"Check the path. For a folder of that name, type `./{shown(first)}`.",
            exit_code=ExitCode.USAGE,
        )
    return found


def shown(path: Path | str) -> str:
    """A path as people write it: `~` for home, printable whatever bytes its name has."""
    text = os.fspath(path)
    try:
        short = str(home())
    except DlError:
        short = "/"
    # `~` for "/" saves nothing, and `~tmp` is the home of a user `tmp`
    if short != "/" and (text == short or text.startswith(f"{short}/")):
        text = "~" + text[len(short) :]
    return printable(text)


def make_numbered(folder: Path, most: int = 100) -> Path:
    """Make a new folder; the second of a name gets `-2`, so that two processes never share one.

    Raises:
        DlError: there are so many of the name already.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, most + 1):
        made = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        with suppress(FileExistsError):
            made.mkdir()
            return made
    raise DlError(
        f"{shown(folder)} and {most - 1} numbered folders of that name exist already",
        hint="Remove some of them. If the name holds the time, waiting a minute is enough.",
    )


def is_folder(path: Path) -> bool:
    """Whether there is a folder; one that may not be looked at counts as none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether there is a file; one that may not be looked at counts as none."""
    try:
        return path.is_file()
    except OSError:
        return False


def obstacle_of(error: OSError) -> DlError | None:
    """The error for a folder where a file is needed, or the other way round, or a broken link.

    Returns:
        the error; None if the system's error has another cause.
    """
    if not isinstance(error.filename, str):
        return None
    path = Path(error.filename)
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return obstacle(path)
    if error.errno in (errno.ENOENT, errno.ELOOP):
        return None if is_file(path) else obstacle(path)  # a script may lack its interpreter
    if error.errno == errno.EISDIR and is_folder(path):
        return _of_wrong_kind(path, "a folder", "a file")
    return None


def obstacle(folder: Path) -> DlError | None:
    """The error for a folder's path of which a part is a broken link, or not a folder.

    Returns:
        the error, which names the first such part; None if there is none.
    """
    for part in (*reversed(folder.parents), folder):
        if is_folder(part):
            continue
        try:
            part.stat()
        except (PermissionError, ValueError):  # a name may not hold "\0"
            return None
        except OSError:
            if not part.is_symlink():
                return None
            return DlError(
                f"{shown(part)} is a broken link",
                why=f"{shown(part.readlink())}, to which it leads, does not exist",
                hint="Remove the link, or put back what it leads to. Then try again.",
            )
        return _of_wrong_kind(part, "a file" if is_file(part) else "not a folder", "a folder")
    return None


def _of_wrong_kind(path: Path, found: str, wanted: str) -> DlError:
    return DlError(
        f"{shown(path)} is {found}",
        why=f"`dl` needs {wanted} there",
        hint="Move it away, or name another place. Then try again.",
    )


def reason(error: OSError) -> str:
    """Why the system refused something, as a clause."""
    found = obstacle_of(error)
    return found.what if found else error.strerror or str(error)


def absolute(path: Path) -> Path:
    """The path from the root of the file system, `~` opened, links left as they are.

    Raises:
        DlError: as `with_home`.
    """
    return Path(os.path.abspath(with_home(path)))


def quoted(path: Path) -> str:
    """A path as it can be pasted into a shell."""
    plain = shown(path)
    return plain if re.fullmatch(r"[\w@%+=:,./~-]+", plain) else shlex.quote(os.fspath(path))

"""Where `dl` keeps its own few files, by the XDG base directory rules, where a project begins, and
how paths are shown.
"""

from __future__ import annotations

import os
from pathlib import Path

PROJECT_FILE = "dl.yaml"
# Python calls only the plain space printable; these are as harmless, and typography needs them.
SPACES = "\u00a0\u2009\u202f\u3000"


def _home(variable: str, default: str) -> Path:
    named = Path(os.environ.get(variable, ""))
    # the specification has relative paths ignored
    return (named if named.is_absolute() else Path.home() / default) / "dl"


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
    """The nearest `dl.yaml` in a folder or one above it."""
    for parent in (folder, *folder.parents):
        if (parent / PROJECT_FILE).is_file():
            return parent / PROJECT_FILE
    return None


def expanded(path: str) -> Path:
    """A path as it was typed, with `~` as the home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # `~somebody`, where nobody has that name
        return Path(path)


def shown(path: Path | str) -> str:
    """A path as people write it: `~` for home, printable whatever bytes its name has."""
    text = os.fspath(path)
    home = str(Path.home())
    if text == home or text.startswith(home.rstrip("/") + "/"):
        text = "~" + text[len(home) :]
    return printable(text)


def printable(text: str) -> str:
    """Text that a terminal shows as it stands: control characters and odd bytes as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in SPACES else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()

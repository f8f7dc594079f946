"""Which competition a dataset's predictions may be sent to, unasked.

A dataset's `dataset.yaml` names its competition, and may be somebody else's: a download, a shared
disk, a backup. So `dl` keeps a record outside of the dataset of what `dl data get` wrote there, and
of each competition that the user has agreed to. It holds the dataset's owner, the competition, and
the dataset's path without links. To any other competition of a `dataset.yaml` nothing is sent
before the user agrees.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

from dlcli.data.dataset import SETTINGS
from dlcli.errors import DlError
from dlcli.files.atomic import atomic_write
from dlcli.files.paths import reason, shown, state_home
from dlcli.progress import say
from dlcli.words import printable

# A record holds a number, a name and a path.
_MOST_BYTES = 64 << 10

Agree = Callable[[DlError, str], None]


def require_known(root: Path, slug: str, agree: Agree | None = None) -> None:
    """Require that a competition of a `dataset.yaml` is one that the user knows of.

    Args:
        root: the dataset's folder.
        slug: the competition that its `dataset.yaml` names.
        agree: is given an error and a question, and raises an error if the answer is no. None:
            nobody is asked.

    Raises:
        DlError: it is not, and nobody can be asked.
    """
    if is_known(root, slug):
        return
    name, file = printable(slug), shown(root / SETTINGS)
    error = DlError(
        f"Nothing is sent to {name}",
        why=f"{file} names this competition, and `dl data get` did not write it here",
        hint=f"If it is the right one, add `-c {shlex.quote(name)}` (in Python, `competition=`). "
        "To only write the file, use `dl submit --no-upload`.",
    )
    if agree is None:
        raise error
    agree(error, f"Send the predictions of dataset {shown(root.name)} to {name}?")
    remember(root, slug)


def is_known(root: Path, slug: str) -> bool:
    """Whether the user knows that a dataset is of a competition."""
    try:
        with _record_of(root).open("rb") as opened:
            return opened.read(_MOST_BYTES) == _content(root, slug)
    except OSError:
        return False


def remember(root: Path, slug: str) -> None:
    """Record that the user knows that a dataset is of a competition."""
    file = _record_of(root)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, _content(root, slug))
    except OSError as error:  # a home that can't be written: the command itself goes on
        say(
            f"Warning: can't remember the competition of {shown(root)}: {reason(error)}. "
            f"Add `-c {shlex.quote(printable(slug))}` to `dl submit`."
        )


def _record_of(root: Path) -> Path:
    from hashlib import sha256

    name = sha256(os.fsencode(os.path.realpath(root))).hexdigest()
    return state_home() / "competitions" / name


def _content(root: Path, slug: str) -> bytes:
    """What the record of a dataset holds."""
    name = slug.encode("utf-8", "backslashreplace")
    return b"%d %s %s\n" % (root.stat().st_uid, name, os.fsencode(os.path.realpath(root)))

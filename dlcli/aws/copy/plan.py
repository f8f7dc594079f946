"""What `put` and `get` mean: which folder here is which there, and what becomes of each file.

`~/data/x` here is `~/data/x` there. All of this is pure, two listings in, a plan out: who lists and
who copies stands elsewhere, so that rsync and SFTP do the very same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal

from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import shown

Direction = Literal["put", "get"]
# Passwords and keys: these never leave the computer that they are on.
SECRETS = (".env*", "*.pem", ".aws/", ".ssh/")
# What copying itself leaves behind where it was stopped.
PARTIAL = ".dl-partial"
# A copied history may be left out the next time: it is never deleted for that.
HISTORY = ".git/"
PROJECTS = "projects"


@dataclass(frozen=True)
class Entry:
    """A file as it was listed.

    Args:
        size: bytes.
        modified: seconds since 1970.
        link: where it points to, for a link.
        odd: what else it is, in words, where it is neither a file nor a link: "a pipe".
    """

    size: int
    modified: float
    link: str | None = None
    odd: str = ""


# By path relative to the folder, with `/` between its parts and odd bytes as surrogates.
Listing = Mapping[str, Entry]


@dataclass(frozen=True)
class Folders:
    """One folder on both sides.

    Args:
        what: in words: "project dogs".
        here: the folder on this computer.
        there: the folder there, relative to the home folder.
        exclude: patterns of what stays where it is, beside `SECRETS`.
        elsewhere: patterns of what another command copies, with that command.
        is_project: git says what belongs to it.
    """

    what: str
    here: Path
    there: str
    exclude: tuple[str, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    is_project: bool = False


@dataclass(frozen=True)
class Plan:
    """What is to be done with each file, in the order of their names.

    Args:
        send: to be copied.
        same: there already, by size and time.
        newer: newer where they would be copied to; these stay as they are.
        delete: only at the goal; empty unless it was asked for.
        left_out: reason -> files, of the source.
        size_bytes: of all that is to be copied.
    """

    send: tuple[str, ...]
    same: tuple[str, ...]
    newer: tuple[str, ...]
    delete: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]]
    size_bytes: int


def counterpart(here: Path, home: Path, otherwise: str) -> str:
    """The folder there, relative to its home folder, that a folder here is.

    Args:
        here: absolute.
        home: this computer's home folder.
        otherwise: what it is there when it lies outside of the home folder here.

    Raises:
        DlError: it is the home folder itself, holds it, or is the root.
    """
    require_narrow(here, home)
    inside = here.is_relative_to(home)
    return here.relative_to(home).as_posix() if inside else otherwise


def require_narrow(here: Path, home: Path) -> None:
    """Refuse to copy a whole home or a whole disk.

    Raises:
        DlError: it is the home folder, one that holds it, or no absolute path at all.
    """
    if not here.is_absolute() or home.is_relative_to(here):
        raise DlError(
            f"{shown(here)} is not copied as a whole",
            why="it is a home folder, or holds one",
            hint="Name a folder within it.",
            exit_code=ExitCode.USAGE,
        )


def require_remote(there: str) -> None:
    """Refuse a folder there that isn't below its home folder.

    Raises:
        DlError: it is empty, absolute, the home folder, or climbs out of it.
    """
    path = PurePosixPath(there)
    if path.is_absolute() or not path.parts or ".." in path.parts or path.parts[0][0] == "~":
        raise DlError(
            f"{there!r} is no folder to copy to or from",
            why="it has to be one below the home folder there",
            hint="Name a dataset, a run or a project.",
            exit_code=ExitCode.USAGE,
        )


def plan_copy(
    source: Listing,
    target: Listing,
    *,
    exclude: Sequence[str] = (),
    elsewhere: Mapping[str, str] | None = None,
    ignored: Iterable[str] = (),
    delete: bool = False,
    overwrite: bool = False,
) -> Plan:
    """Decide on every file.

    A file is the same by size and time to the second, as rsync has it. What is newer at the goal
    stays. What is left out of the source is never deleted at the goal.

    Args:
        exclude: patterns beside `SECRETS`; `name/` is a folder, `a/b` a path from the top, any
            other matches a name at any depth; `*` and `?` as in a shell.
        elsewhere: patterns of what another command copies, with that command.
        ignored: paths that git ignores, of both sides.
        delete: whether to delete at the goal what isn't in the source.
        overwrite: whether to copy over what is newer at the goal.
    """
    others = {**(elsewhere or {}), f"{PARTIAL}/": ""}
    patterns = [*SECRETS, *exclude]
    passed = set(ignored)

    def reason(path: str) -> str | None:
        """Why a path is left out; empty where nobody needs to know; None where it isn't."""
        if pattern := first_match(path, list(others)):
            return f"`{others[pattern]}` copies them" if others[pattern] else ""
        if pattern := first_match(path, patterns):
            return f"excluded by `{pattern}`"
        return "ignored by git" if path in passed else None

    send: list[str] = []
    same: list[str] = []
    newer: list[str] = []
    left_out: dict[str, list[str]] = defaultdict(list)
    for path in sorted(source):
        entry = source[path]
        why = reason(path)
        if why is None:
            why = _unfit(path, entry, source, target)
        if why is not None:
            if why:
                left_out[why].append(path)
            continue
        there = target.get(path)
        if there is None or there.odd:
            send.append(path)
        elif _is_same(entry, there):
            same.append(path)
        elif int(there.modified) > int(entry.modified) and not overwrite:
            newer.append(path)
        else:
            send.append(path)
    gone = [
        path
        for path in sorted(target if delete else ())
        if path not in source and reason(path) is None and not first_match(path, [HISTORY])
    ]
    return Plan(
        send=tuple(send),
        same=tuple(same),
        newer=tuple(newer),
        delete=tuple(gone),
        left_out={why: tuple(paths) for why, paths in left_out.items()},
        size_bytes=sum(source[path].size for path in send),
    )


def first_match(path: str, patterns: Iterable[str]) -> str | None:
    """The first pattern that a path is meant by; case doesn't count, for `key.PEM` is a key too."""
    parts = path.lower().split("/")
    for pattern in patterns:
        name = pattern.lower().rstrip("/")
        folders = parts[:-1] if pattern.endswith("/") else parts
        if "/" in name:
            name = name.lstrip("/")
            depth = name.count("/") + 1
            # a pattern for a folder means all that is in it
            if len(folders) >= depth and all(
                fnmatchcase(part, wanted)
                for part, wanted in zip(folders, name.split("/"), strict=False)
            ):
                return pattern
        elif any(fnmatchcase(part, name) for part in folders):
            return pattern
    return None


def left_out_lines(left_out: Mapping[str, Sequence[str]], most: int = 5) -> list[str]:
    """What was left out, counted and named, a line for each reason.

    Files of one folder are named together where there are many.
    """
    lines = []
    for why, paths in left_out.items():
        names = list(paths)
        if len(names) > most:
            names = list(dict.fromkeys(_top(path) for path in names))
        some = ", ".join(shown(name) for name in names[:most])
        more = f" and {len(names) - most:,} more" if len(names) > most else ""
        lines.append(f"Left out {len(paths):,}, {why}: {some}{more}.")
    return lines


def _top(path: str) -> str:
    top, slash, _ = path.partition("/")
    return top + slash


def _is_same(one: Entry, other: Entry) -> bool:
    if one.link is not None or other.link is not None:
        return one.link == other.link
    return one.size == other.size and int(one.modified) == int(other.modified)


def _unfit(path: str, entry: Entry, source: Listing, target: Listing) -> str | None:
    """Why a file can't be copied; None where it can."""
    if entry.odd:
        return entry.odd
    if entry.link is not None and not _stays_inside(path, entry.link):
        return "a link that leads out of the folder"
    parts = path.split("/")
    if ".." in parts or not all(parts):
        return "a name that leads out of the folder"
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    if any(path in source for path in above):  # a listing that somebody has made up
        return "below what is no folder"
    # neither is replaced by a folder, nor written through
    in_the_way = any(path in target for path in above)
    return "a file or a link at the goal is in the way" if in_the_way else None


def _stays_inside(path: str, link: str) -> bool:
    if link.startswith("/"):
        return False
    depth = path.count("/")
    for part in link.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return False
    return True

"""The plan of a copy: the folder on each side, and what to do with each file.

`~/data/x` here is `~/data/x` on the box. A plan is made from two listings only, so that rsync and
SFTP do the same.
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
# Passwords and keys, which are never copied.
SECRETS = (".env*", "*.pem", ".aws/", ".ssh/")
# The folder of partial files, which an interrupted copy leaves behind.
PARTIAL = ".dl-partial"
# Never deleted: a later copy may leave the history out.
HISTORY = ".git/"
PROJECTS = "projects"


@dataclass(frozen=True)
class Entry:
    """A file as it was listed.

    Args:
        size: bytes.
        modified: seconds since 1970.
        link: the target of a link; None for a file.
        odd: what it is if neither a file nor a link, in words, such as "a pipe".
    """

    size: int
    modified: float
    link: str | None = None
    odd: str = ""


# Path relative to the folder -> file. Parts are joined by `/`, bytes that are not UTF-8 are
# surrogates.
Listing = Mapping[str, Entry]


@dataclass(frozen=True)
class Folders:
    """A folder on this computer, and its counterpart on the box.

    Args:
        what: its name in words, such as "project dogs".
        here: the folder on this computer.
        there: the folder on the box, relative to the home folder.
        exclude: patterns of files that are not copied, besides `SECRETS`.
        elsewhere: pattern -> the other command that copies these files; "" to say nothing of them.
        is_project: whether git tells which files belong to it.
        dataset: the dataset's folder here, if they hold its features.
    """

    what: str
    here: Path
    there: str
    exclude: tuple[str, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    is_project: bool = False
    dataset: Path | None = None


@dataclass(frozen=True)
class Plan:
    """What to do with each file, in the order of their names.

    Args:
        send: files to copy.
        same: files that the destination has, by size and time.
        newer: files that are newer at the destination; these stay.
        delete: files to delete at the destination; empty without `--delete`.
        left_out: reason -> files of the source.
        size_bytes: total size of the files to copy.
    """

    send: tuple[str, ...]
    same: tuple[str, ...]
    newer: tuple[str, ...]
    delete: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]]
    size_bytes: int


def counterpart(here: Path, home: Path, otherwise: str) -> str:
    """The folder on the box for a folder here, relative to the home folder.

    Args:
        here: absolute.
        home: this computer's home folder.
        otherwise: the result for a folder outside the home folder.

    Raises:
        DlError: `here` is the home folder, contains it, or is the root.
    """
    require_narrow(here, home)
    inside = here.is_relative_to(home)
    return here.relative_to(home).as_posix() if inside else otherwise


def require_narrow(here: Path, home: Path) -> None:
    """Refuse to copy a whole home folder or a whole disk.

    Raises:
        DlError: it is the home folder, contains it, or is not an absolute path.
    """
    if not here.is_absolute() or home.is_relative_to(here):
        raise DlError(
            f"{shown(here)} cannot be copied as a whole",
            why="it is or contains your home folder",
            hint="Name a folder inside your home folder.",
            exit_code=ExitCode.USAGE,
        )


def require_remote(there: str) -> None:
    """Refuse a folder on the box that is not below the home folder.

    Raises:
        DlError: it is empty, absolute, the home folder, or outside it.
    """
    path = PurePosixPath(there)
    if path.is_absolute() or not path.parts or ".." in path.parts or path.parts[0][0] == "~":
        raise DlError(
            f"{there!r} is not a folder to copy to or from",
            why="it must be below the home folder of the box",
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

    Files are the same if their sizes and times agree to the second, as in rsync. Files that are
    newer at the destination stay. Files that are left out are never deleted at the destination.

    Args:
        exclude: patterns besides `SECRETS`; `name/` is a folder, `a/b` a path from the top, any
            other matches a name at any depth; `*` and `?` as in a shell.
        elsewhere: pattern -> the other command that copies these files.
        ignored: paths that git ignores, of both sides.
        delete: whether to delete at the destination what the source has not.
        overwrite: whether to replace files that are newer at the destination.
    """
    others = {**(elsewhere or {}), f"{PARTIAL}/": ""}
    patterns = [*SECRETS, *exclude]
    passed = set(ignored)

    def reason(path: str) -> str | None:
        """Why a path is left out; empty to say nothing; None if it is not left out."""
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
    """The first pattern that a path matches, ignoring case, for `key.PEM` is a key too."""
    parts = path.lower().split("/")
    for pattern in patterns:
        name = pattern.lower().rstrip("/")
        folders = parts[:-1] if pattern.endswith("/") else parts
        if "/" in name:
            name = name.lstrip("/")
            depth = name.count("/") + 1
            # a folder's pattern matches all that is in it
            if len(folders) >= depth and all(
                fnmatchcase(part, wanted)
                for part, wanted in zip(folders, name.split("/"), strict=False)
            ):
                return pattern
        elif any(fnmatchcase(part, name) for part in folders):
            return pattern
    return None


def left_out_lines(left_out: Mapping[str, Sequence[str]], most: int = 5) -> list[str]:
    """The files that were left out, one line per reason.

    Many files of one folder are named by the folder.
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
    """Why a file cannot be copied; None if it can."""
    if entry.odd:
        return entry.odd
    if entry.link is not None and not _stays_inside(path, entry.link):
        return "a link that leads out of the folder"
    parts = path.split("/")
    if ".." in parts or not all(parts):
        return "a name that leads out of the folder"
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    if any(path in source for path in above):  # a forged listing
        return "a path whose parent is not a folder"
    # a file is not replaced by a folder, and a link is not followed
    in_the_way = any(path in target for path in above)
    return "a file or a link at the destination is in the way" if in_the_way else None


def _stays_inside(path: str, link: str) -> bool:
    if link.startswith("/"):
        return False
    depth = path.count("/")
    for part in link.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return False
    return True

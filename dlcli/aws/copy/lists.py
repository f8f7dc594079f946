"""List the files of a folder, here and on a machine, and those that git ignores."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.aws.copy.plan import PARTIAL, Entry
from dlcli.aws.ssh import run
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.git import run_git
from dlcli.progress import say
from dlcli.words import printable

if TYPE_CHECKING:
    from paramiko import SSHClient

_KINDS = {"p": "a pipe", "s": "a socket", "b": "a device", "c": "a device"}
# find(1)'s fields of a file, each followed by NUL, which no name and no link contains.
_FIELDS = r"%y\0%s\0%T@\0%l\0%P\0"
# A password or token in git's settings: in an address, or as a header.
_SECRET_SETTING = re.compile(rb"://[^/\s@]+@|extraheader|password|token", re.IGNORECASE)
GIT = ".git"


def listed_here(folder: Path) -> dict[str, Entry]:
    """The files below a folder of this computer, links as links; {} if it does not exist."""
    found = {}
    for name, status in _walk(os.fspath(folder), ""):
        found[name] = _entry(folder / name, status)
    return found


def listed_there(client: SSHClient, folder: str) -> tuple[dict[str, Entry], bool]:
    """The files below a folder of a machine, as `listed_here`.

    Args:
        folder: absolute.

    Returns:
        the files, and whether the list is complete. If some cannot be read, a warning says so.
    """
    script = f'test ! -e "$1" || find -H "$1/" -name {PARTIAL} -prune -o ! -type d -printf "$2"'
    code, out, err = run(client, ["sh", "-c", script, "sh", folder, _FIELDS])
    if code:
        say(f"Warning: some of {printable(folder)} on the box cannot be read: {err.strip()}")
    parts = out.split("\0")[:-1]
    found = {}
    for kind, size, modified, link, name in zip(*[iter(parts)] * 5, strict=True):
        is_link = kind == "l"
        odd = "" if kind in "fl" else _KINDS.get(kind, "no file")
        found[name] = Entry(int(size), float(modified), link if is_link else None, odd)
    return found, not code


def checkout_around(folder: Path) -> Path:
    """The git checkout that a folder is in.

    Raises:
        DlError: it is not in one, or git is not installed.
    """
    try:
        return Path(os.fsdecode(_git(folder, "rev-parse", "--show-toplevel").removesuffix(b"\n")))
    except DlError as error:
        raise DlError(
            f"{shown(folder)} is not in a git checkout",
            why=error.why,
            hint="git tells which files belong to a project. Run `git init`, or change to the "
            "project's folder.",
        ) from error


def listed_project(root: Path, with_history: bool) -> tuple[dict[str, Entry], set[str]]:
    """The files of a checkout, tracked or not, and those that git ignores.

    Args:
        root: the checkout.
        with_history: whether to list `.git` too.

    Returns:
        the files, and the ignored ones among them. A folder that is ignored as a whole is one
        entry, which ends with `/`.
    """
    names = _names(_git(root, "ls-files", "-co", "--exclude-standard", "-z"))
    ignored = _names(_git(root, "ls-files", "-oi", "--exclude-standard", "--directory", "-z"))
    found = {}
    for name in dict.fromkeys(names):
        path = root / name
        try:
            status = os.lstat(path)
        except FileNotFoundError:  # tracked, but removed
            continue
        nested = stat.S_ISDIR(status.st_mode)
        found[name.rstrip("/")] = (
            Entry(0, 0, odd="nested git repositories") if nested else _entry(path, status)
        )
    found |= dict.fromkeys(ignored, Entry(0, 0))
    if with_history:
        found |= _history(root)
    return found, set(ignored)


def git_ignored(root: Path, names: Iterable[str]) -> set[str]:
    """The paths, relative to a checkout, that git ignores and does not track."""
    asked = [name for name in names if not _leads_astray(root, name)]
    if not asked:
        return set()
    data = b"".join(os.fsencode(f"./{name}") + b"\0" for name in asked)
    out = _git(root, "check-ignore", "--stdin", "-z", stdin=data, fine=(0, 1))
    return {name.removeprefix("./") for name in _names(out)}


def _history(root: Path) -> dict[str, Entry]:
    folder = root / GIT
    if not folder.is_dir():
        return {GIT: Entry(0, 0, odd="the history of another checkout")}
    found = {f"{GIT}/{name}": entry for name, entry in listed_here(folder).items()}
    settings = folder / "config"
    if settings.is_file() and _SECRET_SETTING.search(settings.read_bytes()):
        found[f"{GIT}/config"] = Entry(0, 0, odd="it may hold a password")
    return found


def _leads_astray(root: Path, name: str) -> bool:
    """Whether git would refuse a path, because it leads out of the checkout or through a link."""
    parts = name.split("/")
    if ".." in parts or not all(parts) or parts[0] == GIT:
        return True
    return any((root / "/".join(parts[:depth])).is_symlink() for depth in range(1, len(parts)))


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except FileNotFoundError:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            if entry.name != PARTIAL:
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry.stat(follow_symlinks=False)


def _entry(path: Path, status: os.stat_result) -> Entry:
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        return Entry(status.st_size, status.st_mtime, os.fspath(path.readlink()))
    if stat.S_ISREG(mode):
        return Entry(status.st_size, status.st_mtime)
    kind = "p" if stat.S_ISFIFO(mode) else "s" if stat.S_ISSOCK(mode) else "b"
    return Entry(0, status.st_mtime, odd=_KINDS[kind])


def _names(output: bytes) -> list[str]:
    return [os.fsdecode(name) for name in output.split(b"\0") if name]


def _git(
    folder: Path, *words: str, stdin: bytes | None = None, fine: tuple[int, ...] = (0,)
) -> bytes:
    """git's output.

    Raises:
        DlError: git is not installed, or fails.
    """
    try:
        done = run_git(folder, *words, stdin=stdin)
    except FileNotFoundError as error:
        raise DlError(
            "git is not installed",
            why="it tells which files belong to a project",
            hint="Install it: `sudo apt install git`.",
        ) from error
    if done.returncode not in fine:
        said = done.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
        raise DlError(f"git cannot read {shown(folder)}", why=said)
    return done.stdout

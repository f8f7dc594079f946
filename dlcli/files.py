"""Reading and writing files: whole or not at all, any file name, YAML without surprises.

File names are bytes on disk. Python carries bytes that aren't UTF-8 as surrogates; every text
file that may hold a file name is written and read with `surrogateescape`, here and nowhere else.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlcli.errors import DlError
from dlcli.places import shown
from dlcli.processes import exists


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Write a file whole or not at all: temp + fsync + rename.

    Args:
        path: the file to appear, or to be replaced, when the block ends well.

    Yields:
        a temporary path beside it, with the same suffixes (Keras' savers insist on theirs).
    """
    temporary = path.with_name(f".{os.getpid()}-{path.name}")  # as `remove_leftovers` looks for
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        # a write that fails names no file, and nobody knows the temporary one
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that `atomic` left below a folder where its process was killed."""
    for path in folder.rglob(".*-*"):
        pid = path.name[1:].partition("-")[0]
        if pid.isdecimal() and not exists(int(pid)):
            path.unlink(missing_ok=True)


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write `content` whole or not at all; text as UTF-8, file names' odd bytes kept."""
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries (a rename, a new file) last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems can't; the rename itself stays atomic
        pass
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make a folder and all files below it last through a power cut."""
    for above, _, names in os.walk(folder):
        for name in names:
            with Path(above, name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(above))


def sync_disk(folder: Path) -> None:
    """Make all that was written on a folder's disk last through a power cut.

    25,000 files at once take a second; each on its own, twenty.
    """
    import ctypes

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if hasattr(ctypes.CDLL(None), "syncfs"):
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
        else:
            os.sync()
    finally:
        os.close(descriptor)


def digest_of(file: Path) -> str:
    """The sha256 of a file, in hex digits; "" where it is gone."""
    import hashlib

    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def read_text(path: Path) -> str:
    """Read UTF-8 text; bytes that are not UTF-8 come back as surrogates."""
    return path.read_bytes().decode("utf-8", "surrogateescape")


def read_yaml(path: Path) -> Any:
    """Read a YAML file; None when it is empty.

    Raises:
        DlError: the file isn't YAML, with the line that is at fault.
    """
    import yaml

    data = path.read_bytes()
    # libyaml's loader takes 0.2 ms for a config, Python's own 1.3 ms, but it refuses the
    # surrogates that stand for odd bytes in a file name
    fast = b"\\uD" not in data and hasattr(yaml, "CSafeLoader")
    try:
        return yaml.load(data, yaml.CSafeLoader if fast else yaml.SafeLoader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or number that there isn't
        reason = _yaml_fault(error)
        raise DlError(
            f"{shown(path)} is not valid YAML", why=reason, hint="Mend or remove the file."
        ) from error


def _yaml_fault(error: Exception) -> str:
    """Where a text isn't YAML, and why, without the parser's words for what it was doing."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return " ".join(str(error).replace(' in "<byte string>"', "").split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', '')}"


def write_yaml(path: Path, value: Any) -> None:
    """Write plain values as YAML, whole or not at all, in the order given."""
    atomic_write(path, dump_yaml(value))


def dump_yaml(value: Any) -> str:
    """Plain values as YAML text, in the order given."""
    import yaml

    def dump(dumper: Any, allow_unicode: bool) -> str:
        text: str = yaml.dump(
            value, Dumper=dumper, allow_unicode=allow_unicode, sort_keys=False, width=100
        )
        return text

    try:
        return dump(getattr(yaml, "CSafeDumper", yaml.SafeDumper), True)
    except UnicodeEncodeError:  # libyaml refuses the surrogates of odd file names
        return dump(yaml.SafeDumper, False)


def read_csv(path: Path, separator: str = ",") -> list[list[str]]:
    """Read all rows of a CSV, header included; a byte order mark is no part of it.

    Args:
        path: the file.
        separator: what stands between its cells.

    Raises:
        DlError: the file is not CSV.
    """
    try:
        text = read_text(path).removeprefix("\ufeff")
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise DlError(
            f"{shown(path)} is not valid CSV", why=str(error), hint="Mend or remove the file."
        ) from error


def write_csv(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write rows as CSV (RFC 4180 quoting, `\\n` at line ends), whole or not at all."""
    with (
        atomic(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        file.write(csv_text(rows))


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV: RFC 4180 quoting, `\\n` at line ends."""
    text = io.StringIO(newline="")
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in map(list, rows):
        # Python's writer leaves a lone carriage return bare, and its reader then ends the row
        (quoted if any("\r" in str(value) for value in row) else plain).writerow(row)
    return text.getvalue()

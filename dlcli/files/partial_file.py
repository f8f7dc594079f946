"""The part of a download that is on disk, and what its server says of the whole file.

The bytes so far are in `NAME.partial`; `NAME.partial.json` says which file of the server they are
of.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

from dlcli.files.atomic import sync_folder
from dlcli.files.formats import parse_json, read_text
from dlcli.files.transfer import move_file


@dataclass(frozen=True)
class RemoteFile:
    """A server's description of a file.

    Args:
        size_bytes: its size; None if not given.
        etag: its ETag as sent; "" for none.
        date: its date of change as sent; "" for none.
    """

    size_bytes: int | None
    etag: str
    date: str

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> RemoteFile:
        """Read the headers of an answer that sends the whole file."""
        size = number(headers.get("Content-Length", ""))
        return cls(size, headers.get("ETag", ""), headers.get("Last-Modified", ""))

    @property
    def validator(self) -> str:
        """The value for `If-Range`: the ETag or the date; "" if neither can be used."""
        # a weak ETag, W/"...", promises the same meaning, not the same bytes
        if re.fullmatch(r'"[!-~]*"', self.etag):
            return self.etag
        return self.date if seconds_of(self.date) is not None and self.date.isascii() else ""

    def is_named_by(self, headers: Mapping[str, str]) -> bool:
        """Whether an answer that sends a part is of this file, as far as it says."""
        name = "ETag" if self.validator == self.etag else "Last-Modified"
        return headers.get(name, self.validator) == self.validator

    def is_at(self, path: Path) -> bool:
        """Whether a whole file is this one: by size and date, or by size and MD5.

        What was fetched has the server's date. For what came by other ways there is the ETag, the
        MD5 at Google's and Amazon's storage where a file was uploaded in one piece.
        """
        if not path.is_file() or path.stat().st_size != self.size_bytes:
            return False
        date = seconds_of(self.date)
        if date is not None and int(path.stat().st_mtime) == int(date):
            return True
        if not re.fullmatch(r'"[0-9a-f]{32}"', self.etag):
            return False
        return digest_of(path, 32) == self.etag.strip('"')


class PartialFile:
    """A file that is not complete yet.

    Args:
        target: the final path.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.file = target.with_name(f"{target.name}.partial")
        self.marker = target.with_name(f"{target.name}.partial.json")

    def size(self) -> int:
        """The number of bytes so far."""
        return self.file.stat().st_size if self.file.is_file() else 0

    def begun(self) -> RemoteFile | None:
        """The file that these bytes are the start of; None if unknown."""
        try:
            values = parse_json(read_text(self.marker))
            remote = RemoteFile(values["size_bytes"], str(values["etag"]), str(values["date"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None
        size = remote.size_bytes
        sensible = size is None or (isinstance(size, int) and self.size() <= size)
        return remote if sensible and remote.validator and self.size() else None

    def begin(self, remote: RemoteFile) -> None:
        """Discard the bytes so far, and record the file to download."""
        with self.file.open("wb") as file:
            os.fsync(file.fileno())
        # last, or it could speak of another's bytes; in place, as half a marker counts as none
        with self.marker.open("w", encoding="ascii") as file:
            json.dump(asdict(remote), file)
            file.flush()
            os.fsync(file.fileno())

    def finish(self, remote: RemoteFile) -> None:
        """Give the complete file its name and the server's date.

        Raises:
            FileExistsError: another file has the name by now.
        """
        date = seconds_of(remote.date)
        if date is not None:
            os.utime(self.file, (date, date))
        with self.file.open("rb") as file:
            os.fsync(file.fileno())
        move_file(str(self.file), str(self.target))
        sync_folder(self.target.parent)
        self.remove()

    def remove(self) -> None:
        """Remove it."""
        self.file.unlink(missing_ok=True)
        self.marker.unlink(missing_ok=True)


def digest_of(file: Path, digits: int) -> str:
    """The md5 of a file in hex where that has so many digits, else the sha256."""
    algorithm = "md5" if digits == 32 else "sha256"
    with file.open("rb") as content:
        made = hashlib.file_digest(content, lambda: hashlib.new(algorithm, usedforsecurity=False))
    return made.hexdigest()


def number(text: str) -> int | None:
    """A number of bytes or seconds in a header; None if it is not a number."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def seconds_of(date: str) -> float | None:
    """An HTTP date as seconds since 1970; None if it is not a date, or earlier."""
    try:
        seconds = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return seconds if seconds >= 0 else None

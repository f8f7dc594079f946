"""The beginning of a file that is being fetched, and which file on the server it is of.

The bytes lie in `NAME.partial`; `NAME.partial.json` says whose beginning they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dlcli.files import read_text, sync_folder
from dlcli.http_answers import seconds_of
from dlcli.transfer import move_file


@dataclass(frozen=True)
class RemoteFile:
    """What a server says of a file.

    Args:
        size_bytes: None where it doesn't say.
        etag: as it was sent; "" for none.
        date: when it was changed, as it was sent; "" for none.
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
        """What `If-Range` takes: the ETag, or the date; "" where neither will do."""
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
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        return digest.hexdigest() == self.etag.strip('"')


class PartialFile:
    """A file that is not whole yet.

    Args:
        target: what it is to become.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.file = target.with_name(f"{target.name}.partial")
        self.marker = target.with_name(f"{target.name}.partial.json")

    def size(self) -> int:
        """How much is here, in bytes."""
        return self.file.stat().st_size if self.file.is_file() else 0

    def begun(self) -> RemoteFile | None:
        """The file that this is the beginning of; None where that isn't known for sure."""
        try:
            values = json.loads(read_text(self.marker))
            remote = RemoteFile(values["size_bytes"], str(values["etag"]), str(values["date"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None
        size = remote.size_bytes
        sensible = size is None or (isinstance(size, int) and self.size() <= size)
        return remote if sensible and remote.validator and self.size() else None

    def begin(self, remote: RemoteFile) -> None:
        """Forget what is here, and note what will be."""
        with self.file.open("wb") as file:
            os.fsync(file.fileno())
        # last, or it could speak of another's bytes; in place, as half a marker counts as none
        with self.marker.open("w", encoding="ascii") as file:
            json.dump(asdict(remote), file)
            file.flush()
            os.fsync(file.fileno())

    def finish(self, remote: RemoteFile) -> None:
        """Give the whole file its name, and the server's date.

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
        """Forget it."""
        self.file.unlink(missing_ok=True)
        self.marker.unlink(missing_ok=True)


def number(text: str) -> int | None:
    """A count of bytes or seconds in a header; None where it is none."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None

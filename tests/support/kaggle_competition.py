"""A competition on this machine: its files, its rules, and what was sent to it."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from support.kaggle_scoring import Scorer


@dataclass
class Competition:
    """A competition, and what a test may change of it.

    Args:
        slug: its name in URLs.
        scorer: what is sent is scored by it; see `kaggle_scoring`.
        files: path -> content.
        archive: what the download of everything sends; None: a zip of the files.
        zipped: paths of files that the download of one file sends as `NAME.zip`.
        rules_accepted: whether the user did.
        daily_limit: submissions a day.
        leaderboard: team and public score, best first.
        modified: when the files last changed.
    """

    slug: str
    scorer: Scorer = lambda rows: 0.0
    files: dict[str, bytes] = field(default_factory=dict)
    archive: bytes | None = None
    zipped: tuple[str, ...] = ()
    rules_accepted: bool = True
    daily_limit: int = 5
    leaderboard: list[tuple[str, float]] = field(default_factory=list)
    modified: datetime = datetime(2024, 5, 17, 12, tzinfo=UTC)

    def whole(self) -> bytes:
        """What the download of everything sends."""
        return zip_of(self.files) if self.archive is None else self.archive

    def score(self, sent: Sent) -> None:
        """Write down the scores of a submission, or why it has none."""
        try:
            score = self.scorer(_rows_of(sent.content))
            public, private = score if isinstance(score, tuple) else (score, None)
            sent.public = f"{public:.5f}"
            sent.private = "" if private is None else f"{private:.5f}"
        except (ValueError, OSError, EOFError, zlib.error, csv.Error, IndexError) as error:
            sent.error = str(error)


@dataclass
class Sent:
    """A submission that arrived.

    Args:
        polls: how many more answers call it pending.
    """

    ref: int
    slug: str
    user: str
    file_name: str
    content: bytes
    description: str
    date: datetime
    polls: int
    public: str = ""
    private: str = ""
    error: str = ""

    def status(self) -> str:
        """Its state, after one more look at it."""
        self.polls -= 1
        return "PENDING" if self.polls >= 0 else "ERROR" if self.error else "COMPLETE"


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """A zip; the same bytes for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def _rows_of(content: bytes) -> list[list[str]]:
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))

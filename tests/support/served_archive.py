"""An archive on a server of this machine, and what a call that ends early leaves of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.storage_host import Storage

from dlcli.errors import DlError
from dlcli.files import download
from dlcli.files.download import fetch
from dlcli.files.partial_file import PartialFile

CONTENT = bytes(range(256)) * 4000
OTHER = CONTENT[::-1] + b"longer"
NAME = "competitions/archive.zip"
LOST = download.CHUNK_BYTES  # of a connection that breaks, at most


def left_after(storage: Storage, path: Path, n_bytes: int) -> int:
    """A call that ends early, as by Ctrl-C; how much it leaves."""
    storage.break_download(n_bytes)
    patch = pytest.MonkeyPatch()
    patch.setattr(time, "sleep", interrupt)
    with pytest.raises((DlError, KeyboardInterrupt), match=r"^(Interrupted\..*|)$"):
        fetch(lambda: storage.link(NAME), path, what="the archive")
    patch.undo()
    left = PartialFile(path).size()
    assert n_bytes - LOST <= left <= n_bytes
    return left


def interrupt(seconds: float) -> None:
    """Ctrl-C during the pause before another try."""
    raise KeyboardInterrupt

"""A server of this machine that has an archive, and where the archive goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.loopback import loopback_only
from support.served_archive import CONTENT, NAME
from support.storage_host import Storage

from dlcli.files import download
from dlcli.files.download import fetch


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    monkeypatch.setattr(download, "DELAYS_SECONDS", (0.0, 0.0, 0.0))
    server = Storage()
    server.put(NAME, CONTENT)
    with loopback_only():
        yield server
    server.stop()
    assert server.faults == []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "archive.zip"


@pytest.fixture
def go(storage: Storage, path: Path) -> Callable[[], bool]:
    """Fetch the file, by a fresh link for each try; nothing may be left beside it."""

    def run() -> bool:
        came = fetch(lambda: storage.link(NAME), path, what="the archive")
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        return came

    return run

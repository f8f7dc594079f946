"""What tests of copying get: a folder, and each of the two ways to copy it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.sshd import Sshd, program


@pytest.fixture(params=["rsync", "sftp"])
def way(request: pytest.FixtureRequest, sshd: Sshd) -> str:
    """How files are copied: where the other side has no rsync, by SFTP."""
    program("rsync")
    if request.param == "sftp":
        sshd.stop()
        sshd.without("rsync")
        sshd.start()
    return str(request.param)


@pytest.fixture
def data(home: Path) -> Path:
    """A folder with a few files in folders."""
    folder = home / "data" / "dogs"
    for name, size in (("train/cat/1.jpg", 3000), ("train/dog/1.jpg", 0), ("run.sh", 10)):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(size))
    (folder / "run.sh").chmod(0o755)
    return folder

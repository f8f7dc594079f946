"""What tests of archives do with each: unpack it, or see it refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.small_folders import Tree, tree

from dlcli.errors import DlError
from dlcli.files.archive_members import Budget
from dlcli.files.archives import open_archive

KINDS = ("pets.zip", "pets.tar", "pets.tar.gz", "pets.tgz", "pets.tar.bz2", "pets.tar.xz")
every_kind = pytest.mark.parametrize("name", KINDS)


def unpacked(path: Path, into: Path) -> Tree:
    with open_archive(path, Budget(path.stat().st_size)) as archive:
        archive.unpack(into)
    return tree(into, hidden=True)


def refused(path: Path, into: Path, says: str) -> DlError:
    """The error, of an archive of which not even the folder is made."""
    with pytest.raises(DlError, match=says) as caught:
        unpacked(path, into)
    assert not into.exists()
    return caught.value

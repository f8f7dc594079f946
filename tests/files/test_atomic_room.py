"""Room on a disk: what is refused, and in which words."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dlcli.errors import DlError
from dlcli.files.atomic import existing, require_room


def test_a_disk_is_asked_where_the_folder_is_yet_to_be_made(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert existing(folder) == existing(tmp_path) == tmp_path
    free = shutil.disk_usage(tmp_path).free
    require_room(folder, [free // 2], "for it")
    with pytest.raises(DlError, match=r"^No room for it") as error:
        require_room(folder, [free * 2], "for it", "Nothing was made.")
    assert error.value.hint == "Nothing was made."
    assert not folder.exists()


def test_the_disk_is_named_by_where_it_is_mounted(other_disk: Path) -> None:
    with pytest.raises(DlError) as error:
        require_room(other_disk / "made", [1 << 60], "for it")
    assert "it needs 1,152,921,504.6 GB, and the disk at /dev/shm has" in error.value.why


def test_small_files_take_whole_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10 * 4096))
    require_room(tmp_path, [1] * 10, "for ten")
    with pytest.raises(DlError, match="No room for eleven"):
        require_room(tmp_path, [1] * 11, "for eleven")

"""`dl data get` looks for room, for the archive and for what is in it, before it fetches any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.command_result import Dl, ok, refused
from support.competition_entry import FILES, SLUG
from support.kaggle_server import KaggleServer

from dlcli.files import download


def free_at(monkeypatch: pytest.MonkeyPatch, free: Callable[[Path], int]) -> None:
    """Disks with so much room, by the folder that is asked about."""
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free(Path(path))))


def test_room_for_the_archive_and_for_what_is_in_it_is_looked_for_first(
    dl: Dl, server: KaggleServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = len(server.competitions[SLUG].whole())
    largest = len(FILES["train.zip"])  # is there once more while it is unpacked
    for free in (whole + 50_000, 2 * whole, 2 * whole + largest - 4096):
        free_at(monkeypatch, lambda path, free=free: free)
        refused(
            dl("data", "get", SLUG), "No room for the archive and its content: it needs 598.0 kB"
        )
        assert "DownloadDataFiles" not in server.calls
        assert not (home / "data").exists()
    free_at(monkeypatch, lambda path: 2 * whole + largest + 20_000)
    ok(dl("data", "get", SLUG))


def test_room_is_looked_for_on_each_disk(
    dl: Dl, server: KaggleServer, home: Path, other_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = len(server.competitions[SLUG].whole())
    there, here = [whole], [whole + 10_000]
    free_at(monkeypatch, lambda path: (there if path.is_relative_to(other_disk) else here)[0])
    words = ("data", "get", SLUG, "--dataset", other_disk / "pets")
    refused(dl(*words), "No room for the archive's content", "the disk at /dev/shm has", "401.4 kB")
    there, here = [3 * whole], [whole - 10_000]
    refused(dl(*words), "No room for the archive in ~/data/.downloads", "`--data-dir`")
    here[0] = whole + 10_000
    ok(dl(*words))
    assert (other_disk / "pets/train/cat").is_dir()


def test_what_has_come_needs_no_room_again(
    dl: Dl, server: KaggleServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, largest = len(server.competitions[SLUG].whole()), len(FILES["train.zip"])
    monkeypatch.setattr(download, "DELAYS_SECONDS", ())
    server.break_download(150_000)
    refused(dl("data", "get", SLUG), "The same command resumes from there")
    free_at(monkeypatch, lambda path: 2 * whole + largest - 50_000)
    ok(dl("data", "get", SLUG))

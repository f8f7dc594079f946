"""A large file comes whole or not at all, and in the place of no other."""

from __future__ import annotations

import hashlib
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.children import fork, no_file_above, wait
from support.served_archive import CONTENT, NAME, left_after
from support.storage_host import Storage

from dlcli.errors import DlError
from dlcli.files import download
from dlcli.files.download import fetch
from dlcli.files.partial_file import PartialFile

pytestmark = pytest.mark.forks  # before a backend's threads are in this process


def test_a_file_comes_whole_with_the_servers_date(go, path: Path) -> None:
    assert go()
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mtime == datetime(2024, 5, 17, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("length", [None, "no number", "-1"])
def test_a_file_of_unknown_length_comes(go, storage: Storage, path: Path, length) -> None:
    storage.headers["Content-Length"] = length
    assert go()
    assert path.read_bytes() == CONTENT


def test_a_file_that_is_shorter_than_announced_is_not_taken(go, storage, path: Path) -> None:
    storage.headers["Content-Length"] = str(len(CONTENT) + 1)
    with pytest.raises(DlError, match="Can't download the archive"):
        go()
    assert not path.exists()


def test_a_file_that_is_there_is_not_fetched_again(go, storage: Storage, path: Path) -> None:
    assert go()
    assert not go()
    storage.put(NAME, CONTENT, datetime(2024, 6, 1, tzinfo=UTC))
    assert not go()  # the ETag is the MD5 of the content
    path.touch()
    assert not go()


@pytest.mark.parametrize("content", [b"mine", CONTENT[::-1]])
def test_another_file_is_never_replaced(go, path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DlError, match="may be another file"):
        go()
    assert path.read_bytes() == content


def test_a_file_that_appears_meanwhile_is_not_replaced(go, storage, path: Path) -> None:
    left_after(storage, path, 500_000)
    storage.refuse("Download", 503)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlcli.files.partial_file.os.utime", lambda *_: path.write_bytes(b"mine"))
        with pytest.raises(DlError, match="it has 4 bytes"):
            go()
    assert path.read_bytes() == b"mine"
    assert PartialFile(path).file.read_bytes() == CONTENT


def test_what_the_disk_can_not_hold_is_refused_before_the_first_byte(
    go, storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(path.parent.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(DlError, match=r"No room for the archive in .*: it needs 1\.0 MB"):
        go()
    assert list(path.parent.iterdir()) == []


def test_room_is_needed_for_the_rest_alone_and_what_is_kept_is_said(
    go, storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_after(storage, path, 500_000)
    usage, free = shutil.disk_usage(path.parent), [400_000]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free[0]))
    with pytest.raises(DlError, match=r"No room for the rest of .*: it needs 565\.2 kB") as no:
        go()
    assert "Kept 458.8 kB. The same command resumes from there." in no.value.hint
    free[0] = 600_000
    assert go()
    assert path.read_bytes() == CONTENT


def test_a_disk_that_is_full_in_the_middle_keeps_what_there_is(go, storage, path: Path) -> None:
    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        no_file_above(500_000)

    link = storage.link(NAME)
    code = wait(fork(lambda: fetch(lambda: link, path, what="the archive"), limited))
    assert code == 99  # the OSError that the command line has its words for
    assert PartialFile(path).size() == 500_000
    assert go()
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_file_that_is_not_what_was_promised_is_not_taken(
    storage: Storage, path: Path, algorithm: str, begun: bool
) -> None:
    wanted = hashlib.new(algorithm, CONTENT[::-1]).hexdigest()
    if begun:
        left_after(storage, path, 500_000)
    with pytest.raises(DlError, match=r"127\.0\.0\.1 sent a damaged file, its digest is"):
        fetch(lambda: storage.link(NAME), path, what="the archive", digest=wanted)
    assert list(path.parent.iterdir()) == []
    right = hashlib.new(algorithm, CONTENT).hexdigest()
    assert fetch(lambda: storage.link(NAME), path, what="the archive", digest=right)


def test_a_file_without_an_end_does_not_fill_the_disk(
    go, storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(path.parent.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=900_000_000))
    monkeypatch.setattr(download, "STEP_BYTES", 100_000)
    storage.headers["Content-Length"] = None
    with pytest.raises(DlError, match=r"No room for more than the first 1\d\d\.\d kB of") as error:
        go()
    assert "Its server does not say how large it is" in error.value.hint
    storage.headers.clear()
    assert go()  # of a known size

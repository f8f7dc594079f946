"""What is there of a file is gone on with only where the server has that very file still."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.served_archive import CONTENT, NAME, OTHER, left_after
from support.storage_host import Storage

from dlcli.errors import DlError
from dlcli.files import download
from dlcli.files.partial_file import PartialFile, RemoteFile, number, seconds_of

pytestmark = pytest.mark.forks  # before a backend's threads are in this process


def ranges(storage: Storage) -> list[str | None]:
    """What part each request asked for."""
    return [request.headers.get("Range") for request in storage.requests]


@pytest.mark.parametrize("date", [None, datetime(2024, 6, 1, tzinfo=UTC)])
def test_a_file_that_was_changed_begins_anew(go, storage, path: Path, date) -> None:
    left_after(storage, path, 500_000)
    storage.put(NAME, OTHER, date)
    assert go()
    assert path.read_bytes() == OTHER


def test_without_an_etag_the_date_tells_of_a_change(go, storage: Storage, path: Path) -> None:
    storage.headers["ETag"] = None
    left = left_after(storage, path, 500_000)
    storage.put(NAME, OTHER, datetime(2024, 6, 1, tzinfo=UTC))
    assert go()
    assert path.read_bytes() == OTHER
    assert ranges(storage) == [None, f"bytes={left}-"]


@pytest.mark.parametrize("etag", [None, 'W/"weak"', "bare", '"\xe9"'])
def test_what_nothing_identifies_begins_anew(go, storage, path: Path, etag: str | None) -> None:
    storage.headers |= {"ETag": etag, "Last-Modified": None}
    path.parent.mkdir()
    PartialFile(path).begin(RemoteFile(len(OTHER), etag or "", ""))  # and it was killed
    PartialFile(path).file.write_bytes(OTHER[:500_000])
    storage.put(NAME, OTHER)
    assert go()
    assert path.read_bytes() == OTHER
    assert ranges(storage) == [None]


def test_what_can_not_be_gone_on_with_is_not_kept(go, storage: Storage, path: Path) -> None:
    storage.headers |= {"ETag": None, "Last-Modified": None}
    storage.break_download(500_000, times=99)
    with pytest.raises(DlError, match="connection broke") as error:
        go()
    assert error.value.hint == "Try again later."
    assert list(path.parent.iterdir()) == []


def test_a_server_without_ranges_sends_all_again(go, storage: Storage, path: Path) -> None:
    storage.ranges = False
    left_after(storage, path, 500_000)
    assert go()
    assert path.read_bytes() == CONTENT


def test_what_breaks_and_always_begins_anew_is_given_up(go, storage: Storage, path: Path) -> None:
    storage.ranges = False
    storage.break_download(500_000, times=99)
    with pytest.raises(DlError, match=r"Can't download the archive: .*broke"):
        go()
    assert len(storage.sent) == 1 + len(download.DELAYS_SECONDS)


@pytest.mark.parametrize(
    "range_sent",
    ["bytes 0-9/1024000", "bytes 7-1023999/1024000", "bytes */1024000", "bytes x", "", "٣"],
)
def test_another_part_than_was_asked_for_is_not_taken(
    go, storage: Storage, path: Path, range_sent: str
) -> None:
    left_after(storage, path, 500_000)
    storage.headers["Content-Range"] = range_sent.encode().decode("latin-1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", lambda seconds: storage.headers.clear())
        assert go()
    assert path.read_bytes() == CONTENT
    assert ranges(storage)[-1] is None


def test_a_part_of_another_file_is_not_taken(go, storage: Storage, path: Path) -> None:
    left_after(storage, path, 500_000)
    storage.put(NAME, OTHER)
    storage.serve, honest = _ignoring_if_range(storage), storage.serve
    go()
    storage.serve = honest
    assert path.read_bytes() == OTHER


def _ignoring_if_range(storage: Storage) -> Callable:
    honest = storage.serve

    def serve(request):
        del request.headers["If-Range"]
        return honest(request)

    return serve


def test_a_part_longer_than_the_file_begins_anew(go, storage: Storage, path: Path) -> None:
    left_after(storage, path, 500_000)
    storage.put(NAME, CONTENT[:1000])
    storage.serve = _ignoring_if_range(storage)  # so that it answers 416
    assert go()
    assert path.read_bytes() == CONTENT[:1000]


def test_a_whole_file_without_its_name_is_not_fetched_again(go, storage, path: Path) -> None:
    left_after(storage, path, 500_000)
    PartialFile(path).file.write_bytes(CONTENT)
    assert go()
    assert path.read_bytes() == CONTENT
    assert ranges(storage) == [None, None]


@given(st.text(), st.text(), st.text())
def test_no_header_makes_an_error(etag: str, date: str, size: str) -> None:
    remote = RemoteFile.of({"ETag": etag, "Last-Modified": date, "Content-Length": size})
    assert remote.validator.isascii()
    assert number(size) == remote.size_bytes
    assert (seconds_of(date) or 0) >= 0


@example(b"[" * 100_000)
@given(st.binary())
def test_a_marker_that_is_damaged_is_none(tmp_path_factory, content: bytes) -> None:
    begun = PartialFile(tmp_path_factory.mktemp("damaged") / "a.zip")
    begun.file.write_bytes(b"beginning")
    begun.marker.write_bytes(content)
    assert begun.begun() is None

"""A large file comes whole or not at all, and no part of it twice where a connection breaks."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from children import fork, killed_before_change, no_file_above, wait
from hypothesis import given
from hypothesis import strategies as st
from local_server import Storage, http_date
from loopback import loopback_only

from dlcli import fetching
from dlcli.errors import DlError, ExitCode
from dlcli.fetching import fetch
from dlcli.http_answers import seconds_of
from dlcli.partial_files import PartialFile, RemoteFile, number

pytestmark = pytest.mark.forks  # before a backend's threads are in this process

CONTENT = bytes(range(256)) * 4000
OTHER = CONTENT[::-1] + b"longer"
NAME = "competitions/archive.zip"
LOST = fetching.CHUNK  # of a connection that breaks, at most


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    monkeypatch.setattr(fetching, "DELAYS_SECONDS", (0.0, 0.0, 0.0))
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


def ranges(storage: Storage) -> list[str | None]:
    """What part each request asked for."""
    return [request.headers.get("Range") for request in storage.requests]


def left_after(storage: Storage, path: Path, n_bytes: int) -> int:
    """A call that ends early, as by Ctrl-C; how much it leaves."""
    storage.break_download(n_bytes)
    patch = pytest.MonkeyPatch()
    patch.setattr(time, "sleep", _interrupt)
    with pytest.raises((DlError, KeyboardInterrupt), match=r"^(Interrupted\..*|)$"):
        fetch(lambda: storage.link(NAME), path, what="the archive")
    patch.undo()
    left = PartialFile(path).size()
    assert n_bytes - LOST <= left <= n_bytes
    return left


def _interrupt(seconds: float) -> None:
    raise KeyboardInterrupt


def test_a_file_comes_whole_with_the_servers_date(go, path: Path) -> None:
    assert go()
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mtime == datetime(2024, 5, 17, 12, tzinfo=UTC).timestamp()


def test_a_broken_connection_is_gone_on_with(go, storage: Storage, path: Path, capfd) -> None:
    storage.break_download(300_000, times=3)
    assert go()
    assert path.read_bytes() == CONTENT
    assert len(CONTENT) <= sum(storage.sent) <= len(CONTENT) + 3 * LOST
    assert len(storage.sent) == 4
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("Trying again in 0 s.") == 3
    assert "127.0.0.1: the connection broke off. Trying" in err


def test_a_link_is_fresh_for_each_try(storage: Storage, path: Path) -> None:
    storage.break_download(300_000, times=2)

    def link() -> str:
        storage.expire_links()
        return storage.link(NAME)

    assert fetch(link, path, what="the archive")
    assert path.read_bytes() == CONTENT


def test_what_a_call_left_is_not_fetched_again(go, storage: Storage, path: Path) -> None:
    left = left_after(storage, path, 500_000)
    assert not path.exists()
    assert go()
    assert path.read_bytes() == CONTENT
    assert storage.sent[1:] == [len(CONTENT) - left]


def test_ctrl_c_says_what_is_kept_and_the_next_call_that_it_goes_on(
    go, storage: Storage, path: Path, capfd, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.break_download(500_000)
    monkeypatch.setattr(time, "sleep", _interrupt)
    with pytest.raises(DlError) as stopped:
        go()
    said = "Interrupted. 0.5 MB are kept: the same command goes on from there."
    assert (str(stopped.value), stopped.value.exit_code) == (said, ExitCode.INTERRUPTED)
    capfd.readouterr()
    assert go()
    assert capfd.readouterr().err == "Going on with the archive after 0.5 of 1.0 MB.\n"


@pytest.mark.parametrize("begun", [False, True])
def test_ctrl_c_promises_nothing_that_is_not_so(
    storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    storage.headers |= {"ETag": None, "Last-Modified": None}  # the rest can't be asked for
    storage.break_download(500_000) if begun else storage.refuse("Download", 503)
    monkeypatch.setattr(time, "sleep", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(lambda: storage.link(NAME), path, what="the archive")


def test_progress_counts_from_what_was_there(go, storage, path: Path, monkeypatch) -> None:
    seen = []
    real = fetching.track
    monkeypatch.setattr(
        fetching, "track", lambda *what, **how: (seen.append((what, how)), real(*what, **how))[1]
    )
    storage.put(NAME, CONTENT * 5)
    left = left_after(storage, path, 3 << 20)
    assert go()
    # begun ones count, or 5.1 of 5.1 MB would read 5/5, and 0.4 of 0.4 nothing
    assert seen[1] == (("fetch archive.zip:", 6, "MB"), {"done": -(-left // 1_000_000)})


def test_a_killed_process_leaves_what_the_next_goes_on_with(go, storage, path: Path) -> None:
    storage.break_download(500_000, stalls=True)
    link = storage.link(NAME)
    child = fork(lambda: fetch(lambda: link, path, what="the archive"))
    end = time.monotonic() + 20
    while PartialFile(path).size() < 500_000 - LOST and time.monotonic() < end:
        time.sleep(0.005)
    with pytest.raises(DlError, match="is being fetched: by process"):
        go()
    os.kill(child, signal.SIGKILL)
    assert wait(child) == -signal.SIGKILL
    left = PartialFile(path).size()
    assert go()
    assert path.read_bytes() == CONTENT
    assert storage.sent[1:] == [len(CONTENT) - left]


@pytest.mark.parametrize("before", ["nothing", "a part", "a part of another"])
def test_killed_at_any_change_the_next_call_ends_well(
    go, storage: Storage, path: Path, before: str
) -> None:
    for change in range(1, 60):
        shutil.rmtree(path.parent, ignore_errors=True)
        if before != "nothing":
            left_after(storage, path, 500_000)
        storage.put(NAME, OTHER if before == "a part of another" else CONTENT)
        act = partial(fetch, partial(str, storage.link(NAME)), path, what="the archive")
        killed = killed_before_change(change, act)
        go()
        assert path.read_bytes() == storage.files[NAME][0]
        storage.put(NAME, CONTENT)
        if not killed:
            assert change > 8, "the kills must have reached the work itself"
            return
    raise AssertionError("it never ended")


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
    left_after(storage, path, 500_000)
    storage.put(NAME, OTHER)
    assert go()
    assert path.read_bytes() == OTHER
    assert ranges(storage) == [None, None]


def test_a_server_without_ranges_sends_all_again(go, storage: Storage, path: Path) -> None:
    storage.ranges = False
    left_after(storage, path, 500_000)
    assert go()
    assert path.read_bytes() == CONTENT


def test_what_breaks_and_always_begins_anew_is_given_up(go, storage: Storage, path: Path) -> None:
    storage.ranges = False
    storage.break_download(500_000, times=99)
    with pytest.raises(DlError, match=r"Can't fetch the archive: .*broke off"):
        go()
    assert len(storage.sent) == 1 + len(fetching.DELAYS_SECONDS)


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


@pytest.mark.parametrize("length", [None, "no number", "-1"])
def test_a_file_of_unknown_length_comes(go, storage: Storage, path: Path, length) -> None:
    storage.headers["Content-Length"] = length
    assert go()
    assert path.read_bytes() == CONTENT


def test_a_file_that_is_shorter_than_announced_is_not_taken(go, storage, path: Path) -> None:
    storage.headers["Content-Length"] = str(len(CONTENT) + 1)
    with pytest.raises(DlError, match="Can't fetch the archive"):
        go()
    assert not path.exists()


def test_trouble_at_the_server_passes(go, storage: Storage, path: Path) -> None:
    storage.refuse("Download", 500)
    storage.refuse("Download", 503)
    assert go()
    assert path.read_bytes() == CONTENT


def test_trouble_that_stays_is_said_with_what_is_kept(go, storage: Storage, path: Path) -> None:
    left_after(storage, path, 500_000)
    storage.refuse("Download", 502, times=99)
    with pytest.raises(DlError) as error:
        go()
    assert str(error.value) == (
        "Can't fetch the archive: 127.0.0.1 answers 502 Bad Gateway\n"
        "0.5 MB are kept: the same command goes on from there."
    )


@pytest.mark.parametrize("status", [400, 403, 404, 418, 299, 204])
def test_a_refusal_is_final(go, storage: Storage, status: int) -> None:
    storage.refuse("Download", status)
    with pytest.raises(DlError, match=f"127.0.0.1 answers {status}"):
        go()
    assert len(storage.calls) == 1


@pytest.mark.parametrize("as_date", [False, True])
def test_a_server_is_left_alone_as_long_as_it_asks(
    go, storage: Storage, monkeypatch: pytest.MonkeyPatch, as_date: bool
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    storage.clock_skew_seconds = -3600  # a date is one by its clock
    after = http_date(storage.now() + timedelta(seconds=30)) if as_date else "30"
    storage.refuse("Download", 429, headers={"Retry-After": after})
    assert go()
    assert [round(seconds, -1) for seconds in slept] == [30]


def test_nobody_waits_for_an_hour(go, storage: Storage) -> None:
    storage.refuse("Download", 429, headers={"Retry-After": "3600"})
    with pytest.raises(DlError, match=r"429 Too Many Requests, and asks .* for 60 minutes"):
        go()


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
    with pytest.raises(DlError, match="not known to be the same file"):
        go()
    assert path.read_bytes() == content


def test_a_file_that_appears_meanwhile_is_not_replaced(go, storage, path: Path) -> None:
    left_after(storage, path, 500_000)
    storage.refuse("Download", 503)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlcli.partial_files.os.utime", lambda *_: path.write_bytes(b"mine"))
        with pytest.raises(DlError, match="here are 4 bytes"):
            go()
    assert path.read_bytes() == b"mine"
    assert PartialFile(path).file.read_bytes() == CONTENT


def test_what_the_disk_can_not_hold_is_refused_before_the_first_byte(
    go, storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(path.parent.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(DlError, match=r"No room for the archive in .*: it takes 1\.0 MB"):
        go()
    assert list(path.parent.iterdir()) == []


def test_room_is_needed_for_the_rest_alone_and_what_is_kept_is_said(
    go, storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_after(storage, path, 500_000)
    usage, free = shutil.disk_usage(path.parent), [400_000]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free[0]))
    with pytest.raises(DlError, match=r"No room for the rest of .*: it takes 0\.6 MB") as no:
        go()
    assert "0.5 MB are kept: the same command goes on from there." in no.value.hint
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


def test_offline_is_said_without_the_links_signature(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(fetching, "DELAYS_SECONDS", (0.0,))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.zip?Signature=secret"
        with pytest.raises(DlError) as error:
            fetch(lambda: url, path, what="the archive")
    assert "Can't fetch the archive: 127.0.0.1: Connection refused" in str(error.value)
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize("url", ["http://[::/?Signature=secret", "nonsense?Signature=secret", ""])
def test_what_is_no_url_is_said_without_it(path: Path, url: str) -> None:
    with pytest.raises(DlError, match="Can't fetch from the server: ") as error:
        fetch(lambda: url, path, what="the archive")
    assert "secret" not in str(error.value)


def test_a_server_that_falls_silent_is_asked_again(go, storage, path: Path, monkeypatch) -> None:
    monkeypatch.setattr("dlcli.http_answers.ANSWER_SECONDS", 0.2)
    storage.break_download(500_000, stalls=True)
    assert go()
    assert path.read_bytes() == CONTENT


def test_nothing_is_taken_from_netrc(go, storage: Storage, home: Path) -> None:
    (home / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    assert go()
    assert "Authorization" not in storage.requests[0].headers


def test_what_is_sent_compressed_is_refused(go, storage: Storage) -> None:
    storage.headers["Content-Encoding"] = "gzip"
    with pytest.raises(DlError, match="sends it compressed"):
        go()


@given(st.text(), st.text(), st.text())
def test_no_header_makes_an_error(etag: str, date: str, size: str) -> None:
    remote = RemoteFile.of({"ETag": etag, "Last-Modified": date, "Content-Length": size})
    assert remote.validator.isascii()
    assert number(size) == remote.size_bytes
    assert (seconds_of(date) or 0) >= 0


@given(st.binary())
def test_a_marker_that_is_damaged_is_none(tmp_path_factory, content: bytes) -> None:
    begun = PartialFile(tmp_path_factory.mktemp("damaged") / "a.zip")
    begun.file.write_bytes(b"beginning")
    begun.marker.write_bytes(content)
    assert begun.begun() is None

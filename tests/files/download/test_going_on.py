"""No part of a file comes twice where a connection breaks, or a call is stopped or killed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from support.children import fork, killed_before_change, wait
from support.served_archive import CONTENT, LOST, NAME, OTHER, interrupt, left_after
from support.storage_host import Storage

from dlcli.errors import DlError, ExitCode
from dlcli.files import download
from dlcli.files.download import fetch
from dlcli.files.partial_file import PartialFile

pytestmark = pytest.mark.forks  # before a backend's threads are in this process


def test_a_broken_connection_is_gone_on_with(go, storage: Storage, path: Path, capfd) -> None:
    storage.break_download(300_000, times=3)
    assert go()
    assert path.read_bytes() == CONTENT
    assert len(CONTENT) <= sum(storage.sent) <= len(CONTENT) + 3 * LOST
    assert len(storage.sent) == 4
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("Trying again in 0 s.") == 3
    assert "127.0.0.1: the connection broke. Trying" in err


def test_a_link_is_fresh_for_each_try(storage: Storage, path: Path) -> None:
    storage.break_download(300_000, times=2)

    def link() -> str:
        storage.expire_links()
        return storage.link(NAME)

    assert fetch(link, path, what="the archive")
    assert path.read_bytes() == CONTENT


def test_a_server_that_falls_silent_is_asked_again(go, storage, path: Path, monkeypatch) -> None:
    monkeypatch.setattr("dlcli.files.download.ANSWER_SECONDS", 0.2)
    storage.break_download(500_000, stalls=True)
    assert go()
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
    monkeypatch.setattr(time, "sleep", interrupt)
    with pytest.raises(DlError) as stopped:
        go()
    said = "Interrupted. Kept 458.8 kB. The same command resumes from there."
    assert (str(stopped.value), stopped.value.exit_code) == (said, ExitCode.INTERRUPTED)
    capfd.readouterr()
    assert go()
    assert capfd.readouterr().err == "Resuming the archive after 458.8 kB of 1.0 MB.\n"


@pytest.mark.parametrize("begun", [False, True])
def test_ctrl_c_promises_nothing_that_is_not_so(
    storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    storage.headers |= {"ETag": None, "Last-Modified": None}  # the rest can't be asked for
    storage.break_download(500_000) if begun else storage.refuse("Download", 503)
    monkeypatch.setattr(time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(lambda: storage.link(NAME), path, what="the archive")


def test_progress_counts_from_what_was_there(go, storage, path: Path, monkeypatch) -> None:
    seen = []
    real = download.track
    monkeypatch.setattr(
        download, "track", lambda *what, **how: (seen.append((what, how)), real(*what, **how))[1]
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

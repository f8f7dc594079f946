"""A server in trouble, one that refuses, or none: asked again, left alone, or told in words."""

from __future__ import annotations

import errno
import socket
import time
from datetime import timedelta
from pathlib import Path

import pytest
from support.local_server import http_date
from support.served_archive import CONTENT, left_after
from support.storage_host import Storage

from dlcli.errors import DlError
from dlcli.files import download
from dlcli.files.download import fetch

pytestmark = pytest.mark.forks  # before a backend's threads are in this process


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
        "Can't download the archive: 127.0.0.1 answers 502 Bad Gateway\n"
        "Kept 458.8 kB. The same command resumes from there."
    )


def test_a_disk_that_does_not_answer_is_no_trouble_of_the_server(
    go, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object) -> None:
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out", "archive.zip.partial")

    monkeypatch.setattr(download, "_copy", write)
    with pytest.raises(TimeoutError, match=r"archive\.zip\.partial"):
        go()
    assert len(storage.calls) == 1


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
    with pytest.raises(DlError, match=r"429 Too Many Requests, and asks to wait 60 minutes"):
        go()


def test_offline_is_said_without_the_links_signature(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(download, "DELAYS_SECONDS", (0.0,))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.zip?Signature=secret"
        with pytest.raises(DlError) as error:
            fetch(lambda: url, path, what="the archive")
    assert "Can't download the archive: 127.0.0.1: Connection refused" in str(error.value)
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize("url", ["http://[::/?Signature=secret", "nonsense?Signature=secret", ""])
def test_what_is_no_url_is_said_without_it(path: Path, url: str) -> None:
    with pytest.raises(DlError, match="Can't download from the server: ") as error:
        fetch(lambda: url, path, what="the archive")
    assert "secret" not in str(error.value)


def test_nothing_is_taken_from_netrc(go, storage: Storage, home: Path) -> None:
    (home / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    assert go()
    assert "Authorization" not in storage.requests[0].headers


def test_what_is_sent_compressed_is_refused(go, storage: Storage) -> None:
    storage.headers["Content-Encoding"] = "gzip"
    with pytest.raises(DlError, match="sends it compressed"):
        go()


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x"])
def test_no_redirect_leads_to_a_file_or_another_protocol(
    go, storage: Storage, path: Path, place: str
) -> None:
    storage.refuse("Download", 302, headers={"Location": place})
    with pytest.raises(DlError, match="Can't download from 127"):
        go()
    assert [*path.parent.iterdir()] == []


def test_redirects_in_a_circle_end(go, storage: Storage) -> None:
    for _ in range(40):
        storage.refuse("Download", 302, headers={"Location": "/again"})
    with pytest.raises(DlError, match="TooManyRedirects"):
        go()


def test_no_redirect_leads_out_of_encryption() -> None:
    import requests

    def answer(url: str, *history: requests.Response) -> requests.Response:
        made = requests.Response()
        made.url, made.history = url, [*history]
        return made

    secure, plain = answer("https://storage.test/a"), answer("http://mirror.test/a")
    download._require_encrypted(answer("https://mirror.test/a", secure))
    download._require_encrypted(answer("http://mirror.test/a", plain))
    with pytest.raises(DlError, match=r"storage\.test: it leads to mirror\.test without encr"):
        download._require_encrypted(answer("http://mirror.test/a", secure))
    for first in ([], [plain]):
        with pytest.raises(DlError, match="it leads to mirror"):
            download._require_encrypted(answer("https://end.test/a", *first, secure, plain))

"""Weights that Keras publishes come whole into its cache, or not at all, and it is said why."""

from __future__ import annotations

import dataclasses
import hashlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from support.storage_host import Storage

from dlcli.errors import DlError
from dlcli.files import download, locks
from dlcli.models.backbones import BACKBONES, Backbone, Download
from dlcli.models.weights import fetch_weights

pytestmark = pytest.mark.slow


@contextmanager
def serving(
    content: bytes,
    *,
    status: int = 200,
    length: int | None = None,
    sends: threading.Event | None = None,
) -> Iterator[str]:
    """A web server with one file, of which the last byte waits for an event; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content) if length is None else length))
            self.end_headers()
            self.wfile.write(content[:-1])
            if sends is not None:
                sends.wait(60)
            self.wfile.write(content[-1:])

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mine.h5"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def published_at(url: str, content: bytes, digest: str | None = None) -> Backbone:
    digest = hashlib.md5(content).hexdigest() if digest is None else digest
    return dataclasses.replace(BACKBONES["vgg16"], source=Download(url, digest, "mine.h5"))


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("algorithm", ["md5", "sha256", ""])
def test_weights_that_are_not_here_are_downloaded_into_keras_cache(
    algorithm: str, keras_home: Path, capfd
):
    content = bytes(range(256)) * 9999
    digest = hashlib.new(algorithm, content).hexdigest() if algorithm else ""
    with serving(content) as url:
        path = fetch_weights(published_at(url, content, digest))
    assert path == keras_home / "models" / "mine.h5"
    assert path.read_bytes() == content
    assert files_in(keras_home) == ["mine.h5"]
    assert capfd.readouterr().out == ""


def test_a_download_that_is_not_what_keras_published_leaves_nothing(keras_home: Path):
    with serving(b"something else") as url, pytest.raises(DlError, match="damaged"):
        fetch_weights(published_at(url, b"weights"))
    assert files_in(keras_home) == []


def test_a_download_that_breaks_off_leaves_nothing(keras_home: Path):
    with serving(b"half", length=8) as url, pytest.raises(DlError, match="connection broke"):
        fetch_weights(published_at(url, b"", ""))
    assert files_in(keras_home) == []


def test_a_server_that_talks_nonsense_is_named(keras_home: Path):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            with server.accept()[0] as connection:
                connection.recv(9999)
                connection.sendall(b"hello\r\n\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/mine.h5"
        with pytest.raises(DlError, match=r"127\.0\.0\.1: the answer is not HTTP"):
            fetch_weights(published_at(url, b""))
        thread.join()


def test_a_server_that_refuses_is_quoted(keras_home: Path):
    with serving(b"", status=404) as url, pytest.raises(DlError, match="404"):
        fetch_weights(published_at(url, b""))


def test_offline_one_message_says_what_to_do(keras_home: Path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/mine.h5"
        with pytest.raises(DlError) as error:
            fetch_weights(published_at(url, b""))
    message = str(error.value)
    assert "The weights of vgg16 are not on this computer" in message
    assert "127.0.0.1: Connection refused" in message
    assert "Try again later." in message
    assert "`dl train finetune --backbone efficientnet-lite0`" in message
    assert "`--weights FILE`" in message
    assert f"download {url} (528 MB) on another computer" in message
    assert str(keras_home / "models" / "mine.h5") in message


def test_a_server_that_never_answers_is_given_up_on(keras_home: Path, monkeypatch):
    monkeypatch.setattr(download, "OFFLINE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/mine.h5"
        start = time.monotonic()
        with pytest.raises(DlError, match=r"no answer within 0\.3 seconds"):
            fetch_weights(published_at(url, b""))
        assert time.monotonic() - start < 5


def test_giving_up_takes_less_than_ten_seconds():
    assert download.OFFLINE_SECONDS < 10


def test_a_name_server_that_never_answers_is_given_up_on(keras_home: Path, monkeypatch):
    monkeypatch.setattr(download, "OFFLINE_SECONDS", 0.3)
    given_up = threading.Event()

    def ask_in_vain(*_: object, **__: object) -> None:
        given_up.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", ask_in_vain)
    start = time.monotonic()
    with pytest.raises(DlError, match=r"nowhere\.example: no answer within 0\.3 seconds"):
        fetch_weights(published_at("http://nowhere.example/mine.h5", b""))
    assert time.monotonic() - start < 10
    given_up.set()


def test_a_cache_that_can_not_be_written_is_said_with_what_to_do(keras_home: Path):
    keras_home.write_text("a file where the folder would be")
    with serving(b"weights") as url, pytest.raises(DlError, match="Not a directory") as error:
        fetch_weights(published_at(url, b"weights"))
    assert "`--weights FILE`" in error.value.hint


def test_a_download_that_broke_off_is_gone_on_with(keras_home: Path, monkeypatch):
    content = bytes(range(256)) * 4000
    storage = Storage()
    try:
        storage.put("mine.h5", content)
        row = published_at(storage.link("mine.h5"), content)
        storage.break_download(500_000)
        monkeypatch.setattr(download, "DELAYS_SECONDS", ())
        with pytest.raises(DlError, match="not on this computer") as error:
            fetch_weights(row)
        assert "The same command resumes from there.\nOr train" in error.value.hint
        assert fetch_weights(row).read_bytes() == content
        storage.break_download(500_000)
        (keras_home / "models" / "mine.h5").unlink()
        monkeypatch.setattr(download, "DELAYS_SECONDS", (0.0,))
        assert fetch_weights(row).read_bytes() == content, "tried again by itself, once some came"
    finally:
        storage.stop()
    assert storage.sent[1] < len(content)
    assert files_in(keras_home) == ["mine.h5"]


FETCH = """
import sys
from pathlib import Path
from dlcli.files.download import fetch

fetch(lambda: sys.argv[1], Path(sys.argv[2]), what="the weights")
"""


@pytest.mark.parametrize("killed", [False, True])
def test_weights_that_another_process_downloads_are_waited_for(
    keras_home: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    content, path = bytes(range(256)) * 999, keras_home / "models" / "mine.h5"
    sends, said = threading.Event(), []
    with serving(content, sends=sends) as url:
        other = subprocess.Popen([sys.executable, "-c", FETCH, url, str(path)])

        def hear(text: str) -> None:
            said.append(text)
            if killed:
                other.kill()
            sends.set()

        monkeypatch.setattr(locks, "say", hear)
        end = time.monotonic() + 60
        while not path.with_name("mine.h5.partial").exists() and time.monotonic() < end:
            time.sleep(0.01)
        assert fetch_weights(published_at(url, content)).read_bytes() == content
        assert (other.wait() == 0) is not killed
    (waiting,) = said
    assert waiting.startswith(f"Waiting: {path} is being fetched by process {other.pid} of ")
    assert files_in(keras_home) == ["mine.h5"]

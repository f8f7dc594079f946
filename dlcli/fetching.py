"""Fetching a large file over HTTP: what has come stays, even through a kill, and is gone on with.

The rest is asked for on the condition that the file is still the one that was begun (If-Range), so
that one which was changed begins anew instead of ending another's beginning.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dlcli import http_answers
from dlcli.archives import brief
from dlcli.errors import DlError, ExitCode
from dlcli.http_answers import LONGEST_WAIT_SECONDS, reason, retry_after
from dlcli.locks import held
from dlcli.partial_files import PartialFile, RemoteFile, number
from dlcli.places import shown
from dlcli.processes import in_words, this_owner, utc_now
from dlcli.progress import say, track
from dlcli.room import require_room

if TYPE_CHECKING:
    from requests import Response

# Before another try; the row begins anew whenever more than ever has come.
DELAYS_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
# When a connection breaks off, at most this is lost.
CHUNK = 1 << 16


class _Broken(Exception):
    """A try failed in a way that another may not.

    Args:
        why: in words without the URL: its query is as good as a key to the file.
        wait_seconds: what the server asks to be left alone for.
    """

    def __init__(self, why: str, wait_seconds: float = 0.0) -> None:
        super().__init__(why)
        self.why, self.wait_seconds = why, wait_seconds


def fetch(open_url: Callable[[], str], path: Path, *, what: str) -> bool:
    """Fetch a file, whole or not at all; what has come of it stays for the next call.

    Connections that break and servers in trouble are tried again a few times. Ctrl-C ends it.

    Args:
        open_url: gives the file's URL, a fresh one for each try: signed ones expire.
        path: where it goes, with the server's date; the folder is made.
        what: the file in words: "the files of dog-breed-identification".

    Returns:
        False where it was there already.

    Raises:
        DlError: another file is there, or another process fetches it; no room; or it doesn't come,
            and why; or Ctrl-C, where something is kept. What `open_url` raises comes through.

    Example:
        fetch(lambda: storage_url(slug), Path("data/dogs.zip"), what="dogs.zip")
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = PartialFile(path)

    def refusal(owner: Mapping[str, Any]) -> DlError:
        return DlError(f"{shown(path)} is being fetched", why=in_words(owner), hint="Wait for it.")

    with held(path.with_name(f".{path.name}.lock"), this_owner(utc_now()), refusal):
        try:
            return _tried(open_url, partial, what)
        except KeyboardInterrupt as stop:
            if partial.begun() is None:
                raise
            said = f"Interrupted. {_kept(partial)}"
            raise DlError(said, exit_code=ExitCode.INTERRUPTED) from stop


def _tried(open_url: Callable[[], str], partial: PartialFile, what: str) -> bool:
    """Ask until it has come, or it isn't worth another try."""
    failures, most = 0, partial.size()
    while True:
        try:
            return _try(open_url(), partial, what)
        except _Broken as broken:
            # a file that always comes from its start, and breaks off, makes no progress
            failures = failures + 1 if partial.size() <= most else 1
            most = max(most, partial.size())
            wait = _wait_before(failures, broken, partial, what)
            say(f"{broken.why}. Trying again in {wait:.0f} s.")
        time.sleep(wait)


def _wait_before(failures: int, broken: _Broken, partial: PartialFile, what: str) -> float:
    """Seconds to wait after some failures in a row, if it is worth it."""
    if failures > len(DELAYS_SECONDS):
        raise _failure(what, broken.why, partial) from None
    wait = max(DELAYS_SECONDS[failures - 1], broken.wait_seconds)
    if wait > LONGEST_WAIT_SECONDS:
        why = f"{broken.why}, and asks to be left alone for {wait / 60:,.0f} minutes"
        raise _failure(what, why, partial) from None
    return wait


def _failure(what: str, why: str, partial: PartialFile) -> DlError:
    hint = _kept(partial) if partial.size() else "Try again later."
    return DlError(f"Can't fetch {what}", why=why, hint=hint)


def _kept(partial: PartialFile) -> str:
    return f"{partial.size() / 1e6:,.1f} MB are kept: the same command goes on from there."


def _try(url: str, partial: PartialFile, what: str) -> bool:
    """Ask once, and write down what comes."""
    host, have = _host(url), partial.size()
    begun = None if os.path.lexists(partial.target) else partial.begun()
    whole = begun is not None and begun.size_bytes == have
    headers = {"Accept-Encoding": "identity"}  # a range is one of the bytes as they are stored
    if begun and not whole:
        headers |= {"Range": f"bytes={have}-", "If-Range": begun.validator}
    with _opened(url, headers) as response:
        status = response.status_code
        if status in (408, 429) or status >= 500:
            raise _Broken(f"{host} answers {_words(status)}", retry_after(response.headers))
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _failure(what, f"{host} sends it compressed, which nobody asked for", partial)
        if begun and not whole and status in (206, 416):
            remote = _rest_of(begun, have, response)
            if remote is None:
                partial.remove()
                raise _Broken(f"{host} sends another part than was asked for")
            if status == 206:
                _require_room(partial, remote, what)
                total = f" of {remote.size_bytes / 1e6:,.1f}" if remote.size_bytes else ""
                say(f"Going on with {what} after {have / 1e6:,.1f}{total} MB.")
                _copy(response, partial, remote)
        elif status == 200:
            remote = RemoteFile.of(response.headers)
            if os.path.lexists(partial.target):
                _require_same(partial, remote, host)
                return False
            if not (begun and whole and remote.validator == begun.validator):
                _require_room(partial, remote, what)
                partial.begin(remote)
                _copy(response, partial, remote)
        else:
            raise _failure(what, f"{host} answers {_words(status)}", partial)
    try:
        partial.finish(remote)
    except FileExistsError:
        _require_same(partial, remote, host)
    return True


@contextmanager
def _opened(url: str, headers: Mapping[str, str]) -> Iterator[Response]:
    """Ask for a URL; what goes wrong, then and while it is read, is said without the URL."""
    import requests

    broken = (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
    )
    with requests.Session() as session:
        session.auth = lambda request: request  # or it sends what ~/.netrc has for the host
        try:
            timeout = http_answers.ANSWER_SECONDS
            with session.get(url, headers=headers, stream=True, timeout=timeout) as response:
                yield response
        except broken as error:
            raise _Broken(f"{_host(url)}: {reason(error)}") from None
        except requests.RequestException as error:
            raise DlError(
                f"Can't fetch from {_host(url)}", why=type(error).__name__, hint="Try again later."
            ) from None


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "the server"
    except ValueError:
        return "the server"


def _rest_of(begun: RemoteFile, have: int, response: Response) -> RemoteFile | None:
    """The file whose rest is sent, or of which nothing is left; None where it is not the right one.

    Args:
        begun: the file of which there is a part here.
        have: how much, in bytes.
    """
    where = response.headers.get("Content-Range", "").strip()
    found = re.fullmatch(r"bytes (?:([0-9]+)-[0-9]+|\*)/([0-9]+|\*)", where)
    if found is None or not begun.is_named_by(response.headers):
        return None
    total = number(found[2])
    if response.status_code == 416:  # all is here, where it wasn't known how much that is
        return replace(begun, size_bytes=have) if total == have else None
    size = begun.size_bytes if total is None else total
    fits = number(found[1] or "") == have and begun.size_bytes in (None, size)
    return replace(begun, size_bytes=size) if fits else None


def _copy(response: Response, partial: PartialFile, remote: RemoteFile) -> None:
    """Write down what is sent."""
    size, done = remote.size_bytes, partial.size()
    doing = f"fetch {brief(shown(partial.target.name))}:"
    bar = track(doing, _begun_mb(size or 0), "MB", done=_begun_mb(done))
    with partial.file.open("ab") as file, bar as counted:
        for chunk in response.iter_content(CHUNK):
            try:
                file.write(chunk)
                file.flush()
            except OSError as error:
                error.filename = str(partial.file)  # a write that fails names no file
                raise
            counted.advance(_begun_mb(done + len(chunk)) - _begun_mb(done))
            done += len(chunk)
            if size is not None and done > size:
                break
    if size is not None and done > size:
        partial.remove()
        raise _Broken(f"{_host(response.url)} sends more than the {size:,} bytes that it announced")
    if size is not None and done < size:
        raise _Broken(f"The connection broke off after {done:,} of {size:,} bytes")


def _require_room(partial: PartialFile, remote: RemoteFile, what: str) -> None:
    """Refuse, before the first byte, what the disk can't hold."""
    folder = partial.target.parent
    more = max((remote.size_bytes or 0) - partial.size(), 0)
    if partial.size():
        require_room(
            folder, [more], f"for the rest of {what}", f"Free some space. {_kept(partial)}"
        )
    else:
        require_room(folder, [more], f"for {what} in {shown(folder)}")


def _require_same(partial: PartialFile, remote: RemoteFile, host: str) -> None:
    """Refuse to replace another file; the same one needs no beginning any more."""
    path = partial.target
    if remote.is_at(path):
        partial.remove()
        return
    here = path.stat().st_size if path.is_file() else None
    if here == remote.size_bytes:
        why = "both have the same size, and not the same date"
    else:
        why = f"{host} has {_bytes(remote.size_bytes)}, here are {_bytes(here)}"
    raise DlError(
        f"{shown(path)} is there, and is not known to be the same file",
        why=why,
        hint="Move or remove it, then run the same command again.",
    )


def _begun_mb(size: int) -> int:
    """Megabytes, a begun one as a whole: 11.7 MB are all there at 12 of 12."""
    return -(-size // 1_000_000)


def _bytes(size: int | None) -> str:
    return "an unknown number of bytes" if size is None else f"{size:,} bytes"


def _words(status: int) -> str:
    known = status in set(HTTPStatus)
    return f"{status} {HTTPStatus(status).phrase}" if known else str(status)

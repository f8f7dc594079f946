"""Download a large file over HTTP, and resume it after a break or a kill.

The rest is requested only if the file has not changed (If-Range); a changed file is downloaded
from the start. A busy server is asked again when it says so.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from http.client import BadStatusLine
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dlcli import words
from dlcli.errors import DlError, ExitCode
from dlcli.files.archives import brief
from dlcli.files.atomic import require_room
from dlcli.files.locks import held
from dlcli.files.partial_file import PartialFile, RemoteFile, digest_of, number, seconds_of
from dlcli.files.paths import shown
from dlcli.progress import say, track

if TYPE_CHECKING:
    from requests import Response


# Seconds before each further try; the count restarts whenever new bytes have come.
DELAYS_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
# At most this is lost when a connection breaks.
CHUNK_BYTES = 1 << 16

# A server that does not say how large a file is may send without end. This much of the disk stays
# free then, looked at after each such step.
KEPT_FREE_BYTES = 1_000_000_000
STEP_BYTES = 1 << 26

# A server that accepts a connection and is silent for this long is given up.
ANSWER_SECONDS = 60.0
# The same for a file that can be had another way, so that the error comes soon without a network.
OFFLINE_SECONDS = 6.0
# A server that asks for a longer wait is not waited for.
LONGEST_WAIT_SECONDS = 120.0


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a server asks to wait (Retry-After); 0 if it does not ask.

    A date is by the server's clock, which may differ from ours.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    until = seconds_of(text)
    if until is None:
        return 0.0
    now = seconds_of(headers.get("Date", ""))
    return max(until - (time.time() if now is None else now), 0.0)


def reason(error: BaseException, seconds: float | None = None) -> str:
    """The root cause of a network error, without its URL.

    A URL's query may hold a key.

    Args:
        error: what was raised.
        seconds: the timeout; None: `ANSWER_SECONDS`.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        if "Timeout" in type(cause).__name__:
            return f"no answer within {seconds or ANSWER_SECONDS:g} seconds"
        if type(cause) is BadStatusLine:
            return "the answer is not HTTP"
        cause = cause.__cause__ or cause.__context__
    return "the connection broke"


class NotFetched(DlError):
    """A download failed: no answer, a refusal, a broken connection or a damaged file."""


class _Broken(Exception):
    """A try failed in a way that may not repeat.

    Args:
        why: the reason without the URL, whose query may hold a key.
        wait_seconds: how long the server asks to wait.
    """

    def __init__(self, why: str, wait_seconds: float = 0.0) -> None:
        super().__init__(why)
        self.why, self.wait_seconds = why, wait_seconds


def fetch(
    open_url: Callable[[], str],
    path: Path,
    *,
    what: str,
    digest: str = "",
    has_other_way: bool = False,
    wait: bool = False,
) -> bool:
    """Download a file completely; an interrupted download is kept for the next call.

    Connections that break and servers in trouble are tried again a few times. Ctrl-C ends it.

    Args:
        open_url: returns the file's URL, a fresh one for each try, because signed ones expire.
        path: the path to save to, with the server's date; the folder is made.
        what: a name for the file: "the files of dog-breed-identification".
        digest: its md5 or sha256, in hex; "" if unknown.
        has_other_way: give up within `OFFLINE_SECONDS` if nothing comes at all.
        wait: if another process downloads the file, wait for it, and use its file unchecked.

    Returns:
        False if the file exists already.

    Raises:
        NotFetched: the download failed; says why.
        DlError: another file exists; another process downloads it, and `wait` is false; no room;
            Ctrl-C, if something is kept. Errors of `open_url` pass through.

    Example:
        fetch(lambda: storage_url(slug), Path("data/dogs.zip"), what="dogs.zip")
    """
    partial = PartialFile(path)
    lock = path.with_name(f".{path.name}.lock")
    with held(lock, f"{shown(path)} is being fetched", make_folder=True, wait=wait):
        if wait and path.is_file():
            return False
        try:
            return _tried(open_url, partial, what, digest, has_other_way)
        except KeyboardInterrupt as stop:
            if partial.begun() is None:
                raise
            said = f"Interrupted. {_kept(partial)}"
            raise DlError(said, exit_code=ExitCode.INTERRUPTED) from stop
        finally:
            if partial.begun() is None:
                partial.remove()


def _tried(
    open_url: Callable[[], str], partial: PartialFile, what: str, digest: str, has_other_way: bool
) -> bool:
    """Try until the download is complete, or another try is not worth it."""
    failures, most = 0, partial.size()
    seconds = OFFLINE_SECONDS if has_other_way else ANSWER_SECONDS
    delays = () if has_other_way else DELAYS_SECONDS
    while True:
        try:
            return _try(open_url(), partial, what, digest, seconds)
        except _Broken as broken:
            # a server without ranges sends the file from its start, which is no progress
            failures = failures + 1 if partial.size() <= most else 1
            if partial.size() > most:
                delays, most = DELAYS_SECONDS, partial.size()
            if failures > len(delays):
                raise _failure(what, broken.why, partial) from None
            wait = _wait_before(delays[failures - 1], broken, partial, what)
            say(f"{broken.why}. Trying again in {wait:.0f} s.")
        time.sleep(wait)


def _wait_before(delay: float, broken: _Broken, partial: PartialFile, what: str) -> float:
    """Seconds to wait before another try; raises if that is not worth it."""
    wait = max(delay, broken.wait_seconds)
    if wait > LONGEST_WAIT_SECONDS:
        why = f"{broken.why}, and asks to wait {wait / 60:,.0f} minutes"
        raise _failure(what, why, partial) from None
    return wait


def _failure(what: str, why: str, partial: PartialFile) -> NotFetched:
    hint = _kept(partial) if partial.begun() else "Try again later."
    return NotFetched(f"Can't download {what}", why=why, hint=hint)


def _kept(partial: PartialFile) -> str:
    return f"Kept {words.size(partial.size())}. The same command resumes from there."


def _try(url: str, partial: PartialFile, what: str, digest: str, seconds: float) -> bool:
    """Request the file once, and save what comes."""
    host, have = _host(url), partial.size()
    begun = None if os.path.lexists(partial.target) else partial.begun()
    whole = begun is not None and begun.size_bytes == have
    headers = {"Accept-Encoding": "identity"}  # a range is one of the bytes as they are stored
    if begun and not whole:
        headers |= {"Range": f"bytes={have}-", "If-Range": begun.validator}
    with _opened(url, headers, seconds) as response:
        status = response.status_code
        if status in (408, 429) or status >= 500:
            raise _Broken(f"{host} answers {_words(status)}", retry_after(response.headers))
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _failure(what, f"{host} sends it compressed without being asked", partial)
        if begun and not whole and status in (206, 416):
            remote = _rest_of(begun, have, response)
            if remote is None:
                partial.remove()
                raise _Broken(f"{host} sends another part than requested")
            if status == 206:
                _require_room(partial, remote, what)
                total = f" of {words.size(remote.size_bytes)}" if remote.size_bytes else ""
                say(f"Resuming {what} after {words.size(have)}{total}.")
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
    if digest and (found := digest_of(partial.file, len(digest))) != digest:
        partial.remove()
        raise _failure(what, f"{host} sent a damaged file, its digest is {found}", partial)
    try:
        partial.finish(remote)
    except FileExistsError:
        _require_same(partial, remote, host)
    return True


@contextmanager
def _opened(url: str, headers: Mapping[str, str], seconds: float) -> Iterator[Response]:
    """Open a URL; errors, while reading too, are reported without the URL."""
    import requests

    def ask() -> None:
        try:
            asked.set_result(session.get(url, headers=headers, stream=True, timeout=seconds))
        except (requests.RequestException, OSError, ValueError) as error:
            asked.set_exception(error)

    def answer() -> Response:
        # in a thread: name resolution alone may take a minute
        Thread(target=ask, daemon=True).start()
        try:
            return asked.result(seconds)
        except TimeoutError:  # only here: below, one may come from the disk
            raise requests.Timeout from None

    broken = (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
    )
    asked: Future[Response] = Future()
    with requests.Session() as session:
        session.auth = lambda request: request  # else it would send the host's login in ~/.netrc
        try:
            with answer() as response:
                _require_encrypted(response)
                yield response
        except broken as error:
            raise _Broken(f"{_host(url)}: {reason(error, seconds)}") from None
        except requests.RequestException as error:
            raise NotFetched(
                f"Can't download from {_host(url)}",
                why=type(error).__name__,
                hint="Try again later.",
            ) from None


def _require_encrypted(response: Response) -> None:
    """Refuse an answer if a plain connection, at any step, followed an encrypted one."""
    urls = [each.url for each in (*response.history, response)]
    encrypted = [urlsplit(url).scheme == "https" for url in urls]
    first = encrypted.index(True) if any(encrypted) else len(urls)
    if False in encrypted[first:]:
        plain = urls[encrypted.index(False, first)]
        raise NotFetched(
            f"Can't download from {_host(urls[0])}",
            why=f"it leads to {_host(plain)} without encryption",
            hint="Try again later, or from another network.",
        )


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "the server"
    except ValueError:
        return "the server"


def _rest_of(begun: RemoteFile, have: int, response: Response) -> RemoteFile | None:
    """The file whose rest is sent, or that is complete; None if it is another file.

    Args:
        begun: the file of the partial download.
        have: number of bytes so far.
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
    """Save what is sent."""
    size, done = remote.size_bytes, partial.size()
    doing = f"fetch {brief(shown(partial.target.name))}:"
    bar = track(doing, _begun_mb(size or 0), "MB", done=_begun_mb(done))
    with partial.file.open("ab") as file, bar as counted:
        for chunk in response.iter_content(CHUNK_BYTES):
            try:
                file.write(chunk)
                file.flush()
            except OSError as error:
                error.filename = str(partial.file)  # a write that fails names no file
                raise
            counted.advance(_begun_mb(done + len(chunk)) - _begun_mb(done))
            before, done = done, done + len(chunk)
            if size is not None and done > size:
                break
            if size is None and done // STEP_BYTES > before // STEP_BYTES:
                _require_end(partial, done)
    if size is not None and done > size:
        partial.remove()
        raise _Broken(f"{_host(response.url)} sends more than the {size:,} bytes that it announced")
    if size is not None and done < size:
        raise _Broken(f"The connection broke after {done:,} of {size:,} bytes")


def _require_room(partial: PartialFile, remote: RemoteFile, what: str) -> None:
    """Refuse a file that does not fit on the disk, before the first byte."""
    folder = partial.target.parent
    more = max((remote.size_bytes or 0) - partial.size(), 0)
    if partial.size():
        require_room(
            folder, [more], f"for the rest of {what}", f"Free some space. {_kept(partial)}"
        )
    else:
        require_room(folder, [more], f"for {what} in {shown(folder)}")


def _require_end(partial: PartialFile, done: int) -> None:
    """Refuse to fill the disk with a file that may have no end."""
    require_room(
        partial.target.parent,
        [KEPT_FREE_BYTES],
        f"for more than the first {words.size(done)} of {shown(partial.target)}",
        "Its server does not say how large it is, so `dl` keeps that much of the disk free. Free "
        "some space, or download the file by other means.",
    )


def _require_same(partial: PartialFile, remote: RemoteFile, host: str) -> None:
    """Refuse to replace another file."""
    path = partial.target
    if remote.is_at(path):
        partial.remove()
        return
    here = path.stat().st_size if path.is_file() else None
    if here == remote.size_bytes:
        why = "the size is the same, but not the date"
    else:
        why = f"it has {_bytes(here)}, the one on {host} {_bytes(remote.size_bytes)}"
    raise DlError(
        f"{shown(path)} exists and may be another file",
        why=why,
        hint="Move or remove it, then run the same command again.",
    )


def _begun_mb(size: int) -> int:
    """Megabytes, rounded up, so that 11.7 MB end at 12 of 12."""
    return -(-size // 1_000_000)


def _bytes(size: int | None) -> str:
    return "an unknown number of bytes" if size is None else f"{size:,} bytes"


def _words(status: int) -> str:
    known = status in set(HTTPStatus)
    return f"{status} {HTTPStatus(status).phrase}" if known else str(status)

"""Fetching weights that Keras publishes, into the cache where Keras itself looks for them.

Not through `keras.utils.get_file`: it waits without limit where nothing answers, prints to stdout,
and leaves a half file behind when it is killed.
"""

from __future__ import annotations

import hashlib
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from dlcli.files.atomic import atomic
from dlcli.progress import track

ANSWER_SECONDS = 6.0
CHUNK = 1 << 20


def download(url: str, digest: str, path: Path) -> None:
    """Fetch a file, whole or not at all.

    Args:
        url: where it is.
        digest: its md5 or sha256, in hex; empty where none is known.
        path: where it goes; the folder is made.

    Raises:
        OSError: nothing answers within `ANSWER_SECONDS`, or the answer breaks off or is wrong, or
            the file can't be written.
    """
    try:
        with _open(url) as response:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(path) as temporary:
                found = _copy(response, temporary, "md5" if len(digest) == 32 else "sha256")
                if digest and found != digest:
                    raise OSError(f"what {url} sent is damaged: its digest is {found}")
    except HTTPException as error:
        raise OSError(f"the connection broke off: {error}") from error


def _open(url: str) -> HTTPResponse:
    """Open a URL, giving up in time: asking a name server may block for a minute by itself."""
    answer: SimpleQueue[HTTPResponse | OSError] = SimpleQueue()

    def ask() -> None:
        try:
            answer.put(urlopen(url, timeout=ANSWER_SECONDS))
        except HTTPError as error:
            answer.put(error)
        except URLError as error:  # wraps the reason, sometimes an error itself
            reason = getattr(error.reason, "strerror", None) or error.reason
            answer.put(OSError(f"{urlsplit(url).hostname}: {reason}"))
        except OSError as error:
            answer.put(error)
        except HTTPException as error:
            answer.put(OSError(f"{urlsplit(url).hostname}: {error!r}"))

    Thread(target=ask, daemon=True).start()
    try:
        response = answer.get(timeout=ANSWER_SECONDS)
    except Empty:
        raise TimeoutError(f"no answer within {ANSWER_SECONDS:g} seconds") from None
    if isinstance(response, OSError):
        raise response
    return response


def _copy(response: HTTPResponse, path: Path, algorithm: str) -> str:
    """Write what is sent to a file; its digest in hex."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    length = response.length or 0
    with path.open("wb") as file, track("Fetching weights", length >> 20, "MB") as bar:
        while chunk := response.read(CHUNK):
            file.write(chunk)
            digest.update(chunk)
            bar.advance()
        if length and file.tell() != length:  # a read in pieces ends early without a word
            raise OSError(f"the answer broke off after {file.tell():,} of {length:,} bytes")
    return digest.hexdigest()

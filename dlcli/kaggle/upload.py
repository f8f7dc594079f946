"""Bringing a file to a storage host's upload link, which goes on where it broke off.

Not through the package `kaggle`: its upload waits for ever for a host that falls silent, tries for
minutes without a word where nothing answers, and shows the link, which is as good as a key.

Reference:
    https://cloud.google.com/storage/docs/performing-resumable-uploads
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.errors import DlError
from dlcli.files import download
from dlcli.files.download import reason

if TYPE_CHECKING:
    from requests import Response


class Broken(Exception):
    """The upload broke off in a way that another try may not.

    Args:
        why: in words, without the link.
        begin_anew: whether the link serves no more.
    """

    def __init__(self, why: str, *, begin_anew: bool = False) -> None:
        super().__init__(why)
        self.why, self.begin_anew = why, begin_anew


def upload(file: Path, link: str, *, resume: bool) -> None:
    """Send a file, or what is missing of it, in one request.

    Args:
        file: a small one: it is held in memory.
        link: where it goes; holds its own credentials, so no others are sent.
        resume: whether a part of it may have arrived: it is asked how much.

    Raises:
        Broken: it has not arrived whole; try again.
        DlError: the host refuses it.
    """
    import requests

    content = file.read_bytes()
    with requests.Session() as session:
        session.auth = lambda request: request  # or it sends what ~/.netrc has for the host

        def put(data: bytes, headers: dict[str, str]) -> Response:
            try:
                return session.put(
                    link, data=data, headers=headers, timeout=download.ANSWER_SECONDS
                )
            except requests.RequestException as error:
                raise Broken(reason(error)) from None

        start = 0
        if resume:
            answer = put(b"", {"Content-Range": f"bytes */{len(content)}"})
            if answer.ok and answer.status_code != 308:
                return
            start = _arrived(answer)
        part = f"bytes {start}-{len(content) - 1}/{len(content)}"
        answer = put(content[start:], {"Content-Range": part} if start else {})
    if answer.status_code in (200, 201):
        return
    if answer.status_code in (308, 408, 429) or answer.status_code >= 500:
        raise Broken(f"the storage host answers {answer.status_code}")
    if answer.status_code in (404, 410):
        raise Broken("the link is not valid any more", begin_anew=True)
    raise DlError(
        f"{file.name} is refused",
        why=f"the storage host answers {answer.status_code}",
        hint="Nothing was submitted. Run the same command again in some minutes.",
    )


def _arrived(answer: Response) -> int:
    """How many bytes of an upload are there already, by the answer to the question.

    Raises:
        Broken: the host doesn't say.
    """
    status = answer.status_code
    if status in (404, 410):
        raise Broken("the link is not valid any more", begin_anew=True)
    if status != 308:
        raise Broken(f"the storage host answers {status}")
    found = re.fullmatch(r"bytes=0-(\d+)", answer.headers.get("Range", ""))
    return int(found[1]) + 1 if found else 0

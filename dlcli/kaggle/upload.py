"""Resumable upload to Google Cloud Storage.

The package `kaggle` is not used for it: its upload waits forever for a silent host, retries for
minutes without a message, and prints the link, which gives access.

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
    """The upload was interrupted; another attempt may succeed.

    Args:
        why: in words, without the link.
        begin_anew: whether the link is no longer valid.
    """

    def __init__(self, why: str, *, begin_anew: bool = False) -> None:
        super().__init__(why)
        self.why, self.begin_anew = why, begin_anew


def upload(file: Path, link: str, *, resume: bool) -> None:
    """Send a file, or its missing rest, in one request.

    Args:
        file: is read into memory, so it must be small.
        link: contains its own credentials, so no others are sent.
        resume: whether to ask first how much has arrived.

    Raises:
        Broken: the file has not arrived completely; try again.
        DlError: the host refuses it.
    """
    import requests

    content = file.read_bytes()
    with requests.Session() as session:
        session.auth = lambda request: request  # else it sends the host's entry of ~/.netrc

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
        raise Broken("the link is no longer valid", begin_anew=True)
    raise DlError(
        f"Kaggle refuses {file.name}",
        why=f"the storage host answers {answer.status_code}",
        hint="Nothing was submitted. Run the same command again in some minutes.",
    )


def _arrived(answer: Response) -> int:
    """The number of bytes that have arrived, from the host's answer.

    Raises:
        Broken: the host does not say.
    """
    status = answer.status_code
    if status in (404, 410):
        raise Broken("the link is no longer valid", begin_anew=True)
    if status != 308:
        raise Broken(f"the storage host answers {status}")
    found = re.fullmatch(r"bytes=0-(\d+)", answer.headers.get("Range", ""))
    return int(found[1]) + 1 if found else 0

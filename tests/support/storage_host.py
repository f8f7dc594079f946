"""A host of files on this machine: links that expire, downloads that break, uploads in parts."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from support.local_server import Answer, Cut, LocalServer, Request, http_date


class Storage(LocalServer):
    """A host of files behind signed links that expire, as Google's; takes uploads too.

    Its methods are called `Download`, `Upload` and `UploadStatus`.

    Args:
        beside: see LocalServer.

    Attributes:
        files: path -> content and when it changed.
        headers: to send with downloads instead of the true ones; None leaves one out.
        ranges: whether `Range` is honoured.
        sent: how many bytes of a body each download began to send, in order.
        uploads: token -> the length that was announced, and the bytes that are there.
    """

    def __init__(self, beside: LocalServer | None = None) -> None:
        self.files: dict[str, tuple[bytes, datetime]] = {}
        self.headers: dict[str, str | None] = {}
        self.ranges = True
        self.sent: list[int] = []
        self.uploads: dict[str, tuple[int, bytes]] = {}
        self._links: dict[str, str] = {}
        self._cuts: list[Cut] = []
        super().__init__(beside)

    def put(self, path: str, content: bytes, modified: datetime | None = None) -> None:
        """Keep a file; its ETag follows from its content."""
        self.files[path] = content, modified or datetime(2024, 5, 17, 12, tzinfo=UTC)

    def link(self, path: str) -> str:
        """A signed link to a file."""
        signature = secrets.token_hex(8)
        self._links[signature] = path
        return f"{self.url}/{quote(path)}?GoogleAccessId=web-data&Signature={signature}"

    def expire_links(self) -> None:
        """Let all links that were given out so far be refused."""
        self._links.clear()

    def upload_link(self, length: int) -> tuple[str, str]:
        """A token and the URL to put a file of some length to."""
        token = secrets.token_hex(8)
        self.uploads[token] = length, b""
        return token, f"{self.url}/upload/{token}"

    def break_download(self, after_bytes: int, times: int = 1, stalls: bool = False) -> None:
        """Cut the next downloads short; `stalls`: nothing more comes, and nothing closes."""
        self._cuts += [Cut(after_bytes, stalls)] * times

    def name_of(self, request: Request) -> str:
        if request.method == "GET":
            return "Download"
        asks = request.headers.get("Content-Range", "").startswith("bytes */")
        return "UploadStatus" if asks else "Upload"

    def error(self, status: int, message: str, headers: Mapping[str, str]) -> Answer:
        body = f"<?xml version='1.0'?><Error><Message>{message}</Message></Error>".encode()
        return Answer(status, body, {"Content-Type": "application/xml", **headers})

    def answer(self, name: str, request: Request) -> Answer:
        if "Authorization" in request.headers:
            self.faults.append(f"{name}: credentials came to the storage host")
        if name == "Download":
            return self._download(request)
        token = request.path.rpartition("/")[2]
        if token not in self.uploads:
            return self.error(404, "NoSuchUpload", {})
        if name == "Upload":
            self._keep(token, request, len(request.body))
        length, there = self.uploads[token]
        if len(there) >= length:
            return Answer()
        return Answer(308, b"", {"Range": f"bytes=0-{len(there) - 1}"} if there else {})

    def refused(self, name: str, request: Request, refusal: Answer) -> None:
        """503 is an upload that broke off: half of what came is there."""
        if name == "Upload" and refusal.status == 503:
            self._keep(request.path.rpartition("/")[2], request, len(request.body) // 2)

    def _keep(self, token: str, request: Request, n_bytes: int) -> None:
        length, there = self.uploads[token]
        start = re.match(r"bytes (\d+)-", request.headers.get("Content-Range", ""))
        before = there[: int(start[1])] if start else b""
        self.uploads[token] = length, before + request.body[:n_bytes]

    def _download(self, request: Request) -> Answer:
        path = self._links.get(request.query.get("Signature", ""))
        if path is None:
            return self.error(400, "ExpiredToken", {})
        content, modified = self.files[path]
        headers: dict[str, str | None] = {
            "Content-Type": "application/octet-stream",
            "Last-Modified": http_date(modified),
            "ETag": f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"',
            "Accept-Ranges": "bytes" if self.ranges else None,
        } | self.headers
        status, asked = 200, re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        known = request.headers.get("If-Range")
        same = known is None or known in (headers["ETag"], headers["Last-Modified"])
        if asked and self.ranges and same and not (known or "").startswith("W/"):
            start = int(asked[1])
            if start >= len(content):
                return self.error(416, "InvalidRange", {"Content-Range": f"bytes */{len(content)}"})
            where = f"bytes {start}-{len(content) - 1}/{len(content)}"
            status, content = 206, content[start:]
            headers = {"Content-Range": where} | headers
        cut = self._cuts.pop(0) if self._cuts else None
        self.sent.append(min(len(content), cut.after_bytes) if cut else len(content))
        return Answer(status, content, headers, cut)

"""HTTP servers on 127.0.0.1 whose calls go wrong as a test wishes."""

from __future__ import annotations

import sys
import threading
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

LONGEST_STALL_SECONDS = 20.0
PIECE = 1 << 14


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Message
    body: bytes


@dataclass(frozen=True)
class Cut:
    """Where an answer's body ends before its time: the connection closes there, or stalls."""

    after_bytes: int
    stalls: bool = False


@dataclass(frozen=True)
class Answer:
    """What the server sends; a header that is None is left out."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    cut: Cut | None = None


def http_date(moment: datetime) -> str:
    """A moment as HTTP writes it: `Wed, 26 Mar 2026 00:00:00 GMT`."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


class LocalServer:
    """A server on a port of its own, at work until `stop`.

    Args:
        beside: a server whose lists of calls, faults and refusals this one shares.

    Attributes:
        calls: the methods that were called, in order.
        requests: what came, in order.
        faults: what went wrong in the server itself; a test ends with none.
        clock_skew_seconds: how far the server's clock is ahead.
    """

    def __init__(self, beside: LocalServer | None = None) -> None:
        self.calls: list[str] = beside.calls if beside else []
        self.requests: list[Request] = []
        self.faults: list[str] = beside.faults if beside else []
        self.clock_skew_seconds = 0.0
        self._refusals: dict[str, list[Answer]] = beside._refusals if beside else {}
        self._lost: Counter[str] = beside._lost if beside else Counter()
        self._lock, self._stopped = threading.RLock(), threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._server.faults = self.faults
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        # the pause between looks at whether to end; half a second by default, a test
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        """End the server, and downloads that stall."""
        self._stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def now(self) -> datetime:
        """The server's clock."""
        return datetime.now(UTC) + timedelta(seconds=self.clock_skew_seconds)

    def refuse(
        self,
        method: str,
        status: int,
        message: str = "",
        times: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Let the next calls of a method fail, `times` of them."""
        answer = self.error(status, message or f"{status} was asked for.", headers or {})
        self._refusals.setdefault(method, []).extend([answer] * times)

    def lose_answer(self, method: str, times: int = 1) -> None:
        """Let the next calls of a method do their work, and drop the connection unanswered."""
        self._lost[method] += times

    def serve(self, request: Request) -> Answer | None:
        """Note a call and answer it; None where the connection is to be dropped."""
        with self._lock:
            self.requests.append(request)
            name = self.name_of(request)
            self.calls.append(name)
            if self._refusals.get(name):
                refusal = self._refusals[name].pop(0)
                self.refused(name, request, refusal)
                return refusal
            answer = self.answer(name, request)
            if self._lost[name]:
                self._lost[name] -= 1
                return None
            return answer

    def name_of(self, request: Request) -> str:
        """The method that a request calls."""
        raise NotImplementedError

    def answer(self, name: str, request: Request) -> Answer:
        """Do what is asked."""
        raise NotImplementedError

    def error(self, status: int, message: str, headers: Mapping[str, str]) -> Answer:
        """How this server says that something is wrong."""
        raise NotImplementedError

    def refused(self, name: str, request: Request, refusal: Answer) -> None:
        """What a call does that fails because a test asked for it: nothing."""


class _Server(ThreadingHTTPServer):
    faults: list[str]

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exception()
        if not isinstance(error, ConnectionError):  # that is a client which has gone
            self.faults.append("".join(traceback.format_exception(error)))


def _handler(owner: LocalServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urlsplit(self.path)
            path, query = unquote(url.path), dict(parse_qsl(url.query))
            answer = owner.serve(Request(self.command, path, query, self.headers, body))
            if answer is None:
                self.close_connection = True
            else:
                self.send(answer)

        def do_GET(self) -> None:
            self.serve()

        def do_POST(self) -> None:
            self.serve()

        def do_PUT(self) -> None:
            self.serve()

        def send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            headers = {"Content-Length": str(len(answer.body)), **answer.headers}
            for name, value in headers.items():
                if value is not None:
                    self.send_header(name, value)
            if answer.cut or headers["Content-Length"] != str(len(answer.body)):
                self.send_header("Connection", "close")  # which sets `close_connection` too
            self.end_headers()
            size = min(answer.cut.after_bytes, len(answer.body)) if answer.cut else None
            for start in range(0, len(answer.body) if size is None else size, PIECE):
                self.wfile.write(answer.body[start : min(start + PIECE, size or 1 << 60)])
            if answer.cut and answer.cut.stalls:
                owner._stopped.wait(LONGEST_STALL_SECONDS)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return http_date(owner.now())

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the tests' output is for tests."""

    return Handler

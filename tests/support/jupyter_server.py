"""A Jupyter server on this machine, whose kernels are as a test wants them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


class Jupyter:
    """Answers as Jupyter's server does, to those who have its token."""

    def __init__(self, home: Path) -> None:
        self.answer, self.token = "[]", "s3cret"
        jupyter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                allowed = self.headers["Authorization"] == f"token {jupyter.token}"
                self.send_response(200 if allowed and self.path == "/lab/api/kernels" else 403)
                self.end_headers()
                self.wfile.write(jupyter.answer.encode())

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        runtime = home / ".local/share/jupyter/runtime"
        runtime.mkdir(parents=True)
        url = f"http://127.0.0.1:{self.server.server_port}/lab/"
        about = {"base_url": "/lab/", "pid": 1, "token": self.token, "url": url, "version": "2"}
        (runtime / "jpserver-1.json").write_text(json.dumps(about, indent=2))

    def kernels(self, *states: str, active: int = 0) -> None:
        """Kernels in these states, last active at that time."""
        moment = datetime.fromtimestamp(active, UTC).isoformat().replace("+00:00", "Z")
        self.answer = json.dumps(
            [
                {"id": str(i), "name": "python3", "last_activity": moment, "execution_state": s}
                for i, s in enumerate(states)
            ]
        )


@contextmanager
def serving(home: Path) -> Iterator[Jupyter]:
    """A server of the user with that home while the block runs."""
    jupyter = Jupyter(home)
    Thread(target=jupyter.server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield jupyter
    finally:
        jupyter.server.shutdown()
        jupyter.server.server_close()

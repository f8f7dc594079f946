"""`dl` in processes of its own, one at a time, without waiting for a backend.

A fresh one would spend its time on importing that: a process that has imported it, and has not run
anything on it yet, forks one for each command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from support.command_result import Result

# What a training would import once it is forked is imported before: a second of three.
SERVER = """
import json, os, sys, traceback
from support import children
from dlcli.backend import start_backend
from dlcli.cli import main

start_backend()
import bcolz, h5py, openvino.tools.ovc, scipy.signal
import dlcli.training.launch, dlcli.training.resume

def become(words, environ, folder, out, err, first):
    os.chdir(folder)
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environ)
    exec(first, vars(children))
    sys.argv = ["dl", *words]
    return main(words)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = become(**json.loads(line))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Forks:
    """What forks them.

    Args:
        folder: for what they say.
    """

    def __init__(self, folder: Path) -> None:
        self._out, self._err = folder / "out", folder / "err"
        self._server: subprocess.Popen[str] | None = None

    def start(self, *words: object, first: str = "") -> int:
        """Begin with a command, where and with what environment this process is; its process id.

        Args:
            words: what is typed.
            first: Python that it runs before, with the names of `children`.
        """
        if self._server is None:
            command = [sys.executable, "-c", SERVER]
            self._server = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        for file in (self._out, self._err):
            file.unlink(missing_ok=True)
        given = {
            "words": [str(word) for word in words],
            "environ": dict(os.environ),
            "folder": str(Path.cwd()),
            "out": str(self._out),
            "err": str(self._err),
            "first": first,
        }
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(given) + "\n")
        self._server.stdin.flush()
        return self._number()

    def end(self) -> Result:
        """Wait for its end; the exit code is minus the signal that killed it."""
        code = self._number()
        return Result(code, self._out.read_text(), self._err.read_text())

    def run(self, *words: object, first: str = "") -> Result:
        """A command, from its beginning to its end."""
        self.start(*words, first=first)
        return self.end()

    def stop(self) -> None:
        """End what forks them; there is nothing that it would have to tidy up."""
        if self._server is not None:
            self._server.kill()
            with self._server:
                pass

    def _number(self) -> int:
        assert self._server is not None
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())

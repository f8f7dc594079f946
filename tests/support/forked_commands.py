"""`dl` in processes of its own, without waiting for its imports.

A fresh one would spend its time on importing a backend: a process that has imported it, and has not
run anything on it yet, forks one for each command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import count
from pathlib import Path

from support.command_result import Result

HERE = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
# What a training would import once it is forked is imported before: a second of three.
FOR_TRAININGS = """
from dlcli.backend import start_backend
start_backend()
import bcolz, h5py, openvino.tools.ovc, scipy.signal
import dlcli.training.launch, dlcli.training.resume
"""
SERVER = """
import json, os, signal, sys, traceback
from contextlib import suppress
from support import children
from dlcli.cli import main

# Who has ended is reaped at once: `dl` takes a process that is not for one at work.
running, ended = set(), {}

def reap(*signalled):
    for pid in list(running):
        with suppress(ChildProcessError):
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                ended[pid] = status
                running.discard(pid)

def wait(pid):
    try:
        status = os.waitpid(pid, 0)[1]
        running.discard(pid)
    except ChildProcessError:
        status = ended.pop(pid)
    return os.waitstatus_to_exitcode(status)

signal.signal(signal.SIGCHLD, reap)

def become(words, environ, folder, out, err, first):
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environ)
    exec(first, vars(children))
    sys.argv = ["dl", *words]
    return main(words)

for line in sys.stdin:
    asked = json.loads(line)
    if isinstance(asked, int):
        print(wait(asked), flush=True)
        continue
    child = os.fork()
    if child == 0:
        code = 99
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            code = become(**asked)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    running.add(child)
    reap()
    print(child, flush=True)
"""


class Forks:
    """What forks them, several at a time where one likes.

    Args:
        folder: for what they say.
        imports: Python that is run once, before the first.
    """

    def __init__(self, folder: Path, imports: str = FOR_TRAININGS) -> None:
        self._folder, self._imports = folder, imports
        self._server: subprocess.Popen[str] | None = None
        self._numbers = count()
        self._said: dict[int, tuple[Path, Path]] = {}

    def start(self, *words: object, first: str = "") -> int:
        """Begin with a command, where and with what environment this process is; its process id.

        Args:
            words: what is typed.
            first: Python that it runs before, with the names of `children`.
        """
        if self._server is None:
            command = [sys.executable, "-c", HERE + self._imports + SERVER]
            self._server = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        number = next(self._numbers)
        out, err = (self._folder / f"{name}{number}" for name in ("out", "err"))
        given = {
            "words": [str(word) for word in words],
            "environ": dict(os.environ),
            "folder": str(Path.cwd()),
            "out": str(out),
            "err": str(err),
            "first": first,
        }
        pid = self._answer(given)
        self._said[pid] = out, err
        return pid

    def end(self, pid: int | None = None) -> Result:
        """Wait for the end of one, by default the last; a signal's number is negative."""
        pid = next(reversed(self._said)) if pid is None else pid
        code = self._answer(pid)
        out, err = self._said.pop(pid)
        result = Result(code, *(file.read_text(errors="replace") for file in (out, err)))
        for file in (out, err):
            file.unlink()
        return result

    def run(self, *words: object, first: str = "") -> Result:
        """A command, from its beginning to its end."""
        return self.end(self.start(*words, first=first))

    def stop(self) -> None:
        """End what forks them; there is nothing that it would have to tidy up."""
        if self._server is not None:
            self._server.kill()
            with self._server:
                pass

    def _answer(self, asked: object) -> int:
        assert self._server is not None
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

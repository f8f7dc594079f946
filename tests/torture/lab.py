"""The lab of the torture tests: a home, commands in it, what lies there, what may go wrong."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from threading import Timer

from support.children import STRUCK
from support.command_result import Result
from support.forked_commands import FOR_TRAININGS, Forks

# A command of the torture tests takes a second, or five with a training; a busy machine more.
HANGS_SECONDS = 120

FOR_FILES = """
import os; os.fsync = os.fstat  # nobody pulls the plug here
from os import fstat
import jinja2, matplotlib.backends.backend_agg, numpy.random, PIL.Image, yaml, zipfile, tarfile
import dlcli.cli.data, dlcli.cli.config, dlcli.cli.runs, dlcli.cli.evaluate, dlcli.cli.submit
import dlcli.cli.features, dlcli.report.evaluate, dlcli.kaggle.submit, dlcli.data.photos.splits
import dlcli.data.photos.organize.organize, dlcli.experiments.ensemble
"""


class Failed(AssertionError):
    """Something that must never happen."""


class Lost(Failed):
    """A file is gone, or somebody's file has changed."""


class Crashed(Failed):
    """A command printed a traceback, or died of a signal that nobody sent."""


class Hung(Failed):
    """A command did not end."""


@dataclass
class Lab:
    """A home of one's own, which is this process's, and `dl` in it.

    Args:
        home: the folder; `clear` empties it.
        files: forks commands that need no backend.
        trainings: forks those that do.
    """

    home: Path
    files: Forks
    trainings: Forks
    counts: Counter[str] = field(default_factory=Counter)
    typed: list[str] = field(default_factory=list)

    def clear(self) -> None:
        """Empty the home, and forget what was typed."""
        self.typed.clear()
        open_all(self.home)
        for path in self.home.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def dl(self, *words: str, first: str = "", heavy: bool = False, codes: str = "") -> Result:
        """Run `dl`, which may refuse but has to end by itself and without a traceback.

        Args:
            words: what is typed.
            first: Python that the process runs before, with the names of `support.children`.
            heavy: whether the command needs a backend.
            codes: exit codes that are expected besides 0, 1 and 2, as a regular expression.
        """
        forks = self.trainings if heavy else self.files
        return self.end(forks, forks.start(*words, first=first), words, first, codes)

    def end(
        self, forks: Forks, pid: int, words: tuple[str, ...], first: str = "", codes: str = ""
    ) -> Result:
        """Wait for a command that was started, and look at what it said."""
        self.typed.append(" ".join(["dl", *words]) + (f"   # {first}" if first else ""))
        with killed_after(HANGS_SECONDS, pid) as hung:
            result = forks.end(pid)
        said = result.stdout + result.stderr
        if hung:
            raise Hung(self.story(f"no end within {HANGS_SECONDS} s\n{said[-2000:]}"))
        if re.search(r"Traceback \(most recent call last\)|Exception ignored in", said):
            raise Crashed(self.story(said[-4000:]))
        if not re.fullmatch(f"0|1|2{'|' if codes else ''}{codes}", str(result.exit_code)):
            raise Crashed(self.story(f"exit code {result.exit_code}\n{said[-2000:]}"))
        if result.exit_code and not said.replace(STRUCK, "").strip() and result.exit_code > 0:
            raise Failed(self.story(f"exit code {result.exit_code}, and not a word"))
        return result

    def story(self, what: str) -> str:
        """An error's text: what was typed, then what is wrong."""
        return "\n".join([*self.typed[-30:], what])

    def require(self, kept: Seen, changes: Iterable[str] = ()) -> Seen:
        """See that no content is lost, and that nothing has changed outside of some folders.

        Args:
            kept: what was there.
            changes: what begins so, relative to the home, is a command's to change.
        """
        now = Seen.of(self.home)
        there = now.contents
        links = kept.links
        if gone := [n for n, file in kept.files.items() if file not in there and n not in links]:
            raise Lost(self.story(f"lost: {gone}"))
        own = tuple(changes)
        outside = {name: file for name, file in kept.files.items() if not name.startswith(own)}
        if touched := [name for name, file in outside.items() if now.files.get(name) != file]:
            raise Lost(self.story(f"changed, outside of {own}: {touched}"))
        came = now.files.keys() - kept.names
        if strays := sorted(name for name in came if not name.startswith(own)):
            raise Failed(self.story(f"written outside of {own}: {strays}"))
        return now


# What `dl` keeps in a home, besides datasets and runs.
DLS = (".local/", ".cache/", ".config/dl/", ".keras/")
# Of a run that a command made now; those of the scenes are all of one hour.
STAMP = re.compile(r"\b(?!2026112314)2\d{11}-(?=[a-z])")
# A second of the same name; the first may be an empty folder, whose maker was killed.
SECOND = re.compile(r"(?<=/)(before-epoch-\d+|STAMP-[^/]*?)-\d+(?=/|$)")
# A feature store lists its images' inodes; of a journal, all but its name.
OWN = re.compile(r"(^|/)\.dl/|/features/.*\.(csv|done)$")
# Times, process ids, seconds and the like stand in these.
VARIES = (".yaml", ".yml", ".txt", ".html", ".png", ".keras", ".npz", ".bin", ".xml", ".h5")


@dataclass(frozen=True)
class Seen:
    """The files below a folder, by path: what each holds, or where a link leads.

    Args:
        names: of all, those too that `files` leaves out.
    """

    files: dict[str, str]
    folders: frozenset[str]
    names: frozenset[str]

    @staticmethod
    def of(home: Path) -> Seen:
        """Look at a folder; `dl`'s own notes, as of the dataset last named, are left out."""
        files, folders = {}, set()
        for above, names, found in os.walk(home):
            inside = os.path.relpath(above, home) + "/"
            inside = "" if inside == "./" else inside
            names[:] = [name for name in names if not f"{inside}{name}/".startswith(DLS)]
            for name in [*names, *found]:
                path = Path(above, name)
                if path.is_symlink():
                    files[inside + name] = f"-> {path.readlink()}"
                elif name in names:
                    folders.add(inside + name)
                elif path.is_file():
                    files[inside + name] = sha256(path.read_bytes()).hexdigest()[:16]
        return Seen(files, frozenset(folders), frozenset(files))

    @property
    def contents(self) -> set[str]:
        """What any of them holds."""
        return set(self.files.values())

    @property
    def links(self) -> set[str]:
        """Which of them are links."""
        return {name for name, file in self.files.items() if file.startswith("-> ")}

    def without(self, *own: str) -> Seen:
        """All but journals, markers of hidden folders, and what begins so."""
        left = {
            name: file
            for name, file in self.files.items()
            if "/.dl/" not in f"/{name}"
            and not name.endswith(("/.made-by-dl", ".unpacked/.whole"))
            and not name.startswith(own)
        }
        return replace(self, files=left)

    def result(self) -> dict[str, str]:
        """What a command made, without what differs from one call to the next: times, numbers."""
        made = {}
        for name, file in self.files.items():
            varies = name.endswith(VARIES) or OWN.search(name)
            made[undated(name)] = "" if varies else file
        return made | {undated(name) + "/": "" for name in self.folders}


def undated(name: str) -> str:
    """A path without the time in a run's name."""
    return SECOND.sub(r"\1", STAMP.sub("STAMP-", name))


def difference(expected: dict[str, str], found: dict[str, str]) -> str:
    """How two results differ, in words; "" if they do not."""
    lines = [f"missing: {name}" for name in sorted(expected.keys() - found.keys())]
    lines += [f"left over: {name}" for name in sorted(found.keys() - expected.keys())]
    both = sorted(expected.keys() & found.keys())
    lines += [f"differs: {name}" for name in both if expected[name] != found[name]]
    return "\n".join(lines[:20])


def open_all(folder: Path) -> None:
    """Give back the right to change what a test has closed."""
    for above, _, _ in os.walk(folder):
        if not os.access(above, os.W_OK | os.X_OK) or not os.stat(above).st_mode & 0o200:
            Path(above).chmod(0o755)


@contextmanager
def killed_after(seconds: float, pid: int) -> Iterator[list[bool]]:
    """Kill a process if the block takes longer; the list is empty unless it did."""
    hung: list[bool] = []

    def end() -> None:
        hung.append(True)
        os.kill(pid, signal.SIGKILL)

    timer = Timer(seconds, end)
    timer.start()
    try:
        yield hung
    finally:
        timer.cancel()


@contextmanager
def lab_in(folder: Path, home: Path) -> Iterator[Lab]:
    """A lab for this process, whose home is the one of its environment.

    Args:
        folder: for what commands say.
        home: an empty folder.
    """
    (folder / "trainings").mkdir(parents=True)
    lab = Lab(home, Forks(folder, FOR_FILES), Forks(folder / "trainings", FOR_TRAININGS))
    try:
        yield lab
    finally:
        lab.files.stop()
        lab.trainings.stop()

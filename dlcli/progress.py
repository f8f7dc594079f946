"""Messages on stderr, and progress bars if it is a terminal.

stdout is only for results, so that `dl ... --json | jq` works.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from textwrap import wrap
from typing import TYPE_CHECKING

from dlcli.words import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.constrain import Constrain
    from rich.progress import Progress, ProgressColumn, TaskID


_listeners: list[Callable[[str], None]] = []
_hushed = False
_said: set[str] = set()

# Seconds of waiting after which a message is due, so that `dl` does not seem to hang.
MESSAGE_SECONDS = 20.0

# A message's last line should not be shorter than so many characters, such as a word alone.
SHORT = 16

# What is counted once, not in epochs.
ONCE = range(1)


@contextmanager
def heard_by(listener: Callable[[str], None]) -> Iterator[None]:
    """Also pass each message to a listener while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def hushed(hush: bool = True) -> Iterator[None]:
    """Keep messages and bars off stderr while the block runs; listeners still get messages.

    Args:
        hush: False has no effect, so that a caller can pass on its own `quiet`.
    """
    global _hushed
    before, _hushed = _hushed, _hushed or hush
    try:
        yield
    finally:
        _hushed = before


def say(text: str, *, once: bool = False) -> None:
    """Print a message on stderr, one or more lines, without control characters.

    Args:
        once: whether to print nothing if this process has printed it before. Listeners get it:
            each run has its own log.
    """
    for listener in _listeners:
        listener(text)
    if _hushed or (once and text in _said):
        return
    if once:
        _said.add(text)
    lines = [printable(line) for line in text.split("\n")]
    if sys.stderr.isatty():  # wrapped at spaces: the terminal would break words
        from shutil import get_terminal_size

        width = get_terminal_size().columns
        lines = [piece for line in lines for piece in _wrapped(line, width)]
    try:
        print("\n".join(lines), file=sys.stderr, flush=True)
    except BrokenPipeError:
        nobody_reads()
    except OSError:  # a full disk, or a terminal that was closed: the work is worth more
        nobody_reads(2)


def _wrapped(text: str, width: int) -> list[str]:
    """The lines of a message on a terminal.

    A command in backticks stays on one line, so that it can be copied. A message that does not fit
    breaks before "next:" if the rest then fits, and its last line is not a single short word.
    """
    if len(text) <= width:
        return [text]
    before, semicolon, after = text.partition("; next: ")
    if semicolon and len(f"next: {after}") <= width:
        return [*_wrapped(f"{before};", width), f"next: {after}"]

    def lines_of(most: int) -> list[str]:
        return wrap(whole, most, break_long_words=False, break_on_hyphens=False)

    whole = re.sub("`[^`]*`", lambda m: m[0].replace(" ", "\0"), text)
    lines = lines_of(width)
    narrower = map(lines_of, range(width - 1, width // 2, -1))
    alike = takewhile(lambda found: len(found) <= len(lines), narrower)
    if len(lines) > 1 and len(lines[-1]) < SHORT:
        lines = next((found for found in alike if len(found[-1]) >= SHORT), lines)
    return [line.replace("\0", " ") for line in lines]


def nobody_reads(*streams: int) -> None:
    """Continue without output, because the reader of a pipe, such as `head`, has ended.

    Args:
        streams: 1 for stdout, 2 for stderr; by default both.
    """
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in streams or (1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)


class Bar:
    """The handle of a progress bar; without a terminal it only counts."""

    def __init__(self, progress: Progress | None = None, task: TaskID | None = None) -> None:
        self._progress, self._task = progress, task
        self.done = 0

    def advance(self, by: int = 1) -> None:
        """Count `by` more as done."""
        self.done += by
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, by)

    def say(self, text: str) -> None:
        """Print a message above the bar."""
        if self._progress is None:
            say(text)
            return
        for listener in _listeners:
            listener(text)
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def track(
    description: str, total: int, unit: str, done: int = 0, epochs: range = ONCE
) -> Iterator[Bar]:
    """Show a bar with rate and time left while the block runs; nothing without a terminal.

    Args:
        description: what is going on.
        total: how many there are.
        unit: what is counted, in the plural: "images".
        done: how many were done before, in all epochs.
        epochs: the numbers of the epochs that go through all of them, each told beside the count.
    """
    if _hushed or not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    columns: list[ProgressColumn | str] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        _count_column(total, unit, epochs),
        _rate_column(unit),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    ]
    with _progress(columns, Console(stderr=True)) as progress:
        yield Bar(
            progress, progress.add_task(description, total=total * len(epochs), completed=done)
        )


def _progress(columns: list[ProgressColumn | str], console: Console) -> Progress:
    from rich.constrain import Constrain
    from rich.progress import Progress

    class NarrowProgress(Progress):
        def get_renderables(self) -> Iterator[Constrain]:
            # narrower: the terminal's ^C after a full line would wrap it and print the bar twice
            for bars in super().get_renderables():
                yield Constrain(bars, max(console.width - len("^C"), 1))

    return NarrowProgress(*columns, console=console)


def _count_column(total: int, unit: str, epochs: range) -> ProgressColumn:
    from rich.progress import ProgressColumn, Task
    from rich.table import Column
    from rich.text import Text

    class Count(ProgressColumn):
        def render(self, task: Task) -> Text:
            done = int(task.completed)
            if epochs == ONCE:
                return Text(f"{done}/{total} {unit}")
            # at the end of an epoch all of its images are done, and none of the next one's
            before = max(done - 1, 0) // total
            number = f"epoch {epochs[before]}/{epochs[-1]}"
            return Text(f"{number}  {done - before * total}/{total} {unit}")

    return Count(Column(no_wrap=True))


def _rate_column(unit: str) -> ProgressColumn:
    from rich.progress import ProgressColumn, Task
    from rich.table import Column
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.{int(speed < 10)}f} {unit}/s" if speed else "")

    return Rate(Column(no_wrap=True))


class Patience:
    """A wait with a time limit and regular messages.

    Args:
        what: what is waited for: "cats to be stopped".
        seconds: the time limit.
    """

    def __init__(self, what: str, seconds: float) -> None:
        self.what, self.seconds = what, seconds
        self._began = self._said = time.monotonic()

    @property
    def left(self) -> float:
        """Seconds until the limit; negative after it."""
        return self._began + self.seconds - time.monotonic()

    def pause(self, seconds: float, why: str = "") -> None:
        """Wait between two checks."""
        now = time.monotonic()
        if now - self._said > MESSAGE_SECONDS:
            self._said = now
            so_far = f"{now - self._began:.0f} s so far, {self.seconds:.0f} s at most"
            say(f"Waiting for {self.what}, {so_far}" + (f": {why}." if why else ""))
        time.sleep(seconds)

"""Ctrl-C where it does no harm: between the steps of what runs in foreign code."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def between_steps() -> Iterator[Callable[[], None]]:
    """Take Ctrl-C between steps alone while the block runs; a second one doesn't wait.

    Within a step NumPy's and TensorFlow's C code may swallow a `KeyboardInterrupt`, or make another
    error of it (measured: one in a hundred).

    Yields:
        what to call between steps: raises `KeyboardInterrupt` if Ctrl-C came since.
    """
    before = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    if before is not signal.default_int_handler or not in_main:  # ignored, or somebody else's
        yield lambda: None
        return
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield check
        check()
    finally:
        signal.signal(signal.SIGINT, before)

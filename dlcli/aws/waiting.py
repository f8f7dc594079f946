"""Waiting for a machine: said at times, and what to type where somebody stops it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dlcli.progress import say

if TYPE_CHECKING:
    from dlcli.aws.cloud import Cloud

# Waiting longer than this without a word would look like hanging.
SILENT_SECONDS = 20.0


class Patience:
    """A wait that has an end, and says now and then how long it has been.

    Args:
        what: is waited for, "cats to be stopped".
        seconds: at most.
    """

    def __init__(self, what: str, seconds: float) -> None:
        self.what, self.seconds = what, seconds
        self._began = self._said = time.monotonic()

    @property
    def left(self) -> float:
        """Seconds until its end; below 0 after it."""
        return self._began + self.seconds - time.monotonic()

    def pause(self, seconds: float, why: str = "") -> None:
        """Wait between two looks."""
        now = time.monotonic()
        if now - self._said > SILENT_SECONDS:
            self._said = now
            so_far = f"{now - self._began:.0f} s so far, {self.seconds:.0f} s at most"
            say(f"Waiting for {self.what}, {so_far}" + (f": {why}." if why else ""))
        time.sleep(seconds)


@contextmanager
def told_if_stopped(cloud: Cloud, name: str) -> Iterator[None]:
    """Say at Ctrl-C within the block what goes on with a box that costs money, and what ends it."""
    try:
        yield
    except KeyboardInterrupt:
        options = cloud.named(name).options
        say(
            f"Stopped on the way: `dl aws up{options}` goes on, `dl aws down{options}` ends "
            f"{name}, which costs money meanwhile."
        )
        raise

"""How long a program on another machine may take before it is given up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paramiko import Channel


@contextmanager
def limited(channel: Channel, seconds: float | None) -> Iterator[None]:
    """Close a channel after so long: whoever waits for it, in whatever step, is woken.

    Raises:
        TimeoutError: it was closed.
    """
    from paramiko import SSHException

    # paramiko's own limit is on reading alone, and a sick machine may never begin the program
    expired = Event()

    def end() -> None:
        expired.set()  # first: the close wakes whoever asks for it
        channel.close()

    timer = Timer(seconds or 0, end)
    timer.daemon = True
    if seconds is not None:
        timer.start()
    try:
        yield
    except (SSHException, EOFError, OSError) as error:
        if expired.is_set():
            raise TimeoutError(f"no answer within {seconds:.0f} s") from error
        raise
    finally:
        timer.cancel()

"""What HTTP servers answer when they don't do what was asked: when to come back, and why not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

# A server that takes a call and is silent for so long is given up.
ANSWER_SECONDS = 60.0
# One that wants to be left alone for longer is not waited for.
LONGEST_WAIT_SECONDS = 120.0


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a server asks to be left alone for; 0 where it asks nothing.

    A date is one by its own clock, which may differ from ours.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    until = seconds_of(text)
    if until is None:
        return 0.0
    now = seconds_of(headers.get("Date", ""))
    return max(until - (time.time() if now is None else now), 0.0)


def seconds_of(date: str) -> float | None:
    """A date of HTTP, as seconds since 1970; None where it is none, or before that."""
    try:
        seconds = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return seconds if seconds >= 0 else None


def reason(error: BaseException) -> str:
    """What is at the bottom of an error of the network, without the URL that it holds.

    A URL's query may be as good as a key.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        if "Timeout" in type(cause).__name__:
            return f"no answer within {ANSWER_SECONDS:g} seconds"
        cause = cause.__cause__ or cause.__context__
    return "the connection broke off"

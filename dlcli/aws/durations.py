"""Durations as people write them, `30m`, `4h`, `1h30m`, and as they read them, `1 h 30 min`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import ClassVar

from dlcli.fields import Refused

OFF = "off"
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_MOST_DAYS = 365


class Duration(timedelta):
    """A span of time that is written as `30m`, `4h`, `1h30m`, `2d`.

    Example:
        Duration.parse("1h30m") == timedelta(minutes=90)
    """

    expected: ClassVar[str] = "a time, such as 30m, 4h or 1h30m"

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read `[Nd][Nh][Nm][Ns]`; a number needs its unit.

        Raises:
            Refused: says why it can't be read.
        """
        words = text.strip().lower().replace(" ", "")
        if not re.fullmatch(r"(\d{1,9}[dhms])+", words):
            why = f"{text.strip()!r} needs a unit: d, h, m or s" if words.isdecimal() else ""
            raise Refused(why or f"{text.strip()!r} is not a time, such as 30m, 4h or 1h30m")
        parts = re.findall(r"(\d+)([dhms])", words)
        seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
        if not 0 < seconds <= _MOST_DAYS * 86400:
            raise Refused(f"a time has to be above 0 and at most {_MOST_DAYS}d")
        return cls(seconds=seconds)

    def __str__(self) -> str:
        left, text = round(self.total_seconds()), ""
        for unit, seconds in _SECONDS.items():
            if unit == "d" and left % seconds:
                continue  # 26h says more than 1d2h
            count, left = divmod(left, seconds)
            text += f"{count}{unit}" if count else ""
        return text or "0s"


def read_duration(text: str) -> Duration | None:
    """A duration as typed; None for `off`.

    Raises:
        Refused: it is neither.
    """
    return None if text.strip().lower() == OFF else Duration.parse(text)


def in_words(span: timedelta) -> str:
    """A span as people read it, its two largest units: `3 d 4 h`, `1 h 5 min`, `12 min`, `40 s`."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"

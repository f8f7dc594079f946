"""Counts, sizes, spans, scores and names as text for people."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import timedelta

NBSP = "\N{NO-BREAK SPACE}"
# Harmless spaces of typography, which Python does not call printable.
SPACES = "\u00a0\u2009\u202f\u3000"


def percent(share: float) -> str:
    """A share as a percentage: "98.8 %". Almost all is never "100 %"."""
    if 0.9995 <= share < 1:
        text = ">99.9"
    elif 0 < share < 0.0005:
        text = "<0.1"
    else:
        text = f"{100 * share:.0f}" if share in (0, 1) else f"{100 * share:.1f}"
    return f"{text}{NBSP}%"


def loss(value: float) -> str:
    """A loss to three significant digits: "0.0354", "0.693", "12.3"."""
    if value and abs(value) < 0.1:
        return f"{value:.4f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: "1 image", "2,000 images"; `plural` if it is not noun + s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def size(n_bytes: int) -> str:
    """A size on disk: "1.5 GB", "12.3 MB", "4.0 kB", "12 bytes".

    Units are powers of 1000, as for disks. The unit is the largest that fits, with one decimal;
    bytes are whole.
    """
    for unit, one in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if n_bytes >= 0.99995 * one:  # 999,950 bytes would round to 1,000.0 kB, so write 1.0 MB
            return f"{n_bytes / one:,.1f} {unit}"
    return count(n_bytes, "byte")


def first_of(texts: Sequence[str], most: int = 3) -> str:
    """The first few of some texts, and the number of the others: "a, b, c and 1,234 more"."""
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def short(name: str, most: int = 48) -> str:
    """A name with no more than `most` characters."""
    return name if len(name) <= most else name[: most - 1] + "…"


def written(value: object, most: int = 80) -> str:
    """A value as Python writes it, for an error; a long one is cut, with its length."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def printable(text: str) -> str:
    """Text for a terminal, with control characters and invalid bytes as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in SPACES else escaped(c) for c in text)


def composed(text: str) -> str:
    """Text in Unicode form NFC, to compare names of files: macOS stores them in NFD."""
    return unicodedata.normalize("NFC", text)


def by_number(names: Iterable[str]) -> list[str]:
    """Names as tables list them: by value if all are numbers, 2 before 10; else as they come."""
    found = [*names]
    if all(re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", name) for name in found):
        found.sort(key=float)
    return found


def escaped(character: str) -> str:
    """A character as Python writes it in ASCII: `\\u732b`."""
    return character.encode("unicode_escape").decode()


def to_second(time: str) -> str:
    """A recorded time in UTC without the fraction of its second: "2026-11-23T14:09:31Z"."""
    whole, fraction, _ = time.partition(".")
    return f"{whole}Z" if fraction else time


def span(time: timedelta) -> str:
    """A span in its two largest units: `3 d 4 h`, `1 h 5 min`, `12 min`, `40 s`."""
    seconds = max(0, int(time.total_seconds()))
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

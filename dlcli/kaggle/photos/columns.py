"""Match the columns and labels of a sample submission with classes, by name.

A competition writes `is_cat`, `P_cat` or `Cats` where the class folder is `cat`. Taken for any
other class, the submission holds 1 - p, and nothing says so.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

# Words around a class's name, as in `is_cat` or `prob_cat`.
_FILLER = re.compile(
    r"conf(idence)?|has|is|likelihood|of|p|pr|(pred|prob|score)s?|predict(ed|ions?)|proba"
    r"|probabilit(y|ies)|the"
)
# Words for what any column holds, as in `label` or `target`.
_NEUTRAL = re.compile(
    r"answer|category|class(es)?|expected|id|(label|output|result|target|value)s?|y"
)
# Where the words of `isCat` and `PCat` meet.
_CAMEL = re.compile(r"(?<=[^\W\d_])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])")
_PART = re.compile(r"\d+|[^\W\d_]+")


def classes_named(name: str, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes that a name means; several if it is ambiguous, none if it is another's.

    The closest reading with a match counts: the same text, then without regard to case and
    separators, then without words such as `is`, `prob` and `label`, then as a plural.
    """
    if name in classes:
        return (name,)
    for key in _READINGS:
        meant = key(name)
        if found := tuple(c for c in classes if meant and meant in (key(c), _folded(c))):
            return found
    for key in _READINGS:
        if found := tuple(c for c in classes if _is_plural(key(c), key(name))):
            return found
    return ()


def is_neutral(column: str) -> bool:
    """Whether a column's name could be that of any class: `label`, `pred_score`, or nothing."""
    return not _without(_FILLER, _NEUTRAL)(column)


@lru_cache
def _words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case: `PCat` is ("p", "cat")."""
    apart = _CAMEL.sub(" ", unicodedata.normalize("NFKC", name))
    return tuple(word.casefold() for word in _PART.findall(apart))


def _joined(words: Sequence[str]) -> str:
    """Words as one, but for the digits of two numbers: "1.5" is not "15"."""
    return re.sub(r"(?<=\d) (?=\d)", "_", " ".join(words)).replace(" ", "")


def _folded(name: str) -> str:
    """A name without regard to case and separators; a name of signs alone as it is."""
    return _joined(_words(name)) or name


def _without(*idle: re.Pattern[str]) -> Callable[[str], str]:
    """Read a name without some words; what has no others reads as ""."""
    return lambda name: _joined(
        [word for word in _words(name) if not any(each.fullmatch(word) for each in idle)]
    )


# From the closest to the loosest.
_READINGS: tuple[Callable[[str], str], ...] = (
    _folded,
    _without(_FILLER),
    _without(_FILLER, _NEUTRAL),
)


def _is_plural(one: str, other: str) -> bool:
    """Whether one of two words is an English plural of the other."""
    short, long = sorted((one, other), key=len)
    plurals = f"{short}s", f"{short}es", re.sub("y$", "ies", short)
    return len(short) > 1 and long in plurals

"""Errors that a user can correct: what happened, why, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

MOST_NAMED = 10
# What the loader of the system says if there is no memory for a library's code. For a disk from
# which nothing may be run, a reason follows.
_UNLOADED = ("failed to map segment from shared object", "Cannot allocate memory")


class ExitCode(IntEnum):
    """How `dl` ends; scripts may rely on these numbers."""

    OK = 0
    ERROR = 1
    USAGE = 2
    INTERRUPTED = 130  # 128 + SIGINT, as shells count


class DlError(Exception):
    """An error that a user can cause and can mend.

    It is printed as "Error: WHAT: WHY", then the hint on a line of its own.

    Args:
        what: what happened, a sentence without the final stop.
        why: the reason, a clause that reads well after a colon: it has a subject and a verb, or
            is a list, and never begins with "so" or "and". Empty where `what` says it.
        hint: what to type or change.
        exit_code: `ExitCode.USAGE` where the command line itself is at fault.

    Example:
        raise DlError(
            "No `valid/` in ~/data/dogscats",
            why="there is nothing to evaluate on",
            hint="Run `dl data split ~/data/dogscats`.",
        )
    """

    def __init__(
        self, what: str, *, why: str = "", hint: str = "", exit_code: ExitCode = ExitCode.ERROR
    ) -> None:
        super().__init__(what)
        self.what, self.why, self.hint, self.exit_code = what, why, hint, exit_code

    def __str__(self) -> str:
        lines = [self.what + (f": {self.why}" if self.why else "")]
        return "\n".join([*lines, self.hint] if self.hint else lines)


def lacks_memory(error: BaseException | None) -> bool:
    """Whether memory is too small, here or in a cause.

    Python, the loader of libraries, TensorFlow and PyTorch say it, each in its way.
    """
    while error is not None:
        name = type(error).__name__
        if isinstance(error, MemoryError) or name in ("ResourceExhaustedError", "OutOfMemoryError"):
            return True
        if isinstance(error, ImportError) and str(error).endswith(_UNLOADED):
            return True
        error = error.__cause__ or error.__context__
    return False


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Suggest the known words that are most like an unknown one.

    Returns:
        "Did you mean `finetune`?", or where none is near, a list of known words, ten at most.
    """
    if near := nearest(word, known):
        return f"Did you mean {near}?"
    more = f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else ""
    return f"Known: {', '.join(known[:MOST_NAMED])}{more}." if known else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """The one or two known words that are most like an unknown one: "`finetune` or `fc`"."""
    from difflib import get_close_matches

    as_known = {name.lower(): name for name in known}
    begun = [name for name in as_known if name.startswith(word.lower()) and len(word) > 2]
    alike = get_close_matches(word.lower(), as_known, n=2, cutoff=0.55)
    near = [as_known[name] for name in dict.fromkeys([*begun, *alike])][:2]
    return " or ".join(f"`{name}`" for name in near)

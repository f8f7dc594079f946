"""What a test sees of a command that was typed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it said."""

    exit_code: int
    stdout: str
    stderr: str


Dl = Callable[..., Result]


def refused(result: Result, *said: str, exit_code: int = 1) -> Result:
    """The result, of a command that has to end with an error that says all this."""
    assert result.exit_code == exit_code, result.stdout
    assert [words for words in said if words not in result.stderr] == []
    assert "Traceback" not in result.stderr
    return result


def ok(result: Result) -> Result:
    """The result, of a command that has to end well."""
    assert result.exit_code == 0, result.stderr
    return result

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


def ok(result: Result) -> Result:
    """The result, of a command that has to end well."""
    assert result.exit_code == 0, result.stderr
    return result

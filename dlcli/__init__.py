"""`dl`: from a folder of pictures to a Kaggle submission. From Python: `dlcli.Run.open(path)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlcli.version import __version__

if TYPE_CHECKING:
    from dlcli.api import Run

__all__ = ["Run", "__version__"]


def __getattr__(name: str) -> Any:
    """`Run` when it is asked for: the command line doesn't need it, and must start at once."""
    if name == "Run":
        from dlcli.api import Run

        return Run
    raise AttributeError(f"module 'dlcli' has no attribute {name!r}")

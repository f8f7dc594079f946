"""`dl`: from a folder of pictures to a Kaggle submission; from Python, what `__all__` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlcli.version import __version__

if TYPE_CHECKING:
    from dlcli.api import Dataset, Run, compute_features, list_runs, organize, train

__all__ = [
    "Dataset",
    "Run",
    "__version__",
    "compute_features",
    "list_runs",
    "organize",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is used, so that the command line starts quickly."""
    if name in __all__:
        from dlcli import api

        return getattr(api, name)
    raise AttributeError(f"module 'dlcli' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

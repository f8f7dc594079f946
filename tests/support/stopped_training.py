"""A training that Ctrl-C stops once it has saved an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlcli.training import checkpoint, fit


def stop_after_epoch(monkeypatch: pytest.MonkeyPatch, number: int | None = None) -> None:
    """Stop trainings after an epoch of this number; None: after each, resumed or not."""

    def save_then_stop(folder: Path, progress: checkpoint.Progress, *more: Any) -> None:
        checkpoint.save_checkpoint(folder, progress, *more)
        if number in (None, len(progress.history)):
            raise KeyboardInterrupt

    monkeypatch.setattr(fit, "save_checkpoint", save_then_stop)

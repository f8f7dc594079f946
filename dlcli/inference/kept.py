"""Which predictions a run, or its stand-in, has kept, whatever kind of dataset they are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlcli.runs.run import Run
from dlcli.runs.stand_in import runs_to_read


def has_predictions(
    run: Run, split: str, fingerprint: str | None, how: Mapping[str, Any] | None = None
) -> bool:
    """Whether a run has predictions of a split as it is now.

    Args:
        run: a finished run.
        split: "valid" or "test".
        fingerprint: the split's; None to accept any.
        how: what the mean of several views depends on, see `tta.made_by`; None: no views.
    """
    return holder(run, split, fingerprint, how) is not None


def holder(
    run: Run, split: str, fingerprint: str | None, how: Mapping[str, Any] | None = None
) -> Run | None:
    """The run, or its stand-in, that has these predictions; see `has_predictions`."""
    for folder in runs_to_read(run):
        file = folder.predictions_file(split, how["views"] if how else 0)
        recorded = folder.status.get("predicted", {}).get(file.stem)
        if how is not None:
            recorded = recorded or {}
            if recorded.get("made_by") != how:
                continue
            recorded = recorded["images"]
        if fingerprint in (None, recorded) and file.is_file():
            return folder
    return None

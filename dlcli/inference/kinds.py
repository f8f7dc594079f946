"""The predictions of each kind of dataset: who makes, reads and keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlcli.errors import DlError
from dlcli.inference.predict import PHOTOS
from dlcli.inference.predictor import Predictor
from dlcli.inference.ratings.predict import RATINGS
from dlcli.runs.run import Run

PREDICTORS: Mapping[str, Predictor[Any, Any]] = {"photos": PHOTOS, "ratings": RATINGS}


def predictor_of(run: Run) -> Predictor[Any, Any]:
    """Who makes the predictions of a run."""
    return PREDICTORS[run.record.kind]


def same_kind(runs: Sequence[Run], hint: str) -> str:
    """The kind of dataset that all of some runs are on.

    Raises:
        DlError: they are on several.
    """
    first, *others = runs
    for run in others:
        if run.record.kind != first.record.kind:
            raise DlError(
                f"{first.name} and {run.name} are runs on different kinds of datasets",
                why=f"the first is on {first.record.kind}, the other on {run.record.kind}",
                hint=hint,
            )
    return first.record.kind

"""The predictions of each kind of dataset: who makes, reads and keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlcli.inference.predict import PHOTOS
from dlcli.inference.predictor import Predictor
from dlcli.inference.ratings.predict import RATINGS
from dlcli.runs.run import Run

PREDICTORS: Mapping[str, Predictor[Any, Any]] = {"photos": PHOTOS, "ratings": RATINGS}


def predictor_of(run: Run) -> Predictor[Any, Any]:
    """Who makes the predictions of a run."""
    return PREDICTORS[run.record.kind]

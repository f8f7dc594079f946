"""Evaluate a run: write `metrics.yaml`, `report.html` and figures, in the way of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from dlcli.config import Config
from dlcli.runs.run import Run


class Evaluated(Protocol):
    """An evaluation of any kind.

    Attributes:
        metrics: what `metrics.yaml` holds.
        page: the report's path.
    """

    @property
    def metrics(self) -> dict[str, Any]: ...
    @property
    def page(self) -> Path: ...


def _photos(run: Run, root: Path | None, config: Config, *, views: int, top: int) -> Evaluated:
    from dlcli.report.photos.evaluate import evaluate_run

    return evaluate_run(run, root, config, views=views, top=top)


def _ratings(run: Run, root: Path | None, config: Config, *, views: int, top: int) -> Evaluated:
    from dlcli.report.ratings.evaluate import evaluate_run

    return evaluate_run(run, root, config, views=views, top=top)


# What evaluates a run of each kind, which is imported when it is needed.
EVALUATORS: Mapping[str, Callable[..., Evaluated]] = {"photos": _photos, "ratings": _ratings}


def evaluate_run(
    run: Run, root: Path | None, config: Config, *, views: int = 0, top: int = 0
) -> Evaluated:
    """Evaluate a run on the validation examples of its dataset, and write the results.

    Args:
        run: a finished run.
        root: its dataset's folder; None if it is gone.
        config: the settings; the seed also makes the random choices of the report.
        views: of photos: augmented views of each image in the mean prediction; 0 for none.
        top: of ratings: how many items each user's list has, to score lists; 0 for no lists.

    Raises:
        DlError: there are no predictions, and nothing to make them from; the kind has no views,
            or no lists.
    """
    return EVALUATORS[run.record.kind](run, root, config, views=views, top=top)

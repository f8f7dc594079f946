"""Plan a submission of a run: a table of the kinds of datasets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dlcli.config import Config
from dlcli.data.dataset import kind_of
from dlcli.kaggle.photos import submit as photos
from dlcli.kaggle.plan import SubmissionPlan, with_competition
from dlcli.kaggle.ratings import submit as ratings
from dlcli.runs.run import Run


@dataclass(frozen=True)
class Planner:
    """How submissions of a kind are planned.

    Args:
        plan: makes the plan.
        require_test: refuses a dataset's folder in which there is nothing to predict.
    """

    plan: Callable[..., SubmissionPlan]
    require_test: Callable[[Path], None]


PLANNERS: Mapping[str, Planner] = {
    "photos": Planner(photos.plan_submission, photos.require_test),
    "ratings": Planner(ratings.plan_submission, ratings.require_test),
}


def plan_submission(
    run: Run,
    root: Path | None,
    config: Config,
    *,
    bound: float | Literal["auto"] = 0.0,
    sample_file: Path | None = None,
    views: int = 0,
) -> SubmissionPlan:
    """Plan a submission, before anything is predicted or Kaggle is asked.

    Args:
        run: a finished run.
        root: its dataset's folder; None if it is gone.
        config: the settings.
        bound: the least distance of probabilities from 0 and 1, or "auto"; of photos alone.
        sample_file: the competition's sample submission; by default the one in the dataset.
        views: augmented views of each image in the mean prediction; of photos alone.

    Raises:
        DlError: there is nothing to predict, the sample submission can't be read, or something was
            asked that has no effect.
    """
    kind = kind_of(root) if root is not None else run.record.kind
    config = with_competition(config, root)
    return PLANNERS[kind].plan(root, config, bound=bound, sample_file=sample_file, views=views)


def require_test(root: Path) -> None:
    """Refuse a dataset in which there is nothing to predict.

    Raises:
        DlError: there are no test images, or no pairs.
    """
    PLANNERS[kind_of(root)].require_test(root)

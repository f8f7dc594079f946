"""Write a run's `submission.csv` from its predicted ratings of the test file's pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dlcli.config import Config
from dlcli.data.ratings import pairs as test_pairs
from dlcli.data.ratings.organize import SAMPLE_SUBMISSIONS
from dlcli.data.ratings.ratings import Ratings, open_ratings
from dlcli.errors import DlError, ExitCode
from dlcli.evaluation.chance import Mean, mean_by_group
from dlcli.evaluation.ratings import residuals
from dlcli.files.atomic import atomic
from dlcli.files.formats import read_csv, write_csv
from dlcli.files.paths import shown
from dlcli.inference.ratings.predict import predictions_of
from dlcli.kaggle.competitions import Metric, metric_of
from dlcli.kaggle.plan import Expected, SubmissionPlan, Submitted, require_sample
from dlcli.kaggle.ratings.submission import Sample, Submission, make_submission, read_sample
from dlcli.runs.run import Run
from dlcli.runs.stand_in import writable_run_said
from dlcli.words import count

if TYPE_CHECKING:
    import numpy as np

    from dlcli.evaluation.ratings import Floats


@dataclass(frozen=True, kw_only=True)
class SubmittedRatings(Submitted):
    """A written submission of ratings.

    Args:
        errors: MSE, RMSE and MAE of the file's kind of values on the validation ratings.
        clipped: how many of its ratings were outside of the scale.
    """

    errors: dict[str, float]
    clipped: int


@dataclass(frozen=True, kw_only=True)
class RatingsPlan(SubmissionPlan):
    """A submission for pairs of a user and an item.

    Args:
        dataset: the dataset, with pairs.
        sample: the competition's sample submission; None if there is none.
    """

    dataset: Ratings
    sample: Sample | None

    def submit(self, run: Run) -> SubmittedRatings:
        """Write a run's `submission.csv` and check it.

        Raises:
            DlError: the run can't predict, or the sample submission names other pairs.
        """
        return _submit(run, self)


def plan_submission(
    root: Path | None,
    config: Config,
    *,
    bound: float | Literal["auto"],
    sample_file: Path | None,
    views: int,
) -> RatingsPlan:
    """Plan a submission of ratings; see `kaggle.submit.plan_submission`.

    Raises:
        DlError: the dataset is gone or has no pairs, the sample submission can't be read, or an
            option for photos is given.
    """
    given = {"--clip": bound, "--tta": views, "--positive": config.is_flag("kaggle.positive")}
    for option in (option for option, value in given.items() if value):
        raise DlError(
            f"`{option}` has no effect here",
            why="it is for predicted classes of photos, and this is a run on ratings. Ratings are "
            "kept within their scale",
            hint=f"Leave out `{option}`.",
            exit_code=ExitCode.USAGE,
        )
    if root is None:
        raise DlError(
            "The dataset is gone, and with it the pairs to predict",
            hint="Put it back, or name it, `-d PATH`. To predict any pairs: "
            "`dl predict RUN --pairs FILE`.",
        )
    dataset = open_ratings(root)
    test_pairs.require_test(dataset)
    wants = config.settings().kaggle
    file = sample_file or _sample_in(root)
    require_sample(sample_file)
    return RatingsPlan(
        root=root,
        config=config,
        metric=metric_of(wants.competition, wants.metric),
        dataset=dataset,
        sample=read_sample(file) if file else None,
    )


def require_test(root: Path) -> None:
    """Refuse a dataset without pairs to predict.

    Raises:
        DlError: there are none.
    """
    test_pairs.require_test(open_ratings(root))


def _sample_in(root: Path) -> Path | None:
    """The sample submission that is in a dataset."""
    return next((root / name for name in SAMPLE_SUBMISSIONS if (root / name).is_file()), None)


def _submit(run: Run, plan: RatingsPlan) -> SubmittedRatings:
    """See `RatingsPlan.submit`."""
    import numpy as np

    dataset = plan.dataset
    kept_in = writable_run_said(run)
    valid = predictions_of(run, plan.root, plan.config, "valid")
    test = predictions_of(run, plan.root, plan.config, "test")
    train = dataset.values[dataset.rows("train")]
    least, most = float(train.min()), float(train.max())
    clipped = int(((test.predicted < least) | (test.predicted > most)).sum())
    submission = make_submission(
        test_pairs.read_test(dataset),
        test.predicted.clip(least, most),
        plan.sample,
        _rating_column(dataset),
    )
    content = _written(kept_in.submission_file, submission, (least, most))
    rated = valid.rated(dataset.user_ids, dataset.item_ids)
    errors = residuals(rated, np.clip(valid.predicted, least, most))
    squared = mean_by_group(errors**2, rated.users)
    scores = {
        "mse": squared.value,
        "rmse": math.sqrt(squared.value),
        "mae": float(np.abs(errors).mean()),
    }
    return SubmittedRatings(
        file=kept_in.submission_file,
        content=content,
        rows=len(submission.rows),
        notes=(_form(plan), *submission.notes, *_about(clipped, test.predicted, least, most)),
        metric=plan.metric,
        valid_score=("RMSE", scores["rmse"]),
        expected=_expected(plan.metric, errors, rated.users, len(submission.rows)),
        competition=plan.competition,
        errors=scores,
        clipped=clipped,
    )


def _expected(metric: Metric | None, errors: Floats, users: Any, rows: int) -> Expected | None:
    """The expected score of a file of `rows` rows, from the errors on validation ratings."""
    import numpy as np

    means = {
        "mse": lambda: mean_by_group(errors**2, users),
        "rmse": lambda: mean_by_group(errors**2, users),
        "mae": lambda: mean_by_group(np.abs(errors), users),
    }
    if metric is None or metric.name not in means:
        return None
    mean: Mean = means[metric.name]()
    if mean.interval is None:
        return None
    # both means vary: that of the validation ratings, and that of the file's rows
    wider = math.sqrt(1 + len(errors) / rows)
    ends = [max(0.0, mean.value + wider * (end - mean.value)) for end in mean.interval]
    root = math.sqrt if metric.name == "rmse" else float
    return Expected(root(mean.value), root(ends[0]), root(ends[1]))


def _rating_column(dataset: Ratings) -> str:
    """The name of the column of ratings in the source; "rating" if its columns have no names."""
    name = dataset.record.columns.get("rating")
    return name if name and not name.isdecimal() else "rating"


def _form(plan: RatingsPlan) -> str:
    if plan.sample is None:
        return "No sample submission found, so the file has the plain form."
    return f"Sample submission: {shown(plan.sample.file)}."


def _about(clipped: int, predicted: np.ndarray, least: float, most: float) -> tuple[str, ...]:
    scale = f"the scale of the training ratings, {least:g} to {most:g}"
    if not clipped:
        return (f"All predicted ratings are within {scale}.",)
    return (f"Clipped to {scale}: {clipped:,} of {count(len(predicted), 'predicted rating')}.",)


def _written(file: Path, submission: Submission, scale: tuple[float, float]) -> bytes:
    """Write a submission, check what was written, and give its bytes."""
    with atomic(file) as temporary:  # a file that fails its check replaces none
        header = [submission.header] if submission.header else []
        write_csv(temporary, [*header, *submission.rows])
        rows = [tuple(row) for row in read_csv(temporary)]
        good = all(scale[0] <= float(row[-1]) <= scale[1] for row in rows[len(header) :])
        if rows != [*header, *submission.rows] or not good:
            raise DlError(
                "The submission file differs from what was written",
                hint="Check the disk, then run `dl submit` again.",
            )
        return temporary.read_bytes()

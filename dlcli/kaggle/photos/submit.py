"""Write a run's `submission.csv` from its predictions of the test images."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dlcli.config import Config
from dlcli.data.photos.photos import find_sample_submissions, open_photos
from dlcli.errors import DlError, ExitCode
from dlcli.evaluation.chance import expected_accuracy_range, expected_loss_range
from dlcli.evaluation.clipping import Curve, clip, curve
from dlcli.evaluation.metrics import accuracy, log_loss
from dlcli.files.atomic import atomic
from dlcli.files.formats import read_csv, write_csv
from dlcli.files.paths import shown
from dlcli.inference.predict import predictions_of, require_images
from dlcli.inference.predictions import Predictions
from dlcli.kaggle.competitions import Metric, metric_of, positive_of
from dlcli.kaggle.photos.columns import classes_named
from dlcli.kaggle.photos.sample import SampleSubmission, choose_sample, read_sample_submission
from dlcli.kaggle.photos.submission import Submission, check_submission, make_submission
from dlcli.kaggle.plan import Expected, SubmissionPlan, Submitted, require_sample
from dlcli.runs.run import Run
from dlcli.runs.stand_in import writable_run_said

if TYPE_CHECKING:
    import numpy as np

    from dlcli.evaluation.metrics import Ints


@dataclass(frozen=True, kw_only=True)
class Probabilities(Submitted):
    """A written submission of probabilities, or of the likeliest classes.

    Args:
        labels: whether it holds labels (class names, 0 and 1) instead of probabilities.
        curve: log loss on the validation images by bound; None if clipping has no effect.
        loss: log loss on the validation images, unclipped.
        clipped_loss: log loss at `bound`.
    """

    labels: bool
    curve: Curve | None
    loss: float
    clipped_loss: float


@dataclass(frozen=True, kw_only=True)
class ProbabilitiesPlan(SubmissionPlan):
    """A submission for test images.

    Args:
        bound: the least distance of probabilities from 0 and 1 (see `clipping.clip`); "auto" for
            the best on the validation images.
        views: augmented views of each image in the mean prediction; 0 for none.
        sample: the competition's sample submission; None if there is none.
        sample_why: why it was taken, if the dataset has several.
    """

    bound: float | Literal["auto"]
    views: int
    sample: SampleSubmission | None
    sample_why: str = ""

    def submit(self, run: Run) -> Probabilities:
        """Write a run's `submission.csv` and check it.

        Raises:
            DlError: a test image can't be read, the ids or columns do not match, or `bound` has no
                effect.
        """
        return _submit(run, self)


def plan_submission(
    root: Path | None,
    config: Config,
    *,
    bound: float | Literal["auto"],
    sample_file: Path | None,
    views: int,
) -> ProbabilitiesPlan:
    """Plan a submission for test images; see `kaggle.submit.plan_submission`.

    Raises:
        DlError: there are no test images, the sample submission can't be read, or `bound` has no
            effect.
    """
    wants = config.settings().kaggle
    metric = metric_of(wants.competition, wants.metric)
    if bound and metric is not None and not metric.clipped:
        raise _pointless(f"{wants.competition or 'the competition'} scores by {metric.words}")
    sample, why = _sample(sample_file, root)
    if root is not None:
        require_test(root)
    return ProbabilitiesPlan(
        root=root,
        config=config,
        metric=metric,
        bound=bound,
        views=views,
        sample=sample,
        sample_why=why,
    )


def require_test(root: Path) -> None:
    """Refuse a dataset without test images.

    Raises:
        DlError: there are none.
    """
    require_images(open_photos(root), "test")


def _submit(run: Run, plan: ProbabilitiesPlan) -> Probabilities:
    """See `ProbabilitiesPlan.submit`."""
    root, config, metric, sample = plan.root, plan.config, plan.metric, plan.sample
    kept_in = writable_run_said(run)
    valid = predictions_of(run, root, config, "valid", plan.views)
    tried = curve(valid.y_true, valid.y_prob, config.settings().seed)
    bound = tried.chosen if plan.bound == "auto" else plan.bound
    clipped = clip(valid.y_prob, bound)
    test = predictions_of(run, root, config, "test", plan.views)
    left_out = _left_out(test, root, config)
    everything = _completed(test, left_out, valid.y_prob.mean(axis=0))
    positive, origin, notes = _positive(config, sample, everything.classes)
    submission = make_submission(
        dataclasses.replace(everything, y_prob=clip(everything.y_prob, bound)),
        sample,
        positive=positive,
        origin=origin,
        metric=metric.name if metric else None,
    )
    if submission.labels and plan.bound:
        raise _pointless("the submission holds labels, not probabilities")
    content = _written(kept_in.submission_file, submission)
    matters = not submission.labels and (metric is None or metric.clipped)
    unfit = _unfit(metric, submission)
    judged = valid.y_true, clipped
    if submission.about is not None and len(valid.classes) > 2:
        judged = _of_one_class(*judged, valid.classes.index(submission.about))
    expected = None if unfit else _expected(metric, *judged, len(submission.rows))
    clipped_loss = log_loss(valid.y_true, clipped)
    return Probabilities(
        file=kept_in.submission_file,
        content=content,
        rows=len(submission.rows),
        notes=(_form(plan), *_about(left_out), *submission.notes, *notes, *unfit),
        labels=submission.labels,
        metric=metric,
        bound=bound,
        curve=tried if matters else None,
        loss=tried.plain,
        clipped_loss=clipped_loss,
        valid_score=("log loss", clipped_loss),
        expected=expected,
        competition=plan.competition,
    )


def _positive(
    config: Config, sample: SampleSubmission | None, classes: tuple[str, ...]
) -> tuple[str | None, str, tuple[str, ...]]:
    """The class for a single column, where that was set, and warnings about it.

    A setting takes precedence over the column's name, and that over the competition's known class.
    """
    wants = config.settings().kaggle
    known = positive_of(wants.competition, classes)
    if wants.positive is not None:
        odd = f"Warning: {wants.competition} wants the probability of {known!r}."
        notes = (odd,) if known not in (None, wants.positive) else ()
        return wants.positive, _origin(config, "kaggle.positive"), notes
    if known is None or (sample is not None and classes_named(sample.columns[0], classes)):
        return None, "", ()
    return known, f"as {wants.competition} wants it", ()


def _unfit(metric: Metric | None, submission: Submission) -> tuple[str, ...]:
    """A warning about a file that the competition cannot score well."""
    if metric is not None and metric.clipped and submission.labels:
        return (f"Warning: the file holds labels, but {metric.words} needs probabilities.",)
    return ()


def _of_one_class(y_true: Ints, y_prob: np.ndarray, number: int) -> tuple[Ints, np.ndarray]:
    """Labels and probabilities of one class against all others, as a competition judges them.

    Args:
        y_prob: array of shape (n_samples, n_classes).

    Returns:
        1 for that class and 0 for others, and an array of shape (n_samples, 2).
    """
    import numpy as np

    of_class = y_prob[:, number]
    return (y_true == number).astype(int), np.column_stack([1 - of_class, of_class])


def _expected(
    metric: Metric | None, y_true: Ints, y_prob: np.ndarray, rows: int
) -> Expected | None:
    """The expected score of a file of `rows` rows, from the validation images."""
    if metric is None:
        return None
    if metric.name == "log_loss":
        return Expected(log_loss(y_true, y_prob), *expected_loss_range(y_true, y_prob, rows))
    if metric.name == "accuracy":
        correct = round(accuracy(y_true, y_prob) * len(y_true))
        span = expected_accuracy_range(correct, len(y_true), rows)
        return Expected(correct / len(y_true), *span)
    return None


def _pointless(why: str) -> DlError:
    return DlError(
        "Clipping has no effect here",
        why=why,
        hint="Leave out `--clip`.",
        exit_code=ExitCode.USAGE,
    )


def _origin(config: Config, key: str) -> str:
    return "named" if config.is_flag(key) else f"`{key}` in {config.get(key).origin}"


def _left_out(test: Predictions, root: Path | None, config: Config) -> list[str]:
    """The test images without a prediction, because they can't be read.

    Raises:
        DlError: there are some, and `on_error` does not skip them.
    """
    images = open_photos(root).splits["test"] if root is not None else ()
    left_out = sorted(set(images) - set(test.paths))
    if left_out and config.settings().on_error == "stop":
        raise DlError(
            f"Test images without a prediction: {len(left_out):,}",
            why=f"they can't be read, such as {shown(left_out[0])}",
            hint="Replace them, or add `--on-error skip`, which gives them the mean of the "
            "validation images' probabilities.",
        )
    return left_out


def _completed(test: Predictions, left_out: list[str], prior: np.ndarray) -> Predictions:
    """The predictions, with `prior`, of shape (n_classes,), for the images that have none."""
    import numpy as np

    return dataclasses.replace(
        test,
        paths=(*test.paths, *left_out),
        y_prob=np.concatenate([test.y_prob, np.tile(prior, (len(left_out), 1))]),
        true_classes=("",) * (len(test.paths) + len(left_out)),
    )


def _written(file: Path, submission: Submission) -> bytes:
    """Write a submission, check what was written, and give its bytes."""
    with atomic(file) as temporary:  # a file that fails its check replaces none
        header = [submission.header] if submission.header else []
        write_csv(temporary, [*header, *submission.rows])
        check_submission(read_csv(temporary), submission)
        return temporary.read_bytes()


def _form(plan: ProbabilitiesPlan) -> str:
    if plan.sample is None:
        return "No sample submission found, so the file has the plain form."
    why = f": {plan.sample_why}" if plan.sample_why else ""
    return f"Sample submission: {shown(plan.sample.file)}{why}."


def _about(left_out: list[str]) -> tuple[str, ...]:
    if not left_out:
        return ()
    count, example = len(left_out), shown(left_out[0])
    mean = "the mean of the validation images' probabilities"
    return (f"Unreadable test images: {count:,}, such as {example}. They get {mean}.",)


def _sample(named: Path | None, root: Path | None) -> tuple[SampleSubmission | None, str]:
    """The sample submission, and why it was taken if there are several."""
    require_sample(named)
    if named is not None:
        return read_sample_submission(named), ""
    files = find_sample_submissions(root) if root else []
    # only to choose from several are the test images needed
    return choose_sample(files, open_photos(root).splits["test"] if root and files else ())

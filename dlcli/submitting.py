"""Submitting a run: from its predictions of the test images to `submission.csv`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.config import Config
from dlcli.dataset import dataset_settings, find_sample_submission, open_dataset
from dlcli.errors import DlError, ExitCode
from dlcli.evaluation import log_loss
from dlcli.files import atomic, read_csv, write_csv
from dlcli.places import shown
from dlcli.predict import predictions_of
from dlcli.predictions import Predictions
from dlcli.read_only import said_place_of
from dlcli.run import Run
from dlcli.submission import (
    SampleSubmission,
    best_bound,
    check_submission,
    clip,
    make_submission,
    read_sample_submission,
)

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Submitted:
    """What `dl submit` says.

    Args:
        file: the submission.
        rows: ids in it.
        notes: what was decided, a sentence each.
        labels: whether it holds names of classes, so that clipping is no matter.
        loss: log loss on the validation images, unclipped.
        clipped_loss: the same after clipping.
        best_bound, best_loss: the bound that would do best there, and its log loss.
        competition: the competition's name, if one is configured.
    """

    file: Path
    rows: int
    notes: tuple[str, ...]
    labels: bool
    loss: float
    clipped_loss: float
    best_bound: float
    best_loss: float
    competition: str | None


def submit_run(
    run: Run,
    root: Path | None,
    config: Config,
    *,
    bound: float = 0.0,
    sample_file: Path | None = None,
    views: int = 0,
) -> Submitted:
    """Write a run's `submission.csv` and check it.

    Args:
        run: a finished run.
        root: where its dataset is; None: gone.
        config: where data lies, what the competition wants, what to do about unreadable images.
        bound: probabilities are kept this far from 0 and 1 (see `submission.clip`).
        sample_file: the competition's sample submission; by default the one in the dataset.
        views: changed views of each image to take the mean with; 0: none.

    Raises:
        DlError: no test images, or ids or columns that don't match them.
    """
    if root is not None:
        config = config.with_defaults(dataset_settings(root), shown(root / "dataset.yaml"))
    wants = config.settings().kaggle
    place = said_place_of(run)
    valid = predictions_of(run, root, config, "valid", views)
    clipped_loss = log_loss(valid.y_true, clip(valid.y_prob, bound))
    test = predictions_of(run, root, config, "test", views)
    left_out = _left_out(test, root)
    if left_out and config.settings().on_error == "stop":
        raise DlError(
            f"Test images without a prediction: {len(left_out):,}",
            why=f"they can't be read, such as {shown(left_out[0])}",
            hint="Replace them, or give them the mean of the validation images' probabilities "
            "with `--on-error skip`.",
        )
    sample = _sample(sample_file, root)
    everything = _completed(test, left_out, valid.y_prob.mean(axis=0))
    submission = make_submission(
        dataclasses.replace(everything, y_prob=clip(everything.y_prob, bound)),
        sample,
        positive=wants.positive,
        origin=_origin(config, "kaggle.positive"),
    )
    if submission.labels and bound:
        raise DlError(
            "Clipping changes nothing here",
            why="the submission holds the names of classes, not probabilities",
            hint="Leave out `--clip`.",
            exit_code=ExitCode.USAGE,
        )
    with atomic(place.submission_file) as temporary:  # only what passes its check replaces a file
        write_csv(temporary, [submission.header, *submission.rows])
        check_submission(read_csv(temporary), submission)
    best, best_loss = best_bound(valid.y_true, valid.y_prob)
    form = f"Form: {shown(sample.file)}." if sample else "No sample submission found: plain form."
    return Submitted(
        file=place.submission_file,
        rows=len(submission.rows),
        notes=(form, *_about(left_out), *submission.notes),
        labels=submission.labels,
        loss=log_loss(valid.y_true, valid.y_prob),
        clipped_loss=clipped_loss,
        best_bound=best,
        best_loss=best_loss,
        competition=wants.competition,
    )


def _origin(config: Config, key: str) -> str:
    return "named" if config.is_flag(key) else f"`{key}` in {config.get(key).origin}"


def _left_out(test: Predictions, root: Path | None) -> list[str]:
    """The test images that have no prediction, because they can't be read."""
    images = open_dataset(root).splits["test"] if root is not None else ()
    return sorted(set(images) - set(test.paths))


def _completed(test: Predictions, left_out: list[str], prior: np.ndarray) -> Predictions:
    """The predictions, with `prior`, of shape (n_classes,), for the images that have none."""
    import numpy as np

    return dataclasses.replace(
        test,
        paths=(*test.paths, *left_out),
        y_prob=np.concatenate([test.y_prob, np.tile(prior, (len(left_out), 1))]),
        true_classes=("",) * (len(test.paths) + len(left_out)),
    )


def _about(left_out: list[str]) -> tuple[str, ...]:
    if not left_out:
        return ()
    count, example = len(left_out), shown(left_out[0])
    mean = "the mean of the validation images' probabilities"
    return (f"Unreadable test images: {count:,}, such as {example}; they get {mean}.",)


def _sample(named: Path | None, root: Path | None) -> SampleSubmission | None:
    if named is not None and not named.is_file():
        raise DlError(f"No such file: {shown(named)}", hint="Check `--sample-submission`.")
    file = named or (find_sample_submission(root) if root else None)
    return read_sample_submission(file) if file else None

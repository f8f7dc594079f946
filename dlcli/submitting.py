"""Submitting a run: from its predictions of the test images to `submission.csv`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from dlcli.config import Config
from dlcli.dataset import find_sample_submission, settings_of
from dlcli.errors import DlError, ExitCode
from dlcli.evaluation import log_loss
from dlcli.features import OnError
from dlcli.files import atomic, read_csv, write_csv
from dlcli.places import shown
from dlcli.predict import dataset_of, predictions_of
from dlcli.run import Run
from dlcli.submission import (
    SampleSubmission,
    best_bound,
    check_submission,
    clip,
    make_submission,
    read_sample_submission,
)


@dataclass(frozen=True)
class Submitted:
    """What `dl submit` says.

    Args:
        file: the submission.
        rows: ids in it.
        notes: what was decided, a sentence each.
        loss: log loss on the validation images, unclipped.
        clipped_loss: the same after clipping.
        best_bound, best_loss: the bound that would do best there, and its log loss.
        competition: the competition's name, if one is configured.
    """

    file: Path
    rows: int
    notes: tuple[str, ...]
    loss: float
    clipped_loss: float
    best_bound: float
    best_loss: float
    competition: str | None


def submit_run(
    run: Run,
    config: Config,
    *,
    bound: float = 0.0,
    sample_file: Path | None = None,
    on_error: OnError = "stop",
) -> Submitted:
    """Write a run's `submission.csv` and check it.

    Args:
        run: a finished run.
        config: where data lies, and what the competition wants.
        bound: probabilities are kept this far from 0 and 1 (see `submission.clip`).
        sample_file: the competition's sample submission; by default the one in the dataset.
        on_error: what to do about unreadable test images.

    Raises:
        DlError: no test images, or ids or columns that don't match them.
    """
    root = dataset_of(run, config)
    if root is not None and (kaggle := settings_of(root).get("kaggle")):
        config = config.with_defaults({"kaggle": kaggle}, shown(root / "dataset.yaml"))
    wants = config.settings().kaggle
    valid = predictions_of(run, config, "valid", on_error)
    clipped_loss = log_loss(valid.y_true, clip(valid.y_prob, bound))
    test = predictions_of(run, config, "test", on_error)
    sample = _sample(sample_file, root)
    submission = make_submission(
        dataclasses.replace(test, y_prob=clip(test.y_prob, bound)),
        sample,
        positive=wants.positive,
        prior=clip(valid.y_prob, bound).mean(axis=0) if on_error == "skip" else None,
    )
    if submission.labels and bound:
        raise DlError(
            "Clipping changes nothing here",
            why="the submission holds the names of classes, not probabilities",
            hint="Leave out `--clip`.",
            exit_code=ExitCode.USAGE,
        )
    with atomic(run.submission_file) as temporary:  # only what passes its check replaces a file
        write_csv(temporary, [submission.header, *submission.rows])
        check_submission(read_csv(temporary), submission)
    best, best_loss = best_bound(valid.y_true, valid.y_prob)
    form = f"Form: {shown(sample.file)}." if sample else "No sample submission found: plain form."
    return Submitted(
        file=run.submission_file,
        rows=len(submission.rows),
        notes=(form, *submission.notes),
        loss=log_loss(valid.y_true, valid.y_prob),
        clipped_loss=clipped_loss,
        best_bound=best,
        best_loss=best_loss,
        competition=wants.competition,
    )


def _sample(named: Path | None, root: Path | None) -> SampleSubmission | None:
    if named is not None and not named.is_file():
        raise DlError(f"No such file: {shown(named)}", hint="Check `--sample-submission`.")
    file = named or (find_sample_submission(root) if root else None)
    return read_sample_submission(file) if file else None

"""Evaluate a run of photos: write `metrics.yaml`, `report.html` and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from dlcli.config import Config
from dlcli.errors import DlError, ExitCode
from dlcli.evaluation.metrics import evaluate, log_loss
from dlcli.files.formats import below, flat, write_yaml
from dlcli.files.paths import shown
from dlcli.inference.kept import has_predictions
from dlcli.inference.members import shown_by
from dlcli.inference.predict import predictions_of
from dlcli.inference.predictions import Predictions, aligned
from dlcli.inference.tta import same_tta, tta_of
from dlcli.progress import say
from dlcli.report.photos.run_page import Report, write_report
from dlcli.runs.record import RunRecord
from dlcli.runs.run import Run
from dlcli.runs.stand_in import writable_run_said


class Evaluated(NamedTuple):
    """An evaluation: what was found, and by which predictions.

    Args:
        metrics: see `evaluation.metrics.evaluate`; with the key `tta` for the views.
        page: the report's path.
        predictions: of the validation images.
        root: the dataset's folder, to which their paths are relative; it may be gone.
    """

    metrics: dict[str, Any]
    page: Path
    predictions: Predictions
    root: Path


def evaluate_run(
    run: Run, root: Path | None, config: Config, *, views: int = 0, top: int = 0
) -> Evaluated:
    """Evaluate a run on its validation images, and write the results.

    Args:
        run: a finished run.
        root: its dataset's folder; None if it is gone.
        config: the settings; the seed also chooses the random images of the report.
        views: augmented views of each image in the mean prediction; 0 for none.
        top: must be 0: a photo is in no list.

    Raises:
        DlError: there are no predictions, and no images to make them from; `top` is not 0.
    """
    if top:
        raise DlError(
            f"{run.name} is a run of photos, which are not ranked",
            hint="Leave out `--top`. It scores the lists of items of a run of ratings.",
            exit_code=ExitCode.USAGE,
        )
    kept_in = writable_run_said(run)
    predictions = predictions_of(run, root, config, "valid", views)
    if views:
        _compare(run, root, config, predictions)
    record, y_true = run.record, predictions.y_true
    metrics = evaluate(y_true, predictions.y_prob, predictions.classes)
    if views:
        metrics = {"tta": views, **metrics}
    write_yaml(kept_in.metrics_file, metrics)
    settings: dict[str, object] = {
        "dataset": shown(record.dataset.path),
        "images": ", ".join(f"{n:,} {split}" for split, n in record.dataset.sizes.items()),
        **(_members(record) if run.is_ensemble else _training(run)),
        "test-time augmentation": _views(run, config, views) if views else None,
        "versions": ", ".join(f"{name} {v}" for name, v in record.versions.items()),
        "host": record.host,
        "git": record.git,
    }
    report = Report(
        title=run.name,
        recipe=record.recipe,
        classes=predictions.classes,
        metrics=metrics,
        y_true=y_true,
        y_prob=predictions.y_prob,
        root=root or record.dataset.path,
        paths=predictions.paths,
        history=run.history,
        settings={name: value for name, value in settings.items() if value is not None},
        version=shown_by(run),
        commands=(record.command, f"dl evaluate{same_tta(config, views)}"),
        seed=config.settings().seed,
    )
    return Evaluated(metrics, write_report(report, kept_in.path), predictions, report.root)


def _compare(run: Run, root: Path | None, config: Config, predictions: Predictions) -> None:
    """Say how the views change the log loss, on the images that also have plain predictions."""
    if root is None and not has_predictions(run, "valid", None):
        return
    plain = predictions_of(run, root, config, "valid")
    before, after = (
        round(log_loss(each.y_true, each.y_prob), 4)
        for each in aligned([plain, predictions], predictions.classes)
    )
    if before == after:
        what = f"leaves log loss at {after:.4f}"
    else:
        what = f"{'improves' if after < before else 'worsens'} log loss from {before:.4f}"
        what += f" to {after:.4f}"
    say(f"Test-time augmentation {what}.")


def _views(run: Run, config: Config, views: int) -> str:
    if run.is_ensemble:
        return f"{views} views by each member"
    return str(tta_of(run, config, views))


def _training(run: Run) -> dict[str, object]:
    """The settings that a run was trained with."""
    record, config = run.record, run.config
    forward = record.forward
    return {
        **({"backbone": forward.backbone, "layer": forward.layer} if forward else {}),
        "pixels": (run.features_forward or record).pixels,
        **dict(flat(below(config, "train", record.recipe))),
        "seed": config.get("seed"),
        "changed": "; ".join(map(str, record.changes)) or None,
    }


def _members(record: RunRecord) -> dict[str, object]:
    """An ensemble's members, with their scores when it was made."""
    return {
        f"member {number}": f"{each.name}, accuracy {each.scores['accuracy']:.4f}, "
        f"log loss {each.val_loss:.4f}"
        for number, each in enumerate(record.members, 1)
    }

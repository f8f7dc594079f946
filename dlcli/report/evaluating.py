"""Judging a run: from its predictions to `metrics.yaml`, `report.html` and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dlcli.config import Config
from dlcli.evaluation import evaluate
from dlcli.files import write_yaml
from dlcli.images import PixelRule
from dlcli.members import is_ensemble
from dlcli.places import shown
from dlcli.predict import predictions_of
from dlcli.report.html import Report, write_report
from dlcli.run import Run


def evaluate_run(run: Run, root: Path | None, config: Config) -> tuple[dict[str, Any], Path]:
    """Judge a run on its validation images and write down how it did.

    Args:
        run: a finished run.
        root: where its dataset is; None: gone.
        config: where data lies, and the seed of the pictures chosen at random.

    Returns:
        the metrics (see `evaluation.evaluate`), and the report's path.

    Raises:
        DlError: no predictions, and no images to make them from.
    """
    predictions = predictions_of(run, root, config, "valid")
    record, y_true = run.record(), predictions.y_true
    metrics = evaluate(y_true, predictions.y_prob, predictions.classes)
    write_yaml(run.metrics_file, metrics)
    settings: dict[str, object] = {
        "dataset": shown(record["dataset"]["path"]),
        "images": ", ".join(f"{n:,} {split}" for split, n in record["dataset"]["images"].items()),
        **(_members(record) if is_ensemble(run) else _training(run, record)),
        "versions": ", ".join(f"{name} {v}" for name, v in record["versions"].items()),
        "host": record["host"],
        "git": record["git"],
    }
    report = Report(
        title=run.name,
        recipe=record["recipe"],
        classes=predictions.classes,
        metrics=metrics,
        y_true=y_true,
        y_prob=predictions.y_prob,
        root=root or Path(record["dataset"]["path"]),
        paths=predictions.paths,
        history=run.history(),
        settings={name: value for name, value in settings.items() if value is not None},
        commands=(record["command"], "dl evaluate"),
        seed=config.settings().seed,
    )
    return metrics, write_report(report, run.path)


def _training(run: Run, record: dict[str, Any]) -> dict[str, object]:
    """What a run was trained with."""
    forward = record["forward"] or {}
    from_features = run.status().get("predicts_from") == "features"
    pixels = forward["pixels"] if from_features else record["pixels"]
    config = run.config()
    return {
        **({"backbone": forward["backbone"], "layer": forward["layer"]} if forward else {}),
        "pixels": PixelRule(**pixels),
        **config["train"][record["recipe"]],
        "seed": config["seed"],
    }


def _members(record: dict[str, Any]) -> dict[str, object]:
    """What an ensemble is the mean of, with the scores at the time that it was made."""
    return {
        f"member {number}": f"{each['name']}, accuracy {each['val_accuracy']:.4f}, "
        f"log loss {each['val_loss']:.4f}"
        for number, each in enumerate(record["members"], 1)
    }

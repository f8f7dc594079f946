"""Runs as `dl runs` finds them, which nobody trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlcli.data.choice import remember
from dlcli.files.formats import write_yaml
from dlcli.runs.run import Run

SCORES = {"best_epoch": 2, "val_loss": 0.25, "val_accuracy": 0.9, "seconds": 12.34}


def listed_run(
    name: str = "202611231409-finetune-e3",
    dataset: str = "tiny",
    *,
    recipe: str = "finetune",
    hyperparameters: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    record: Mapping[str, Any] | None = None,
    **status: Any,
) -> Run:
    """Write a whole run under `~/runs`, a finished one of three epochs unless told otherwise.

    Args:
        name: its folder's.
        dataset: the folder above.
        recipe: what it says it trained.
        hyperparameters, settings, record: what `config.yaml` holds of these besides.
        status: values of `status.yaml`.
    """
    home = Path.home()
    run = Run(home / "runs" / dataset / name)
    run.path.mkdir(parents=True)
    about = {"recipe": recipe, "dataset": {"path": str(home / "data" / dataset)}}
    values = {"schedule": "1e-3x3", "dropout": 0.5, "augment": False, **(hyperparameters or {})}
    write_yaml(
        run.config_file,
        {"seed": 0, **(settings or {}), "train": {recipe: values}, "run": about | (record or {})},
    )
    write_yaml(run.classes_file, ["cat", "dog"])
    run.write_history([{"epoch": n, "phase": "model", "loss": 0.5 / n} for n in range(1, 4)])
    scores = SCORES if status.get("state", "finished") == "finished" else {}
    plan = {"recipe": recipe, "planned_epochs": 3}
    begun = {"state": "finished", "started": _started(name), "epoch": 3}
    said = {**plan, **begun, **scores, **status}
    write_yaml(run.status_file, {key: value for key, value in said.items() if value is not None})
    return run


def last_named_dataset(name: str = "tiny") -> Path:
    """Make a dataset's folder, and have it be the one that was last named."""
    root = Path.home() / "data" / name
    root.mkdir(parents=True)
    remember(root)
    return root


def three_runs() -> list[Run]:
    """A finished run, one that failed, and an ensemble, the best."""
    return [
        listed_run("202611231409-finetune-e3", seconds=1234.56),
        listed_run(
            "202611231410-cnn-e3",
            recipe="cnn",
            hyperparameters={"dropout": 0.0, "batch_size": 16},
            state="failed",
            epoch=1,
            reason="no room",
        ),
        listed_run(
            "202611231411-ensemble-m2",
            recipe="ensemble",
            epoch=None,
            best_epoch=None,
            seconds=None,
            val_loss=0.2,
            val_accuracy=0.95,
        ),
    ]


def sized(run: Run, checkpoint: int = 0, models: int = 0) -> Run:
    """Give a run a checkpoint and a model of some bytes."""
    run.checkpoint.mkdir()
    (run.checkpoint / "state.npz").write_bytes(bytes(checkpoint))
    run.best_model.parent.mkdir()
    run.best_model.write_bytes(bytes(models))
    return run


def _started(name: str) -> str:
    """The time that a run's name begins with."""
    return f"{name[:4]}-{name[4:6]}-{name[6:8]}T{name[8:10]}:{name[10:12]}:00.000000Z"

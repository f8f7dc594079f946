"""A finished run made ready to go on: its checkpoint, made anew from its models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlcli.assembly import Network, to_numpy
from dlcli.backend import start_backend
from dlcli.checkpoint import Progress, save_best, save_checkpoint
from dlcli.errors import DlError
from dlcli.files.paths import make_numbered, shown
from dlcli.job import Job
from dlcli.models.saved import load_model
from dlcli.progress import say
from dlcli.runs.run import Run

if TYPE_CHECKING:
    from pathlib import Path


def progress_of(run: Run, job: Job) -> Progress:
    """Where a finished run's training stood at its end.

    Raises:
        DlError: its history is damaged.
    """
    history: list[dict[str, Any]] = run.history()
    names = [phase.name for phase in job.phases]
    if not history or any(row.get("phase") not in names for row in history):
        raise DlError(
            f"{run.name} can't be trained further",
            why=f"{shown(run.history_file)} is missing, or of other phases than the run has",
            hint="Restore the file, or train anew: `dl rerun`.",
        )
    best = min(history, key=lambda row: row["val_loss"])
    last = history[-1]["phase"]
    return Progress(
        phase=names.index(last),
        phase_epochs=sum(row["phase"] == last for row in history),
        best_epoch=best["epoch"],
        best_phase=names.index(best["phase"]),
        best_loss=best["val_loss"],
        since_best=len(history) - best["epoch"],
        history=history,
        seconds=run.status().get("seconds", 0.0),
    )


def revive(run: Run, job: Job) -> Progress:
    """Write the checkpoint of a finished run, which kept none; its optimizer begins anew.

    Raises:
        DlError: a model is gone; or holds running means, which nothing can go on from.
    """
    if job.recipe.ema is not None:
        raise DlError(
            f"{run.name} can't be trained further",
            why="its models hold the running means of the weights, and the weights are gone",
            hint="Train anew, with more epochs, `--schedule`, or with `--keep-checkpoint`.",
        )
    start_backend()
    progress = progress_of(run, job)
    run.checkpoint.mkdir(exist_ok=True)
    best = _read(job, progress.best_phase, run.best_model)
    save_best(run.checkpoint, progress, best.weights())
    last = _read(job, progress.phase, run.last_model)
    optimizer = [to_numpy(variable) for variable in last.optimizer.variables]
    save_checkpoint(run.checkpoint, progress, last.weights(), optimizer)
    return progress


def set_aside(run: Run) -> None:
    """Put what was made of a finished run's model into a folder of its own, `before-epoch-13/`.

    Of more epochs another may turn out the best; then none of it is true any more.
    """
    made = [run.predictions("valid").parent, run.metrics_file, run.report_file, run.figures]
    made += [run.submission_file, run.exports]
    there = [path for path in made if path.exists()]
    if there:
        folder = make_numbered(run.path / f"before-epoch-{len(run.history()) + 1}")
        for path in there:
            path.rename(folder / path.name)
        names = ", ".join(path.name for path in there)
        say(f"What was made of its model so far is in {shown(folder)}: {names}.")
    run.predictions("valid").parent.mkdir(exist_ok=True)
    run.update_status(predicted={})


def _read(job: Job, phase: int, path: Path) -> Network:
    """The network of a phase with a saved model's weights."""
    import keras

    model = load_model(path)
    if job.forward is None:
        network = Network(job, job.phases[phase], tuple(model.input_shape[1:]))
        network.model.set_weights(model.get_weights())
        return network
    head = model.get_layer("head")
    network = Network(job, job.phases[phase], tuple(head.input_shape[1:]))
    network.head.set_weights(head.get_weights())
    if network.backbone is not None:
        (backbone,) = (
            layer for layer in model.layers if isinstance(layer, keras.Model) and layer is not head
        )
        network.backbone.set_weights(backbone.get_weights())
    return network

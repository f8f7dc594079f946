"""Save the results of a finished training: models, predictions, scores, diagnosis."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.catalog import recipe_keys
from dlcli.config import Config
from dlcli.files.atomic import atomic
from dlcli.process import utc_now
from dlcli.runs.run import Run
from dlcli.runs.settings import changed_settings
from dlcli.training.checkpoint import Progress, remove_checkpoint
from dlcli.training.job import AnyJob
from dlcli.training.network import AnyNetwork

if TYPE_CHECKING:
    import keras


def keep_outcome(
    job: AnyJob, run: Run, network: AnyNetwork, samples: list[Any], progress: Progress
) -> None:
    """Save the last and the best model, predict with the best, and mark the run as finished.

    Args:
        job: what was trained on what.
        network: the last phase's, with the weights of the last epoch.
        samples: the last phase's, train and valid.
        progress: which epoch was the best.
    """
    with network.averaged():
        network = network.in_full_precision()
        model = network.complete()
        _save(model, run.last_model)
    if progress.best_phase != progress.phase:  # other layers trained in the best phase
        network, samples = _in_best_phase(job, network, samples, progress)
        model = network.complete()
    network.assign_best(run.checkpoint, progress)
    _save_best(run, model, progress)
    outcome = job.outcome(run, network, model, samples, progress)
    run.update_status(
        state="finished",
        finished=utc_now(),
        epoch=len(progress.history),
        best_epoch=progress.best_epoch,
        **outcome.status,
        seconds=round(progress.seconds, 1),
        parameters=model.count_params(),
        diagnosis=dataclasses.asdict(outcome.diagnosis) | {"next": list(outcome.diagnosis.next)},
    )
    for line in outcome.diagnosis.lines:
        run.log(line)
    if not job.settings.keep_checkpoint:
        remove_checkpoint(run.checkpoint)


def outcome_keys(job: AnyJob) -> tuple[str, ...]:
    """What `status.yaml` says of a finished training's models; no longer true after a resume."""
    trained = [f"train_{name}" for name in job.scores]
    return ("finished", *trained, "seconds", "diagnosis", "predicted")


def _in_best_phase(
    job: AnyJob, network: AnyNetwork, samples: list[Any], progress: Progress
) -> tuple[AnyNetwork, list[Any]]:
    """The network and the samples of the phase with the best epoch, which is not the last phase."""
    best = job.phases[progress.best_phase]
    if not job.same_samples(best, network.phase):
        samples = job.read_samples(best)
    return job.network(best, samples[0].inputs.shape, full_precision=True), samples


def _save_best(run: Run, model: keras.Model, progress: Progress) -> None:
    """Save the model of the best epoch; if that is the last epoch, its file is there already."""
    if progress.best_epoch != len(progress.history):
        _save(model, run.best_model)
        return
    with atomic(run.best_model, run.path) as temporary:
        try:
            os.link(run.last_model, temporary)
        except OSError:  # no hard links on this file system; a full disk fails again below
            shutil.copyfile(run.last_model, temporary)


def _save(model: keras.Model, path: Path) -> None:
    """Save a model that plain Keras can load: without the optimizer, which may be `Graded`."""
    import keras

    plain = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    with atomic(path, path.parents[1]) as temporary:
        plain.save(temporary)


def typed_again(run: Run, recipe: str) -> str:
    """The options that give another training a run's settings, but for the schedule."""
    keys = set(recipe_keys(recipe)) - {f"train.{recipe}.schedule"}
    changed = {e.key: e.value for e in changed_settings(run.config) if e.known and e.key in keys}
    flags = Config({}).with_flags(changed).given_flags(changed)
    return "".join(f" {flag}" for flag in flags)

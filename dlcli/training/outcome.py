"""Save the results of a finished training: models, predictions, scores, diagnosis."""

from __future__ import annotations

import dataclasses
import math
import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.catalog import recipe_keys
from dlcli.config import Config
from dlcli.data.dataset import whole_of
from dlcli.errors import DlError
from dlcli.evaluation.diagnosis import Diagnosis, Score, diagnose, measure
from dlcli.evaluation.metrics import rounded
from dlcli.evaluation.remedies import Options
from dlcli.features.compute import features_ready, open_features
from dlcli.features.rules import kept_as
from dlcli.features.store import store_folder
from dlcli.files.atomic import atomic
from dlcli.files.paths import quoted
from dlcli.inference.predict import keep_predictions, predict_rows
from dlcli.inference.serving import make_engine
from dlcli.process import utc_now
from dlcli.progress import say
from dlcli.recipe import Recipe
from dlcli.runs.run import Run
from dlcli.runs.settings import changed_settings
from dlcli.training.build import Network
from dlcli.training.checkpoint import Progress, remove_checkpoint
from dlcli.training.job import Job, Samples, read_samples

if TYPE_CHECKING:
    import keras


# Training images for the diagnosis: as many as a validation set has, and cheap.
MEASURED = 2000
# The command of the model that a model on pixels is compared with.
PRETRAINED = "dl train finetune"

# What `status.yaml` says of the models of a finished training; no longer true after a resume.
OUTCOME = ("finished", "train_loss", "train_accuracy", "seconds", "diagnosis", "predicted")


def keep_outcome(
    job: Job, run: Run, network: Network, samples: list[Samples], progress: Progress
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
    train, valid = samples
    y_prob = network.predict(valid.inputs)
    on_valid = measure(valid.y_true, y_prob)
    on_train = _on_train(job, network, train)
    diagnosis = _diagnosis(job, run, network, on_train, on_valid, progress)
    on_features = job.on_features(job.phases[progress.best_phase])
    _keep_engine(run, model, job, on_features)
    keep_predictions(run, job.dataset, "valid", valid.paths, y_prob, job.fingerprints["valid"])
    if on_features:
        _predict_stored_test(job, run, network)
    run.update_status(
        state="finished",
        finished=utc_now(),
        epoch=len(progress.history),
        best_epoch=progress.best_epoch,
        predicts_from="features" if on_features else "images",
        val_loss=rounded(on_valid.loss),
        val_accuracy=rounded(on_valid.accuracy),
        train_loss=rounded(on_train.loss),
        train_accuracy=rounded(on_train.accuracy),
        seconds=round(progress.seconds, 1),
        parameters=model.count_params(),
        diagnosis=dataclasses.asdict(diagnosis) | {"next": list(diagnosis.next)},
    )
    for line in diagnosis.lines:
        run.log(line)
    if not job.settings.keep_checkpoint:
        remove_checkpoint(run.checkpoint)


def _in_best_phase(
    job: Job, network: Network, samples: list[Samples], progress: Progress
) -> tuple[Network, list[Samples]]:
    """The network and the samples of the phase with the best epoch, which is not the last phase."""
    best, shape = job.phases[progress.best_phase], tuple(network.head.input_shape[1:])
    if not job.same_samples(best, network.phase):
        samples = read_samples(job, best)
    return Network(job, best, shape, full_precision=True), samples


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


def _predict_stored_test(job: Job, run: Run, network: Network) -> None:
    """Predict the test images, if their features are stored."""
    if job.forward is None:
        return
    store = store_folder(job.dataset, kept_as(job.dataset, job.forward, ("test",)), ("test",))
    if features_ready(store, job.dataset, "test"):
        test = open_features(store, job.dataset, "test")
        y_prob = predict_rows(network.head.predict_on_batch, test.rows)
        keep_predictions(run, job.dataset, "test", test.paths, y_prob, job.fingerprints["test"])


def _keep_engine(run: Run, model: keras.Model, job: Job, on_features: bool) -> None:
    """Make the engine files for quick predictions; a run is complete without them."""
    try:
        frozen = (job.forward, job.weights) if on_features and job.forward and job.weights else None
        make_engine(run, model, frozen)
    except (OSError, DlError) as error:
        say(f"Warning: `dl predict` will be slower for this run, because it uses Keras: {error}")


def _on_train(job: Job, network: Network, train: Samples) -> Score:
    """The best model's score on training images without augmentation, or on some of many."""
    order = train.some(MEASURED, job.settings.seed)
    train.inputs.start_epoch(0)
    return measure(train.y_true[order], network.predict(train.inputs, order=order))


def _diagnosis(
    job: Job, run: Run, network: Network, train: Score, valid: Score, progress: Progress
) -> Diagnosis:
    import keras

    recipe = job.recipe
    history: list[dict[str, Any]] = progress.history
    if recipe.label_smoothing or recipe.mixup or recipe.class_weights:
        # the training loss then is of altered labels, so it compares with no other loss
        history = [row | {"loss": math.nan, "accuracy": math.nan} for row in history]
    normalises = any(
        isinstance(layer, keras.layers.BatchNormalization) for layer in network.head.layers
    )
    # a resume may have changed the schedule
    trained = dataclasses.replace(recipe, schedule=job.phases[0].schedule)
    options = options_of(
        trained,
        job.name,
        job.dataset.root,
        normalises,
        run=shlex.quote(run.name),
        typed=_typed(run, job.name),
    )
    return diagnose(train, valid, history, options)


def _save(model: keras.Model, path: Path) -> None:
    """Save a model that plain Keras can load: without the optimizer, which may be `Graded`."""
    import keras

    plain = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    with atomic(path, path.parents[1]) as temporary:
        plain.save(temporary)


def _typed(run: Run, recipe: str) -> str:
    """The options that give another training a run's settings, but for the schedule."""
    keys = set(recipe_keys(recipe)) - {f"train.{recipe}.schedule"}
    changed = {e.key: e.value for e in changed_settings(run.config) if e.known and e.key in keys}
    flags = Config({}).with_flags(changed).given_flags(changed)
    return "".join(f" {flag}" for flag in flags)


def options_of(
    recipe: Recipe, name: str, root: Path, normalises: bool, *, run: str = "RUN", typed: str = ""
) -> Options:
    """The options that a training used, and the commands that the diagnosis may suggest.

    Args:
        root: the dataset's folder.
        normalises: whether the network trains with batch normalisation.
        run: the run's name, as typed.
        typed: the options with which `dl train` and `dl lr-find` get the run's settings.
    """
    whole = whole_of(root)
    frozen = recipe.layer and not any(phase.trains_backbone for phase in recipe.phases())
    return Options(
        again=f"dl rerun {run}",
        augments=recipe.augment,
        dropout=getattr(recipe, "dropout", None),
        normalises=normalises,
        full=f"dl train {name}{typed} -d {quoted(whole)}" if whole else None,
        pretrained=PRETRAINED if recipe.layer is None else None,
        simpler=recipe.simpler,
        richer=recipe.richer,
        find_rate=f"dl lr-find {name}{typed}",
        # without stored passes every image goes through the frozen network in every epoch
        augment=("augment=true", "augment_passes=5") if frozen else ("augment=true",),
        epochs=recipe.schedule.epochs,
        highest_rate=recipe.schedule.highest_rate,
        batch_size=recipe.batch_size,
    )

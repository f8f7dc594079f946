"""Judge a finished training on photos: scores, diagnosis, predictions, files for quick ones."""

from __future__ import annotations

import dataclasses
import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.data.dataset import whole_of
from dlcli.errors import DlError
from dlcli.evaluation.diagnosis import Diagnosis, Score, diagnose, measure
from dlcli.evaluation.metrics import rounded
from dlcli.evaluation.remedies import Options
from dlcli.features.compute import features_ready, open_features
from dlcli.features.rules import kept_as
from dlcli.features.store import store_folder
from dlcli.files.paths import quoted
from dlcli.inference.predict import keep_predictions, predict_rows
from dlcli.inference.serving import make_engine
from dlcli.progress import say
from dlcli.recipe import Recipe
from dlcli.runs.run import Run
from dlcli.training.checkpoint import Progress
from dlcli.training.job import Outcome, some_of
from dlcli.training.outcome import typed_again
from dlcli.training.photos.build import Network
from dlcli.training.photos.plan import PhotosPlan
from dlcli.training.photos.samples import Samples

if TYPE_CHECKING:
    import keras


# Training images for the diagnosis: as many as a validation set has, and cheap.
MEASURED = 2000
# The command of the model that a model on pixels is compared with.
PRETRAINED = "dl train finetune"


def outcome_of(
    job: PhotosPlan,
    run: Run,
    network: Network,
    model: keras.Model,
    samples: list[Samples],
    progress: Progress,
) -> Outcome:
    """Judge the best model, predict with it, and make the files for quick predictions.

    Args: those of `Job.outcome`.
    """
    train, valid = samples
    y_prob = network.predict(valid.inputs)
    on_valid = measure(valid.y_true, y_prob)
    on_train = _on_train(job, network, train)
    diagnosis = _diagnosis(job, run, network, on_train, on_valid, progress)
    on_features = job.on_features(network.phase)
    _keep_engine(run, model, job, on_features)
    keep_predictions(run, job.dataset, "valid", valid.paths, y_prob, job.fingerprints["valid"])
    if on_features:
        _predict_stored_test(job, run, network)
    status = {
        "predicts_from": "features" if on_features else "images",
        "val_loss": rounded(on_valid.loss),
        "val_accuracy": rounded(on_valid.accuracy),
        "train_loss": rounded(on_train.loss),
        "train_accuracy": rounded(on_train.accuracy),
    }
    return Outcome(status, diagnosis)


def _predict_stored_test(job: PhotosPlan, run: Run, network: Network) -> None:
    """Predict the test images, if their features are stored."""
    if job.forward is None:
        return
    store = store_folder(job.dataset, kept_as(job.dataset, job.forward, ("test",)), ("test",))
    if features_ready(store, job.dataset, "test"):
        test = open_features(store, job.dataset, "test")
        y_prob = predict_rows(network.head.predict_on_batch, test.rows)
        keep_predictions(run, job.dataset, "test", test.paths, y_prob, job.fingerprints["test"])


def _keep_engine(run: Run, model: keras.Model, job: PhotosPlan, on_features: bool) -> None:
    """Make the engine files for quick predictions; a run is complete without them."""
    try:
        frozen = (job.forward, job.weights) if on_features and job.forward and job.weights else None
        make_engine(run, model, frozen)
    except (OSError, DlError) as error:
        say(f"Warning: `dl predict` will be slower for this run, because it uses Keras: {error}")


def _on_train(job: PhotosPlan, network: Network, train: Samples) -> Score:
    """The best model's score on training images without augmentation, or on some of many."""
    order = some_of(train, MEASURED, job.settings.seed)
    train.inputs.start_epoch(0)
    return measure(train.y_true[order], network.predict(train.inputs, order=order))


def _diagnosis(
    job: PhotosPlan, run: Run, network: Network, train: Score, valid: Score, progress: Progress
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
        typed=typed_again(run, job.name),
    )
    return diagnose(train, valid, history, options)


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

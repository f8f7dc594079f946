"""Training: one loop over phases, epochs and batches, and what is kept of it.

A frozen network is never run twice: where nothing below the head trains and nothing augments,
the head trains on the feature store. Else the images go through the whole network.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

from dlcli.assembly import Job, Network, read_inputs, require_layers, to_numpy
from dlcli.augmentation import Augmenter, reseed
from dlcli.backend import start_backend
from dlcli.checkpoint import Progress, has_checkpoint, load_checkpoint, save_checkpoint
from dlcli.errors import DlError, ExitCode
from dlcli.evaluation import accuracy, log_loss
from dlcli.inputs import Inputs
from dlcli.interrupts import between_steps
from dlcli.outcome import keep_outcome
from dlcli.places import shown
from dlcli.progress import Bar, say, track
from dlcli.recipe import Phase
from dlcli.run import Run

# Lines about epochs that a phase prints, if its epochs are quick; slow ones have a line each.
LINES = 12


class Interrupted(DlError):
    """Training was stopped by Ctrl-C and can go on."""

    def __init__(self, run: Run) -> None:
        super().__init__(
            f"Interrupted. Go on with `dl resume {run.name}`.", exit_code=ExitCode.INTERRUPTED
        )


def fit(job: Job, run: Run, inputs: dict[bool, list[Inputs]] | None = None) -> None:
    """Train, from the beginning or from the run's last finished epoch.

    Args:
        job: what to train on what.
        run: where checkpoints, history and the models go.
        inputs: what `first_inputs` gave, for a new run.

    Raises:
        Interrupted: Ctrl-C; the run can be resumed.
        DlError: unreadable images, features that can't be made.
    """
    try:
        run.start()
        start_backend()
        import keras

        keras.utils.set_random_seed(job.settings.seed)
        _train(job, run, inputs or {})
    except KeyboardInterrupt as stop:
        if run.state == "finished":  # only tidying up was cut short
            raise
        _note(run, "interrupted", "Ctrl-C")
        raise Interrupted(run) from stop
    except OSError as error:
        _note(run, "failed", str(error))
        raise DlError(
            f"Training stopped: can't use {shown(error.filename or run.path)}",
            why=error.strerror or str(error),
            hint=f"Mend that, then go on with `dl resume {run.name}`.",
        ) from error
    except BaseException as error:
        _note(run, "failed", str(error))
        raise


def first_inputs(job: Job) -> dict[bool, list[Inputs]]:
    """Train and valid as the first phase needs them; made before there is a run.

    Returns:
        by whether they are features: train, valid.

    Raises:
        DlError: unreadable images, weights that don't fit, more layers to unfreeze than there are.
    """
    if any(phase.unfreeze for phase in job.recipe.phases()):
        start_backend()
        require_layers(job)
    on_features = job.on_features(job.recipe.phases()[0])
    return {on_features: read_inputs(job, on_features)}


def _note(run: Run, state: str, reason: str) -> None:
    """Write down how a run ended; a disk that is full may not take even this."""
    with suppress(OSError):
        run.update_status(state=state, reason=reason)
        run.log(f"{state}: {reason}")


def _train(job: Job, run: Run, inputs: dict[bool, list[Inputs]]) -> None:
    phases = job.recipe.phases()
    saved = load_checkpoint(run.checkpoint) if has_checkpoint(run.checkpoint) else None
    progress = saved[0] if saved else Progress()
    total = sum(phase.schedule.epochs for phase in phases)
    if saved:
        run.write_history(progress.history)
        say(f"Going on after epoch {len(progress.history)} of {total}.")
    for number, phase in enumerate(phases):
        if number < progress.phase:
            continue
        on_features = job.on_features(phase)
        if on_features not in inputs:
            inputs.clear()  # before the next are read: both may not fit into memory
            inputs[on_features] = read_inputs(job, on_features)
        network = Network(job, phase, inputs[on_features][0].shape)
        if saved and progress.phase == number:
            network.assign(saved[1], saved[2])
        elif progress.best_epoch:
            network.assign_best(run.checkpoint, progress)
        if number > progress.phase:
            progress.phase, progress.phase_epochs, progress.since_best = number, 0, 0
        _train_phase(job, run, phase, network, inputs[on_features], progress)
    keep_outcome(job, run, network, inputs[on_features][1], progress)


def _train_phase(
    job: Job,
    run: Run,
    phase: Phase,
    network: Network,
    inputs: list[Inputs],
    progress: Progress,
) -> None:
    """Train one phase's epochs, from where it stopped."""
    import numpy as np

    train, valid = inputs
    seed, recipe = job.settings.seed, job.recipe
    augment = Augmenter(seed) if phase.augment else None
    rates = phase.schedule.rates()
    what = "the stored features" if job.on_features(phase) else "the images"
    if progress.phase_epochs < len(rates):
        say(
            f"Training {phase.name} on {what}: {len(train.y_true):,} images, "
            f"{len(rates)} {'epochs' if len(rates) > 1 else 'epoch'}."
        )
    total = len(rates) * len(train.y_true)
    done = progress.phase_epochs * len(train.y_true)
    with (
        between_steps() as step,
        track(f"Training {phase.name}", total, "images", done=done) as bar,
    ):
        for rate in rates[progress.phase_epochs :]:
            if recipe.early_stopping and progress.since_best >= recipe.early_stopping:
                bar.say(f"Stopped early: epoch {progress.best_epoch} was the best so far.")
                break
            epoch = len(progress.history) + 1
            network.optimizer.learning_rate = rate
            reseed(network.model.variables, seed, epoch)
            if augment:
                augment.start_epoch(epoch)
            order = np.random.default_rng([seed, epoch]).permutation(len(train.y_true))
            totals = {"loss": 0.0, "accuracy": 0.0}
            for x, y in train.batches(order, recipe.batch_size):
                scores = network.model.train_on_batch(
                    augment(x) if augment else x, y, return_dict=True
                )
                for name in totals:
                    totals[name] += float(scores[name]) * len(y)
                bar.advance(len(y))
                step()
            y_prob = network.predict(valid, step)
            if not (math.isfinite(totals["loss"]) and np.isfinite(y_prob).all()):
                raise DlError(
                    f"The numbers have left all bounds in epoch {epoch}",
                    why=f"a learning rate of {rate:g} is too high for this network and data",
                    hint="Train with lower rates: `--schedule`.",
                )
            row = {
                "epoch": epoch,
                "phase": phase.name,
                "learning_rate": rate,
                "loss": _rounded(totals["loss"] / len(order)),
                "accuracy": _rounded(totals["accuracy"] / len(order)),
                "val_loss": _rounded(log_loss(valid.y_true, y_prob)),
                "val_accuracy": _rounded(accuracy(valid.y_true, y_prob)),
            }
            _end_epoch(run, network, progress, row, bar)
            step()


def _end_epoch(
    run: Run, network: Network, progress: Progress, row: dict[str, Any], bar: Bar
) -> None:
    progress.history.append(row)
    progress.phase_epochs += 1
    progress.since_best += 1
    if row["val_loss"] < progress.best_loss:
        progress.best_loss, progress.best_epoch = row["val_loss"], row["epoch"]
        progress.best_phase, progress.since_best = progress.phase, 0
    optimizer = [to_numpy(variable) for variable in network.optimizer.variables]
    save_checkpoint(run.checkpoint, progress, network.weights(), optimizer)
    run.write_history(progress.history)
    run.update_status(epoch=row["epoch"])
    text = (
        f"epoch {row['epoch']:>2}  loss {row['loss']:.4f} valid {row['val_loss']:.4f}  "
        f"accuracy {row['accuracy']:.4f} valid {row['val_accuracy']:.4f}  "
        f"rate {row['learning_rate']:g}"
    )
    # epochs that take a blink would fill the screen: a dozen lines tell as much
    step = math.ceil(len(network.phase.schedule.rates()) / LINES)
    if progress.phase_epochs % step == 0 or bar.silent_seconds > 1:
        bar.say(text)


def _rounded(value: float) -> float:
    """Nine digits: all that a float32 holds."""
    return float(f"{float(value):.9g}")

"""The training loop over phases, epochs and batches, with history and checkpoints.

What differs between kinds of datasets is in the `Job`. The batches of an epoch define the samples,
their order, augmentation and labels.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlcli.backend import seed_all
from dlcli.errors import DlError, ExitCode
from dlcli.evaluation.metrics import rounded
from dlcli.files.paths import shown
from dlcli.images.augmentation import epoch_place, reseed
from dlcli.process import between_steps
from dlcli.progress import Bar, say, track
from dlcli.runs.run import Run
from dlcli.runs.tensorboard import add_events, begin_events
from dlcli.training.checkpoint import (
    STATE,
    Progress,
    has_checkpoint,
    load_checkpoint,
    of_another_network,
    save_checkpoint,
)
from dlcli.training.job import AnyJob, Samples, Targets
from dlcli.training.network import AnyNetwork, to_numpy
from dlcli.training.outcome import keep_outcome
from dlcli.words import count

if TYPE_CHECKING:
    import numpy as np


# Most lines that a phase on stored features prints: its epochs take milliseconds. Where images go
# through the network in every epoch, each epoch has a line.
MOST_LINES = 15

Batch = tuple["np.ndarray", "np.ndarray", "np.ndarray | None"]


class Interrupted(DlError):
    """Training was stopped by Ctrl-C and can be resumed."""

    def __init__(self, run: Run) -> None:
        super().__init__(
            f"Interrupted. To resume: `dl resume {run.name}`.", exit_code=ExitCode.INTERRUPTED
        )


def fit(job: AnyJob, run: Run, samples: list[Any] | None = None) -> None:
    """Train from the beginning or from the run's last finished epoch.

    Args:
        job: recipe, dataset and settings.
        run: the folder for checkpoints, history and models; locked by this process.
        samples: the result of `Job.first_samples`, for a new run.

    Raises:
        Interrupted: Ctrl-C; the run can be resumed.
        DlError: unreadable images, or features that can't be computed.
    """
    try:
        run.start(job.name, job.epochs)
        seed_all(job.settings.seed)
        _train(job, run, samples)
    except KeyboardInterrupt as stop:
        if run.state == "finished":  # interrupted while tidying up
            raise
        _note(run, "interrupted", "Ctrl-C")
        raise Interrupted(run) from stop
    except OSError as error:
        _note(run, "failed", str(error))
        raise DlError(
            f"Training stopped: can't use {shown(error.filename or run.path)}",
            why=error.strerror or str(error),
            hint=f"Mend that, then run `dl resume {run.name}`.",
        ) from error
    except BaseException as error:
        _note(run, "failed", str(error))
        raise


def _note(run: Run, state: str, reason: str) -> None:
    """Record how a run ended, if the disk is not too full even for that."""
    with suppress(OSError):
        run.update_status(state=state, reason=reason)
        run.log(f"{state}: {reason}")


def _train(job: AnyJob, run: Run, samples: list[Any] | None) -> None:
    phases = job.phases
    saved = load_checkpoint(run.checkpoint, job.scores) if has_checkpoint(run.checkpoint) else None
    progress = saved[0] if saved else Progress()
    if saved:
        if max(progress.phase, progress.best_phase) >= len(phases):
            raise of_another_network(run.checkpoint / STATE)
        run.write_history(progress.history)
        done = len(progress.history)
        if done < job.epochs:
            say(f"Resuming after epoch {done} of {job.epochs}.")
        else:
            say("All epochs are done. Saving the results.")
    if job.settings.tensorboard:
        started = run.status["started"]
        begin_events(run.tensorboard, progress.history, started, progress.seconds)
    before = phases[progress.phase]
    samples = samples or job.read_samples(before)
    for number, phase in enumerate(phases):
        if number < progress.phase:
            continue
        if not job.same_samples(before, phase):
            samples.clear()  # before the next are read: memory may not hold both
            samples += job.read_samples(phase)
        before = phase
        network = job.network(phase, samples[0].inputs.shape)
        if saved and progress.phase == number:
            try:
                network.assign(saved[1], saved[2])
            except ValueError as error:
                raise of_another_network(run.checkpoint / STATE) from error
        elif progress.best_epoch:
            network.assign_best(run.checkpoint, progress)
        else:
            job.begin(network, samples[0])
        if number > progress.phase:
            progress.phase, progress.phase_epochs, progress.since_best = number, 0, 0
        _train_phase(job, run, network, samples, progress)
    keep_outcome(job, run, network, samples, progress)


def _train_phase(
    job: AnyJob, run: Run, network: AnyNetwork, samples: list[Any], progress: Progress
) -> None:
    """Train one phase's remaining epochs."""
    phase, train = network.phase, samples[0]
    epochs = len(phase.schedule.rates())
    every = epochs_a_line(epochs) if job.is_quick(phase) else 1
    if progress.phase_epochs < epochs:
        planned = count(epochs, "epoch")
        if every > 1:
            planned += f", shown in steps of {every}"
        say(f"Training {phase.name} on {job.described(phase, train)}, {planned}.")
    first = len(progress.history) - progress.phase_epochs + 1
    with (
        between_steps() as step,
        track(
            f"Training {phase.name}",
            train.labelled,
            f"{job.dataset.noun}s",
            done=progress.phase_epochs * train.labelled,
            epochs=range(first, first + epochs),
        ) as bar,
    ):
        Fit(
            job=job,
            run=run,
            network=network,
            train=train,
            valid=samples[1],
            progress=progress,
            bar=bar,
            step=step,
            every=every,
        ).train_epochs()


@dataclass(frozen=True)
class Fit:
    """The training of one phase, in progress.

    Args:
        progress: the progress of the run, updated by each epoch.
        bar: the progress bar, which counts labelled samples.
        step: called between two batches, where Ctrl-C may stop the run.
        every: how many epochs there are to each line.
    """

    job: AnyJob
    run: Run
    network: AnyNetwork
    train: Samples
    valid: Samples
    progress: Progress
    bar: Bar
    step: Callable[[], None]
    every: int = 1

    def train_epochs(self) -> None:
        """Train and save the remaining epochs, or fewer by early stopping."""
        targets = self.job.targets(self.train)
        rates = self.network.phase.schedule.rates()
        row = None
        for rate in rates[self.progress.phase_epochs :]:
            self._apply_changes()
            patience = self.job.recipe.early_stopping
            if patience and self.progress.since_best >= patience:
                if row and not self._has_line(row):
                    self._tell(row)
                best = self.progress.best_epoch
                self.bar.say(f"Stopped early: epoch {best} is the best so far.")
                break
            row, weights = self._epoch(targets, rate)
            self._keep(row, weights)
            if self._has_line(row):
                self._tell(row)
            self.step()

    def _apply_changes(self) -> None:
        """Apply the changes that `dl resume` recorded for the next epoch."""
        changes = [each for each in self.job.changes if each.after == len(self.progress.history)]
        if any(each.epochs for each in changes):
            self.progress.since_best = 0  # requested epochs are not stopped early at once
        if any(each.optimizer_anew for each in changes):
            self.network.renew_optimizer()

    def _epoch(self, targets: Targets, rate: float) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Train and validate one epoch; returns its row of the history and the weights."""
        import numpy as np

        started = time.perf_counter()
        epoch = len(self.progress.history) + 1
        means = self._train_epoch(targets, epoch, rate)
        with self.network.averaged():
            predicted = self.network.predict(self.valid.inputs, self.step)
            weights = self.network.weights()
        if not (math.isfinite(means["loss"]) and np.isfinite(predicted).all()):
            raise DlError(
                f"Loss or predictions are not finite numbers in epoch {epoch}",
                why=f"a learning rate of {rate:g} is too high for this network and data",
                hint="Train with lower rates: `--lr` or `--schedule`.",
            )
        train = self.job.trained_scores(means)
        valid = self.job.valid_scores(self.valid.y_true, predicted)
        row = {
            "epoch": epoch,
            "phase": self.network.phase.name,
            "learning_rate": rate,
            **{name: rounded(train[name]) for name in self.job.scores},
            **{f"val_{name}": rounded(valid[name]) for name in self.job.scores},
        }
        self.progress.seconds += time.perf_counter() - started
        return row, weights

    def _train_epoch(self, targets: Targets, epoch: int, rate: float) -> dict[str, float]:
        """Train on every sample once; returns the mean loss and metrics while training."""
        self.network.optimizer.learning_rate = rate
        totals: defaultdict[str, float] = defaultdict(float)
        seen = 0
        for batch, chosen in epoch_batches(self.job, self.network, self.train, targets, epoch):
            x, y, weights = batch
            for name, score in self.network.train(x, y, weights).items():
                totals[name] += score * len(chosen)
            seen += len(chosen)
            self.bar.advance(int((chosen < self.train.labelled).sum()))
            self.step()
        return {name: total / seen for name, total in totals.items()}

    def _keep(self, row: dict[str, Any], weights: list[np.ndarray]) -> None:
        """Save an epoch, so that the run can be resumed after it."""
        run, network, progress = self.run, self.network, self.progress
        progress.history.append(row)
        progress.phase_epochs += 1
        progress.since_best += 1
        if row["val_loss"] < progress.best_loss:
            progress.best_loss, progress.best_epoch = row["val_loss"], row["epoch"]
            progress.best_phase, progress.since_best = progress.phase, 0
        optimizer = [to_numpy(variable) for variable in network.optimizer.variables]
        save_checkpoint(run.checkpoint, progress, network.weights(), optimizer, weights)
        run.write_history(progress.history)
        best = progress.history[progress.best_epoch - 1]
        run.update_status(
            epoch=row["epoch"],
            best_epoch=best["epoch"],
            **{f"val_{name}": best[f"val_{name}"] for name in self.job.scores},
        )
        if self.job.settings.tensorboard:
            add_events(run.tensorboard, row)

    def _has_line(self, row: dict[str, Any]) -> bool:
        """Whether an epoch's result is printed: the phase's first and last, and each `every`th."""
        done, planned = self.progress.phase_epochs, len(self.network.phase.schedule.rates())
        return done in (1, planned) or row["epoch"] % self.every == 0

    def _tell(self, row: dict[str, Any]) -> None:
        """Print an epoch's result."""
        scores = (
            f"{name} {row[name]:.4f} valid {row[f'val_{name}']:.4f}" for name in self.job.scores
        )
        self.bar.say(
            f"epoch {row['epoch']:>{len(str(self.job.epochs))}}  {'  '.join(scores)}  "
            f"rate {row['learning_rate']:g}"
        )


def epochs_a_line(epochs: int) -> int:
    """How many epochs of a phase on stored features there are to each line: 1, 2, 5, 10, 20 ..."""
    if epochs <= MOST_LINES:
        return 1
    steps = (step * int(10**zeros) for zeros in itertools.count() for step in (1, 2, 5))
    # the first and the last epoch have a line too
    return next(step for step in steps if epochs <= (MOST_LINES - 2) * step)


def epoch_batches(
    job: AnyJob, network: AnyNetwork, train: Samples, targets: Targets, epoch: int
) -> Iterator[tuple[Batch, np.ndarray]]:
    """The batches of one epoch, the same for the same seed and epoch.

    Args:
        network: its random generators (dropout) are reset for the epoch.
        targets: the result of `Job.targets`.
        epoch: its number, from 1.

    Yields:
        arguments of `train_on_batch`: samples (n, ...), labels (n, ...), weights (n,) or
        None; and the samples' numbers, int (n,).
    """
    import numpy as np

    seed = job.settings.seed
    reseed(network.model.variables, seed, epoch_place(epoch))
    train.inputs.start_epoch(epoch)
    rng = np.random.default_rng([seed, epoch])
    order = train.inputs.shuffled(rng)
    for x, chosen in train.inputs.batches(order, job.batch_size(epoch)):
        yield targets.of(x, chosen, rng), chosen

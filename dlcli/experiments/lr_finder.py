"""Learning-rate range test: a short training with a rate that rises from too low to too high.

Sources: Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3
(arXiv:1506.01186), and fast.ai's `lr_find`, from which the range, the number of steps, the stop at
4 times the best loss and the tenth of the best rate are taken.

A phase that runs the network for each image gets a tenth of the rate with the lowest training loss.
That rule was chosen on 1,602 photos of dogs and cats, with 400 for validation, at 64 pixels. The
table has the suggestions of 10 seeds (3 for `cnn`), and the valid loss of the recipe's schedule at
the middle suggestion and at the recipe's own rate (means of 3 seeds, 2 for `cnn`):

    recipe           suggested               valid loss   at its own rate
    linear           5e-6 to 2e-4, 7e-5      0.642        0.643 (1e-4)
    dense            3e-5 to 1e-4, 7e-5      0.620        0.625 (3e-4)
    cnn              3e-5, 5e-5, none: 4e-5  0.559        0.533 (1e-3)

It is too low for `cnn`, which at 3e-4 had 0.503 (1 seed). The rate of the steepest fall is as good
in the middle, but up to 1e-3 for `linear`, which fails there (0.799), and for some seeds the very
first, because of two batches that differ. fast.ai's "valley" is 0.6 for a seed of `cnn`, at which
nothing is learned.

On stored features that rule fails. With 402 photos of 60 breeds of dogs, the training loss of
`finetune` falls up to a rate of 1 and more, because it learns the photos by heart. Trained at 1,
the valid loss is 5.65; guessing has 4.0. So the validation loss decides there, which costs
milliseconds a step: the suggestion is the rate that goes half the way, from the loss of guessing to
the lowest, in six steps. In a test of 100 steps it is the rate of the half-way step itself. A test
of 300 steps is half-way at a third of that rate, but after the same sum of rates, so that the
suggestion is the same (0.009 for 0.008 on the breeds). The suggestions of 3 seeds, and the valid
loss of the recipe's schedule at the middle one and at the recipe's own rate (means of 2 seeds; of 1
for `fc` and `bn` on dogs and cats):

    recipe                      suggested         valid loss   at its own rate
    finetune, 60 breeds         8e-3, 8e-3, 8e-3  0.471        0.477 (3e-3)
    fc, 60 breeds               2e-3, 2e-3, 2e-3  0.446        0.464 (1e-3)
    bn, 60 breeds               1e-3, 1e-3, 1e-3  0.496        0.565 (3e-4)
    imagenet-linear, 60 breeds  4e-1, 6e-1, 6e-1  0.175        0.356 (1e-1)
    finetune, dogs and cats     2e-3, 3e-3, 3e-3  0.009        0.009 (3e-3)
    fc, dogs and cats           2e-4, 2e-4, 2e-4  0.009        0.003 (1e-3)
    bn, dogs and cats           1e-4, 1e-4, 1e-4  0.005        0.002 (3e-4)
    imagenet-linear, dogs/cats  2e-1, 2, 2e-1     0.020        0.029 (1e-1)

It is too low for `fc` and `bn` on dogs and cats, whose own rates have a third of the loss. There
`imagenet-linear` has 0.011 at the 2 of the odd seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.backend import seed_all
from dlcli.config import Config
from dlcli.evaluation.metrics import rounded
from dlcli.files.formats import write_csv
from dlcli.files.own import require_own
from dlcli.process import between_steps
from dlcli.progress import track
from dlcli.settings.schedule import Schedule
from dlcli.training.fit import epoch_batches
from dlcli.training.job import AnyJob, Samples, some_of
from dlcli.training.kinds import make_job
from dlcli.training.network import AnyNetwork

if TYPE_CHECKING:
    import numpy as np

LOWEST, HIGHEST = 1e-7, 10.0
DIVERGED = 4.0
# Share of the test that the running mean of the loss covers: 10 of 100 steps, a momentum of 0.9.
# fast.ai's 0.98 covers 50; with it the mean is lowest, and the test stops, decades of rates late.
MEMORY = 0.1
LEAST_FALL = 1e-3  # of the loss: when the first losses are equal, rounding must not count as a fall
SAFE = 0.1
# A folder among the dataset's runs; without `status.yaml` it is not a run.
FOLDER = "lr-find"

# Of a phase on stored features: validation images for the loss after each step; the share of that
# loss's fall which counts; the steps in which the suggested rate would go as far. At the middle of
# a test of 100 steps, the sum of all rates so far is six times the last.
WATCHED = 200
HALF = 0.5
STEPS_TO_HALF = 6
CLEAR_FALL = 0.02  # of the loss of guessing


@dataclass(frozen=True)
class RangeTest:
    """The result of a range test: the losses at each rate.

    Args:
        learning_rates: rate of each step, float (n_steps,), rising.
        losses: loss of each step's batch before its update, float (n_steps,).
        smoothed: running mean of the losses, float (n_steps,).
        steps: planned number of steps; there are fewer if the loss diverged.
        valid: loss of validation images after each step, float (n_steps,); None if the phase runs
            the network for each image, so that it would take too long.
        guess_loss: the loss of guessing these images by class frequencies.
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    steps: int
    valid: np.ndarray | None = None
    guess_loss: float = math.nan

    @property
    def _first(self) -> int:
        """The number of first steps, at which the rate is too low to change the loss."""
        return max(2, round(self.steps * MEMORY))

    @property
    def lowest(self) -> int | None:
        """The step with the lowest running mean; None if the loss did not really fall.

        It must be below the first losses by more than these vary between batches. Otherwise a
        network that learns nothing would get the rate of a lucky batch.
        """
        import numpy as np

        count = self._first
        first = self.losses[:count]
        if not np.isfinite(first).all() or len(self.losses) <= count:
            return None
        means = np.where(np.isnan(self.smoothed), np.inf, self.smoothed)
        step = count + int(np.argmin(means[count:]))
        return step if first.mean() - means[step] > self._noise else None

    @property
    def half(self) -> int | None:
        """The step after which the validation loss has made half of its fall; None without a fall.

        The fall counts from the loss of guessing: random first weights may begin above it.
        """
        import numpy as np

        if self.valid is None or not np.isfinite(self.valid[: self._first]).all():
            return None
        losses = np.where(np.isfinite(self.valid), self.valid, np.inf)
        start = min(float(losses[0]), self.guess_loss)
        fall = start - float(losses.min())
        if fall <= CLEAR_FALL * self.guess_loss:
            return None
        return int(np.argmax(losses < start - HALF * fall))

    @property
    def marked(self) -> int | None:
        """The step from which the suggestion is computed; None without a suggestion."""
        return self.lowest if self.valid is None else self.half

    @property
    def _noise(self) -> float:
        """How much the loss varies between the first batches."""
        first = self.losses[: self._first]
        return float(max(first.std(), LEAST_FALL * first.mean()))

    @property
    def open_ended(self) -> bool:
        """Whether the loss fell and never rose again, so that no rate proved too high."""
        if self.valid is not None or self.lowest is None or len(self.losses) < self.steps:
            return False
        return bool(self.smoothed[-1] - self.smoothed[self.lowest] <= self._noise)

    @property
    def broke_at(self) -> float | None:
        """The rate at which the loss became not a number, while rates were still low."""
        import numpy as np

        broken = np.flatnonzero(~np.isfinite(self.losses[: self._first]))
        return float(self.learning_rates[broken[0]]) if len(broken) else None

    @property
    def why_none(self) -> str:
        """Why there is no suggestion."""
        if self.broke_at is not None:
            return f"the loss is not a number at a rate as low as {self.broke_at:.1e}"
        if self.valid is not None:
            return "the validation loss never fell clearly below that of guessing"
        return "the loss never fell by more than it varies from batch to batch"

    @property
    def suggestion(self) -> float | None:
        """The suggested rate, with one significant digit; None if the loss did not fall."""
        if self.marked is None:
            return None
        if self.valid is None:
            return _one_digit(SAFE * self.learning_rates[self.marked])
        return _one_digit(self._rate_to_half(self.valid, self.marked))

    def _rate_to_half(self, valid: np.ndarray, half: int) -> float:
        """The rate that goes as far in six steps as the test did, whatever its number of steps.

        It is below the first rate after which the validation loss was again that of guessing.
        """
        import numpy as np

        rate = float(self.learning_rates[: half + 1].sum()) / STEPS_TO_HALF
        wrecked = np.flatnonzero(~(valid[half:] < self.guess_loss))
        if not len(wrecked):
            return rate
        return min(rate, float(self.learning_rates[half + wrecked[0] - 1]))


@dataclass(frozen=True)
class Found:
    """A range test and its files.

    Args:
        schedule: the recipe's, its highest rate the suggested one; None where none is.
        table: the numbers behind it.
    """

    test: RangeTest
    schedule: Schedule | None
    figure: Path
    table: Path


def find_learning_rate(config: Config, recipe_name: str, root: Path, steps: int) -> Found:
    """Run a range test of a recipe's first phase on a dataset, and save the result.

    Args:
        root: the dataset's folder.
        steps: see `range_test`.

    Raises:
        DlError: as for training; the folder of the results is a link.
        KeyboardInterrupt: Ctrl-C; nothing is saved.
    """
    from dlcli.report.figures import draw_range

    job = make_job(config, recipe_name, root)
    folder = job.settings.runs_dir / job.dataset.name / FOLDER
    require_own(folder, folder.parent, folder=True)
    test = range_test(job, steps)
    folder.mkdir(parents=True, exist_ok=True)
    figure, table = (folder / f"{recipe_name}.{suffix}" for suffix in ("png", "csv"))
    columns = {
        "learning_rate": test.learning_rates,
        "loss": test.losses,
        "smoothed": test.smoothed,
    }
    if test.valid is not None:
        columns["valid_loss"] = test.valid
    values = zip(*columns.values(), strict=True)
    rows = [[step, *map(rounded, row)] for step, row in enumerate(values, start=1)]
    write_csv(table, [["step", *columns], *rows])
    draw_range(
        figure,
        f"{recipe_name} on {job.dataset.name}",
        test.learning_rates,
        test.losses,
        test.smoothed if test.valid is None else test.valid,
        label="running mean" if test.valid is None else "validation images",
        marked=test.marked,
        mark="lowest" if test.valid is None else "half of the fall",
        suggestion=test.suggestion,
    )
    return Found(test, _suggested_schedule(job, test), figure, table)


def range_test(job: AnyJob, steps: int) -> RangeTest:
    """Train a recipe's first phase with a rate that rises by a constant factor at each step.

    The batches are those of training, if memory holds the samples. The test ends early when the
    running mean of the loss exceeds 4 times its lowest value, or is not a number. On stored
    features the validation loss takes the place of the running mean.

    Args:
        job: the job of the training.
        steps: number of steps, at least 10.

    Raises:
        DlError: unreadable images, features that can't be computed, weights that don't fit.
        KeyboardInterrupt: Ctrl-C.
    """
    import numpy as np

    phase = job.recipe.phases()[0]
    splits = ("train", "valid") if job.is_watched(phase) else ("train",)
    train, *watched = job.read_samples(phase, splits)
    seed_all(job.settings.seed)
    network = job.network(phase, train.inputs.shape)
    job.begin(network, train)
    rates = np.geomspace(LOWEST, HIGHEST, steps)
    losses: list[float] = []
    mean = RunningMean(1 - 1 / max(1.0, MEMORY * steps))
    smoothed: list[float] = []
    watch = ValidLosses(job, network, watched[0]) if watched else None
    ended_by = watch.losses if watch else smoothed
    batches = _batches(job, network, train)
    with between_steps() as step, track("Trying rates", steps, "steps") as bar:
        for rate in rates:
            network.optimizer.learning_rate = float(rate)
            losses.append(network.train(*next(batches))["loss"])
            smoothed.append(mean.add(losses[-1]))
            if watch:
                watch.add()
            bar.advance()
            step()
            if not ended_by[-1] <= DIVERGED * min(ended_by):  # false for NaN too
                break
    return RangeTest(
        learning_rates=rates[: len(losses)],
        losses=np.array(losses),
        smoothed=np.array(smoothed),
        steps=steps,
        valid=np.array(watch.losses) if watch else None,
        guess_loss=watch.guess_loss if watch else math.nan,
    )


class ValidLosses:
    """The losses of the same few validation samples after each step."""

    def __init__(self, job: AnyJob, network: AnyNetwork, valid: Samples) -> None:
        self._job, self._network, self._inputs = job, network, valid.inputs
        self._order = some_of(valid, WATCHED, job.settings.seed)
        self._y_true = valid.y_true[self._order]
        self.guess_loss = job.guess_loss(self._y_true)
        self.losses: list[float] = []

    def add(self) -> None:
        """Measure the loss of the present weights; NaN where predictions are not numbers."""
        import numpy as np

        predicted = self._network.predict(self._inputs, order=self._order)
        finite = bool(np.isfinite(predicted).all())
        scores = self._job.valid_scores(self._y_true, predicted) if finite else {}
        self.losses.append(scores.get("loss", math.nan))


class RunningMean:
    """An exponentially weighted mean, corrected for its start at 0 (Kingma & Ba 2015).

    Args:
        momentum: the weight of earlier values, from 0 to below 1.
    """

    def __init__(self, momentum: float) -> None:
        self._momentum, self._sum, self._weight = momentum, 0.0, 0.0

    def add(self, value: float) -> float:
        """Add a value; returns the mean so far."""
        self._sum = self._momentum * self._sum + (1 - self._momentum) * value
        self._weight = self._momentum * self._weight + (1 - self._momentum)
        return self._sum / self._weight


def _batches(
    job: AnyJob, network: AnyNetwork, train: Samples
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """The batches of training, epoch after epoch, in their order and with their augmentation."""
    from itertools import count

    targets = job.targets(train)
    for epoch in count(1):
        for batch, _ in epoch_batches(job, network, train, targets, epoch):
            yield batch


def _suggested_schedule(job: AnyJob, test: RangeTest) -> Schedule | None:
    if test.suggestion is None:
        return None
    highest = max(rate for rate, _ in job.recipe.phases()[0].schedule.steps)
    return job.recipe.schedule.scaled(test.suggestion / highest)


def _one_digit(rate: float) -> float:
    return float(f"{rate:.0e}")

"""Learning-rate range test: a short training with a rate that rises from too low to too high.

Sources: Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3
(arXiv:1506.01186), and fast.ai's `lr_find`, from which the range, the number of steps, the stop at
4 times the best loss and the tenth of the best rate are taken.

The rule, a tenth of the rate with the lowest loss, was chosen on 1,602 photos of dogs and cats,
with 400 for validation. The table has the suggestions of 10 seeds (3 for `cnn`; 64 pixels for the
first three), and the valid loss of the recipe's schedule at the middle suggestion and at the
recipe's own rate (means of 3 seeds, 2 for `cnn`):

    recipe           suggested               valid loss   at its own rate
    linear           5e-6 to 2e-4, 7e-5      0.642        0.643 (1e-4)
    dense            3e-5 to 1e-4, 7e-5      0.620        0.625 (3e-4)
    cnn              3e-5, 5e-5, none: 4e-5  0.559        0.533 (1e-3)
    finetune         1e-2 to 1e-1, 5e-2      0.010        0.013 (3e-3)
    imagenet-linear  2e-1 to 1, 2e-1         0.035        0.045 (1e-1)

It is too low for `cnn`, which at 3e-4 had 0.503 (1 seed); the highest for `finetune` is a bit too
high (0.022). The rate of the steepest fall is as good in the middle, but up to 1e-3 for `linear`,
which fails there (0.799), and for some seeds the very first, because of two batches that differ.
fast.ai's "valley" is 1e-2 for `imagenet-linear` (0.322), and 0.6 for a seed of `cnn`, at which
nothing is learned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.backend import seed_all
from dlcli.config import Config
from dlcli.evaluation.metrics import rounded
from dlcli.files.formats import write_csv
from dlcli.process import between_steps
from dlcli.progress import track
from dlcli.settings.schedule import Schedule
from dlcli.training.build import Network, begin
from dlcli.training.fit import epoch_batches, targets_of
from dlcli.training.job import Job, Samples, make_job, read_samples

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


@dataclass(frozen=True)
class RangeTest:
    """The result of a range test: the loss at each rate.

    Args:
        learning_rates: rate of each step, float (n_steps,), rising.
        losses: loss of each step's batch before its update, float (n_steps,).
        smoothed: running mean of the losses, float (n_steps,).
        steps: planned number of steps; there are fewer if the loss diverged.
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    steps: int

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
    def _noise(self) -> float:
        """How much the loss varies between the first batches."""
        first = self.losses[: self._first]
        return float(max(first.std(), LEAST_FALL * first.mean()))

    @property
    def open_ended(self) -> bool:
        """Whether the loss fell and never rose again, so that no rate proved too high."""
        if self.lowest is None or len(self.losses) < self.steps:
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
        return "the loss never fell by more than it varies from batch to batch"

    @property
    def suggestion(self) -> float | None:
        """The suggested rate, with one significant digit; None if the loss did not fall."""
        return None if self.lowest is None else _one_digit(SAFE * self.learning_rates[self.lowest])


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
        DlError: as for training.
        KeyboardInterrupt: Ctrl-C; nothing is saved.
    """
    from dlcli.report.figures import draw_range

    job = make_job(config, recipe_name, root)
    test = range_test(job, steps)
    folder = job.settings.runs_dir / job.dataset.name / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    figure, table = (folder / f"{recipe_name}.{suffix}" for suffix in ("png", "csv"))
    columns = (test.learning_rates, test.losses, test.smoothed)
    rows = [
        [step, *map(rounded, values)] for step, values in enumerate(zip(*columns, strict=True), 1)
    ]
    write_csv(table, [["step", "learning_rate", "loss", "smoothed"], *rows])
    draw_range(
        figure,
        f"{recipe_name} on {job.dataset.name}",
        test.learning_rates,
        test.losses,
        test.smoothed,
        lowest=test.lowest,
        suggestion=test.suggestion,
    )
    return Found(test, _suggested_schedule(job, test), figure, table)


def range_test(job: Job, steps: int) -> RangeTest:
    """Train a recipe's first phase with a rate that rises by a constant factor at each step.

    The batches are those of training, if memory holds the samples. The test ends early when the
    running mean of the loss exceeds 4 times its lowest value, or is not a number.

    Args:
        job: the job of the training.
        steps: number of steps, at least 10.

    Raises:
        DlError: unreadable images, features that can't be computed, weights that don't fit.
        KeyboardInterrupt: Ctrl-C.
    """
    import numpy as np

    phase = job.recipe.phases()[0]
    (train,) = read_samples(job, phase, ("train",))
    seed_all(job.settings.seed)
    network = Network(job, phase, train.inputs.shape)
    begin(job, network, train)
    rates = np.geomspace(LOWEST, HIGHEST, steps)
    losses: list[float] = []
    mean = RunningMean(1 - 1 / max(1.0, MEMORY * steps))
    smoothed: list[float] = []
    batches = _batches(job, network, train)
    with between_steps() as step, track("Trying rates", steps, "steps") as bar:
        for rate in rates:
            network.optimizer.learning_rate = float(rate)
            scores = network.model.train_on_batch(*next(batches), return_dict=True)
            losses.append(float(scores["loss"]))
            smoothed.append(mean.add(losses[-1]))
            bar.advance()
            step()
            if not smoothed[-1] <= DIVERGED * min(smoothed):  # false for NaN too
                break
    return RangeTest(rates[: len(losses)], np.array(losses), np.array(smoothed), steps)


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
    job: Job, network: Network, train: Samples
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """The batches of training, epoch after epoch, in their order and with their augmentation."""
    from itertools import count

    targets = targets_of(job, train)
    for epoch in count(1):
        for batch, _ in epoch_batches(job, network, train, targets, epoch):
            yield batch


def _suggested_schedule(job: Job, test: RangeTest) -> Schedule | None:
    if test.suggestion is None:
        return None
    highest = max(rate for rate, _ in job.recipe.phases()[0].schedule.steps)
    return job.recipe.schedule.scaled(test.suggestion / highest)


def _one_digit(rate: float) -> float:
    return float(f"{rate:.0e}")

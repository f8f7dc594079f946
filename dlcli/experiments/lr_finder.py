"""Finding a learning rate: a short training in which the rate grows from too low to too high.

Sources: Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3
(arXiv:1506.01186), and fast.ai's `lr_find`, from which the range, the number of steps, the stop at
4 times the best loss and the tenth of the best rate are.

The rule, a tenth of the rate at which the loss was lowest, was chosen on 1,602 photos of dogs and
cats, and 400 to judge on. Below is what 10 seeds suggest (3 of `cnn`; 64 pixels for the first
three), and the valid loss of a training with the recipe's schedule at the middle one, and at the
recipe's own rate (means of 3 seeds, 2 of `cnn`):

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
# How much of the test the running mean of the loss reaches back: 10 of 100 steps, by a momentum of
# 0.9. fast.ai's 0.98 reaches back 50; with it the mean is lowest, and the test stops, decades late.
MEMORY = 0.1
LEAST_FALL = 1e-3  # of the loss: where the first batches all have the same, rounding is no fall
SAFE = 0.1
# Stands among the dataset's runs, and without `status.yaml` is none.
FOLDER = "lr-find"


@dataclass(frozen=True)
class RangeTest:
    """What happened to the loss while the rate grew.

    Args:
        learning_rates: of each step, float (n_steps,), rising.
        losses: of each step's batch, before the step changed anything, float (n_steps,).
        smoothed: their running mean, float (n_steps,).
        steps: how many there should have been; fewer if the loss left all bounds.
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    steps: int

    @property
    def _first(self) -> int:
        """How many steps show what the loss is before anything changes."""
        return max(2, round(self.steps * MEMORY))

    @property
    def lowest(self) -> int | None:
        """The step at which the running mean was lowest; None where that shows nothing.

        It has to lie below the first losses, whose rates change nothing yet, by more than these
        differ between batches: else a network that learns nothing gets the rate of a lucky batch.
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
        """By how much the loss differs between batches while nothing changes."""
        first = self.losses[: self._first]
        return float(max(first.std(), LEAST_FALL * first.mean()))

    @property
    def open_ended(self) -> bool:
        """Whether the loss fell and never rose again, so that no rate was shown to be too high."""
        if self.lowest is None or len(self.losses) < self.steps:
            return False
        return bool(self.smoothed[-1] - self.smoothed[self.lowest] <= self._noise)

    @property
    def broke_at(self) -> float | None:
        """The rate at which the loss was no number, before any could have changed much."""
        import numpy as np

        broken = np.flatnonzero(~np.isfinite(self.losses[: self._first]))
        return float(self.learning_rates[broken[0]]) if len(broken) else None

    @property
    def why_none(self) -> str:
        """Why there is no suggestion, where there is none."""
        if self.broke_at is not None:
            return f"the loss is no number at a rate as low as {self.broke_at:.1e}"
        return "the loss never fell by more than it differs from batch to batch"

    @property
    def suggestion(self) -> float | None:
        """A rate to train with, of one significant digit; None where the loss did not fall."""
        return None if self.lowest is None else _one_digit(SAFE * self.learning_rates[self.lowest])


@dataclass(frozen=True)
class Found:
    """A test, and where it is written down.

    Args:
        schedule: the recipe's, its highest rate the suggested one; None where none is.
        table: the numbers behind it.
    """

    test: RangeTest
    schedule: Schedule | None
    figure: Path
    table: Path


def find_learning_rate(config: Config, recipe_name: str, root: Path, steps: int) -> Found:
    """Test a recipe's first phase on a dataset, and write down what came of it.

    Args:
        root: the dataset's folder.
        steps: see `range_test`.

    Raises:
        DlError: what could not be trained either.
        KeyboardInterrupt: Ctrl-C; nothing is written.
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
    """Train a recipe's first phase, the rate growing by a constant factor with each step.

    Its batches are those of training, where memory holds the samples. The test ends early where the
    running mean of the loss exceeds 4 times its best or is no number any more.

    Args:
        job: what to train on what.
        steps: how many, at least 10.

    Raises:
        DlError: unreadable images, features that can't be made, weights that don't fit.
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
            if not smoothed[-1] <= DIVERGED * min(smoothed):  # what is no number is not below any
                break
    return RangeTest(rates[: len(losses)], np.array(losses), np.array(smoothed), steps)


class RunningMean:
    """An exponentially weighted mean, corrected for its beginning at 0 (Kingma & Ba 2015).

    Args:
        momentum: the weight of what was before, from 0 to below 1.
    """

    def __init__(self, momentum: float) -> None:
        self._momentum, self._sum, self._weight = momentum, 0.0, 0.0

    def add(self, value: float) -> float:
        """Take in a value; the mean of all so far."""
        self._sum = self._momentum * self._sum + (1 - self._momentum) * value
        self._weight = self._momentum * self._weight + (1 - self._momentum)
        return self._sum / self._weight


def _batches(
    job: Job, network: Network, train: Samples
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """The batches of training, pass after pass, in the order and the changes of its epochs."""
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

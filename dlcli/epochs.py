"""The batches of an epoch: which samples, in which order, changed how, towards which labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dlcli.assembly import Network
from dlcli.images.augmentation import epoch_place, reseed
from dlcli.job import Job, Samples
from dlcli.targets import Targets

if TYPE_CHECKING:
    import numpy as np

Batch = tuple["np.ndarray", "np.ndarray", "np.ndarray | None"]


def targets_of(job: Job, train: Samples) -> Targets:
    """What the samples are trained towards, as the recipe wants it."""
    return Targets(
        train.y_prob,
        labelled=train.labelled,
        label_smoothing=job.recipe.label_smoothing,
        mixup=job.recipe.mixup,
        weigh_classes=job.recipe.class_weights,
    )


def epoch_batches(
    job: Job, network: Network, train: Samples, targets: Targets, epoch: int
) -> Iterator[tuple[Batch, np.ndarray]]:
    """One look at every sample, the same for the same seed and epoch.

    Args:
        job: seed and batch size.
        network: its generators, of dropout, are set to the epoch's beginning.
        train: the samples.
        targets: what `targets_of` gave.
        epoch: its number, from 1.

    Yields:
        what `train_on_batch` takes: samples (n, ...), labels (n, n_classes), weights (n,) or None;
        and the samples' numbers, int (n,).
    """
    import numpy as np

    seed = job.settings.seed
    reseed(network.model.variables, seed, epoch_place(epoch))
    train.inputs.start_epoch(epoch)
    rng = np.random.default_rng([seed, epoch])
    order = train.inputs.shuffled(rng)
    for x, chosen in train.inputs.batches(order, job.batch_size(epoch)):
        yield targets.of(x, chosen, rng), chosen

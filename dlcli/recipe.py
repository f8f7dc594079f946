"""What a recipe is, and everything that its file imports: `Recipe`, `Schedule`, `setting`.

A recipe is one file (`dlcli.catalog` finds it): a frozen dataclass whose fields are the
hyperparameters, with a method that builds the model's head. The command-line options, `dl recipes`,
the YAML keys, the run's name and the docs are made from it.

A recipe is for one kind of dataset: a `Recipe` is for photos, a `RatingRecipe` for ratings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dlcli.errors import DlError, ExitCode
from dlcli.settings.fields import plain, setting, settings_of
from dlcli.settings.schedule import Schedule

if TYPE_CHECKING:
    import keras
    import numpy as np

    from dlcli.evaluation.baselines import Biases

# Names for a recipe's file to import.
__all__ = [
    "MOMENTUM",
    "Beginning",
    "Phase",
    "RatingFacts",
    "RatingRecipe",
    "Recipe",
    "Schedule",
    "rates",
    "setting",
]

# Momentum of batch normalisation's running averages, which a network uses to predict. Keras' 0.99
# takes some hundred steps to follow: after a few epochs on 1,500 images the network would still use
# the averages that it began with, and predict no better than chance.
MOMENTUM = 0.9

# What a new head on stored features needs, see `Recipe.fitted`: steps for two classes, and more for
# each further class; no more epochs than this for it.
STEPS, STEPS_A_CLASS, MOST_EPOCHS = 200, 10, 200

# Steps in an epoch of ratings, see `RatingRecipe.fitted`. In larger batches than these, memory and
# the gathering of rows cost more than the tables do.
STEPS_AN_EPOCH, MOST_RATINGS_A_STEP = 10, 65_536


def rates(default: str) -> Any:
    """The setting of a recipe's schedule.

    Args:
        default: as people write it: `1e-3x2,1e-4x4`.
    """
    words = "rates and epochs: 1e-3x2,1e-4x4 is 2 epochs at 1e-3, then 4 at 1e-4"
    return setting(Schedule.parse(default), words)


@dataclass(frozen=True)
class Phase:
    """A part of training in which the same layers train on the same kind of input.

    Args:
        name: its name in messages and in `history.csv`.
        schedule: learning rates and epochs.
        augment: whether the images are changed at random in every epoch, see `Augmentation`.
        unfreeze: how many of the backbone's last layers with weights also train.
        freeze_to: the backbone's first layer that trains, in place of a number.
        layer_decay: rate of each layer below the head, as a share of the next layer up.
    """

    name: str
    schedule: Schedule
    augment: bool = False
    unfreeze: int = 0
    freeze_to: str | None = None
    layer_decay: float = 1.0

    @property
    def trains_backbone(self) -> bool:
        """Whether layers below the head train."""
        return bool(self.unfreeze or self.freeze_to)


@dataclass(frozen=True)
class Beginning:
    """What a head may take its first weights from. Each part is made when it is called.

    Args:
        top: the pretrained network's own layers above its convolutions; None if its file of
            weights lacks them.
        sample: some of the head's training inputs, float32 (n, *input_shape).
        carried: names of the head's layers that already have a finished run's weights.
    """

    top: Callable[[], keras.Model | None]
    sample: Callable[[], np.ndarray]
    carried: frozenset[str] = frozenset()


@dataclass(frozen=True)
class AnyRecipe:
    """The hyperparameters that recipes for every kind of dataset have."""

    schedule: Schedule = rates("1e-3x1")
    batch_size: int = setting(64, "samples per step", at_least=1, below=1_000_001)
    early_stopping: int | None = setting(
        None,
        "end a phase after this many epochs without a lower validation loss; by default never",
        at_least=1,
    )
    ema: float | None = setting(
        None,
        "validate and save exponential moving averages of the weights; the value is their "
        "momentum, such as 0.99",
        at_least=0,
        below=1,
    )
    mixed_precision: bool = setting(
        False, "compute in 16 bits where that is enough; faster on a GPU"
    )
    init_from: str | None = setting(
        None, "begin with the weights of this run, in layers with the same name", metavar="RUN"
    )

    # Settings that the recipe fixes: {"backbone": "vgg16"}.
    pinned: ClassVar[Mapping[str, Any]] = {}
    # The commands that train a simpler and a richer model, if the course has one.
    simpler: ClassVar[str | None] = None
    richer: ClassVar[str | None] = None

    @property
    def augments(self) -> bool:
        """Whether the samples are changed at random, so that the settings of that count."""
        return False

    @property
    def needed_runs(self) -> tuple[str, ...]:
        """The runs without which it can't train, as they are named."""
        return (self.init_from,) if self.init_from else ()

    def optimizer(self, learning_rate: float) -> keras.Optimizer:
        """Build the optimizer; Adam (Kingma & Ba 2015) unless a recipe says otherwise."""
        from keras import optimizers

        return optimizers.Adam(learning_rate)

    def phases(self) -> tuple[Phase, ...]:
        """The phases of training, in order."""
        return (Phase("model", self.schedule),)

    def telling(self) -> tuple[str, ...]:
        """Up to four values that distinguish runs of this recipe, for the run's name."""
        return (f"e{self.schedule.epochs}", f"lr{self.schedule.steps[0][0]:g}")

    def hyperparameters(self) -> dict[str, Any]:
        """Every hyperparameter by name, as plain values."""
        return {name: plain(getattr(self, name)) for name in settings_of(type(self))}


@dataclass(frozen=True)
class Recipe(AnyRecipe):
    """The hyperparameters that every recipe for photos has; a recipe's class adds its own."""

    batch_size: int = setting(64, "images per step", at_least=1, below=1_000_001)
    augment: bool = setting(False, "random augmentation, new in every epoch")
    augment_passes: int = setting(
        0,
        "with --augment on a pretrained network: store features of this many augmented copies, "
        "and use another copy in each epoch; 0: new augmentation in every epoch",
        at_least=0,
        below=1000,
    )
    label_smoothing: float = setting(
        0.0, "share of each label to spread over all classes", at_least=0, below=1
    )
    mixup: float = setting(
        0.0,
        "mix samples in pairs; the value is alpha of the Beta distribution, such as 0.2",
        at_least=0,
    )
    class_weights: bool = setting(False, "weight images so that every class counts the same")
    pseudo_label: str | None = setting(
        None, "also train on the test images, with this run's predictions as labels", metavar="RUN"
    )
    pseudo_share: float = setting(
        0.25, "with --pseudo-label, share of test images in each batch", at_least=0.01, below=1
    )

    # The backbone's layer that the head sits on (see `dl features --layer`); None if the head gets
    # the pixels themselves.
    layer: ClassVar[str | None] = "pooled"
    # Whether small datasets and many classes get more epochs than `schedule` has by default.
    fits: ClassVar[bool] = False
    # Pixels a side if the head gets the pixels, unless `image_size` is set.
    image_size: ClassVar[int] = 64

    def __post_init__(self) -> None:
        """Refuse values that contradict each other. Each value alone is checked where it is read.

        Raises:
            DlError: which values contradict each other.
        """
        if self.augment_passes and (self.layer is None or not self.augment):
            without = "a pretrained network" if self.layer is None else "`--augment`"
            raise DlError(
                f"`--augment-passes` has no effect without {without}",
                hint="Add `--augment`, or leave `--augment-passes` out."
                if self.layer
                else "Leave it out.",
                exit_code=ExitCode.USAGE,
            )

    def fitted(self, images: int, classes: int) -> Self:
        """The recipe with as many epochs as a dataset needs, in place of the default number.

        A step sees `batch_size` images, so an epoch of a small dataset has few steps, and with many
        classes few of a step's images show each class. The schedule gets at least 200 steps, and 10
        more for each class beyond two, in the same proportions, but never more than 200 epochs. A
        phase that runs the backbone for each image keeps the default: it would take too long.

        Means of 4 random splits of 507 photos of 60 breeds of dogs and 3 of 2,002 photos of dogs
        and cats (EfficientNet-Lite0), the best epoch's valid log loss at the default number of
        epochs, then at these:

        | train images, classes | finetune      | fc            | bn            | imagenet-linear |
        | 20, 2                 | 0.272   0.068 | 0.110   0.052 | 0.311   0.054 | 0.424   0.112   |
        | 200, 2                | 0.055   0.033 | 0.028   0.025 | 0.028   0.014 | 0.198   0.074   |
        | 66, 10                | 0.864   0.207 | 0.634   0.121 | 0.903   0.161 | 1.400   0.134   |
        | 198, 30               | 0.828   0.303 | 0.815   0.228 | 1.166   0.349 | 1.976   0.306   |
        | 177, 60               | 1.653   0.708 | 2.147   0.609 | 2.678   0.973 | 3.037   0.480   |
        | 402, 60               | 0.781   0.381 | 0.841   0.313 | 1.309   0.473 | 2.280   0.346   |

        With 1,602 images of two classes, the default has more steps and stays.
        """
        if not self.fits or (self.augment and not self.augment_passes):
            return self
        steps = STEPS + STEPS_A_CLASS * max(0, classes - 2)
        needed = min(MOST_EPOCHS, math.ceil(steps / math.ceil(images / self.batch_size)))
        if needed <= self.schedule.epochs:
            return self
        return replace(self, schedule=self.schedule.with_epochs(needed))

    def head(self, input_shape: tuple[int, ...], n_classes: int) -> keras.Model:
        """Build the layers to train: (n, *input_shape) -> (n, n_classes) probabilities."""
        raise NotImplementedError

    def begin(self, head: keras.Model, beginning: Beginning) -> None:
        """Give a new head its first weights, if they are not to be random.

        Raises:
            DlError: the weights don't fit.
        """

    @property
    def augments(self) -> bool:
        """Whether images are augmented."""
        return self.augment

    @property
    def needed_runs(self) -> tuple[str, ...]:
        """The runs of `init_from` and `pseudo_label`."""
        return tuple(filter(None, (self.init_from, self.pseudo_label)))

    def phases(self) -> tuple[Phase, ...]:
        """The phases of training, in order."""
        return (Phase("model", self.schedule, self.augment),)

    def telling(self) -> tuple[str, ...]:
        """Up to four values that distinguish runs of this recipe, for the run's name."""
        return (*super().telling(), "aug") if self.augment else super().telling()


@dataclass(frozen=True)
class RatingFacts:
    """What a network for ratings is built for: facts of the training ratings.

    Args:
        user_counts, item_counts: how many ratings each number has, int (numbers,). Number 0 is an
            unknown user or item, and has none.
        least, most: the ends of the scale.
        biases: the bias model of the ratings.
    """

    user_counts: np.ndarray
    item_counts: np.ndarray
    least: float
    most: float
    biases: Biases

    @property
    def ratings(self) -> int:
        """How many ratings there are."""
        return int(self.user_counts.sum())

    @property
    def mean(self) -> float:
        """The mean rating."""
        return self.biases.mean


@dataclass(frozen=True)
class RatingRecipe(AnyRecipe):
    """The hyperparameters that every recipe for ratings has; a recipe's class adds its own."""

    batch_size: int = setting(
        8192,
        "ratings per step; by default about a tenth of the training ratings, at most 65,536",
        at_least=1,
        below=1_000_001,
    )

    def fitted(self, ratings: int) -> Self:
        """The recipe with a batch size that suits a dataset, in place of the default one.

        A step costs the same for any number of ratings until the batch is as large as the tables,
        because L2 and Adam change each row of a table in each step. So batches are large: the power
        of 2 with which an epoch has about ten steps, as with the default on MovieLens' 80,003
        training ratings.
        """
        fitting = 2 ** round(math.log2(max(1, ratings / STEPS_AN_EPOCH)))
        return replace(self, batch_size=min(fitting, MOST_RATINGS_A_STEP))

    def model(self, facts: RatingFacts) -> keras.Model:
        """Build the network to train, with its first weights.

        Its input is `pairs`, int32 (n, 2): numbers of user and item; its output the predicted
        ratings, float32 (n, 1). A number without training ratings is predicted as number 0.
        """
        raise NotImplementedError


# For each kind of dataset the class that its recipes derive from, and the method in which these
# build their network. A table, because a recipe's class may have a setting of any name.
KINDS: Mapping[str, tuple[type[AnyRecipe], str]] = {
    "photos": (Recipe, "head"),
    "ratings": (RatingRecipe, "model"),
}


def kind_for(cls: type[AnyRecipe]) -> str:
    """The kind of dataset that a recipe's class is for."""
    return next(kind for kind, (base, _) in KINDS.items() if issubclass(cls, base))

"""What a recipe is.

A recipe is one file (`dlcli.catalog` finds it): a frozen dataclass whose fields are the
hyperparameters, and a method that builds the model's head. From that one source come the
command-line options, `dl recipes`, the YAML, the run's name and the docs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dlcli.fields import plain, setting, settings_of
from dlcli.schedule import Schedule

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Phase:
    """A stretch of training in which the same layers train on the same kind of input.

    Args:
        name: shown, and written in `history.csv`.
        schedule: learning rates and epochs.
        unfreeze: how many of the backbone's last layers with weights train too.
        augment: whether every epoch sees the images flipped, shifted and turned anew.
    """

    name: str
    schedule: Schedule
    unfreeze: int = 0
    augment: bool = False

    @property
    def frozen(self) -> bool:
        """Whether each image gives the same features in every epoch, so that a store serves."""
        return not self.unfreeze and not self.augment


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters that every recipe has; a recipe's own class adds to them."""

    schedule: Schedule = setting(
        Schedule(((1e-3, 1),)), "learning rates and epochs, such as 1e-3x2,1e-4x2"
    )
    batch_size: int = setting(64, "images per step", at_least=1)
    early_stopping: int | None = setting(
        None, "stop after this many epochs without a better valid loss", at_least=1
    )

    # The layer of the backbone that the head sits on (see `dl features --layer`); None where the
    # head sees the pixels themselves.
    layer: ClassVar[str | None] = "pooled"
    # Settings that the recipe fixes: {"backbone": "vgg16"}.
    pinned: ClassVar[Mapping[str, Any]] = {}
    # Pixels a side where the head sees the pixels, unless `image_size` says otherwise.
    image_size: ClassVar[int] = 64

    def head(self, input_shape: tuple[int, ...], n_classes: int) -> keras.Model:
        """Build what is trained: (n, *input_shape) -> (n, n_classes) probabilities."""
        raise NotImplementedError

    def optimizer(self, learning_rate: float) -> keras.Optimizer:
        """Build the optimizer; Adam (Kingma & Ba 2015) unless a recipe says otherwise."""
        from keras import optimizers

        return optimizers.Adam(learning_rate)

    def phases(self) -> tuple[Phase, ...]:
        """The stretches of training, in order."""
        return (Phase("model", self.schedule),)

    def telling(self) -> tuple[str, ...]:
        """Up to four values that tell runs of this recipe apart, for the run's name."""
        return (f"e{self.schedule.epochs}", f"lr{self.schedule.steps[0][0]:g}")

    def hyperparameters(self) -> dict[str, Any]:
        """Every hyperparameter by name, as YAML can hold it."""
        return {name: plain(getattr(self, name)) for name in settings_of(type(self))}

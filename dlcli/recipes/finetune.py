"""Fine-tune a pretrained network: train a new last layer on stored features.

The recipe takes a network trained on ImageNet, replaces its last layer by a new Dense layer,
freezes the rest and trains the new layer. `--unfreeze N` or `--freeze-to LAYER` adds a second
phase, which also trains the network's last layers, at a tenth of the rates. The new layer trains
first because its random weights would send large gradients through the pretrained layers and wreck
them. `--layer-decay 0.8` trains each layer at 0.8 of the rate of the layer above it: lower layers
are more general and have less to change. This is called discriminative fine-tuning (Howard & Ruder
2018, arXiv:1801.06146, section 3.2).

Source: fast.ai, Practical Deep Learning for Coders (2017), lessons 1 and 2.
Command: `dl train finetune`
Expected: on 2,002 photos of dogs and cats, 400 of them put aside, valid accuracy 0.996 and log
loss 0.020 (means of 20 random splits). 12 epochs take about a second once the features are
computed.
Defaults: chosen on 20 other splits of the same photos with EfficientNet-Lite0 at 224 pixels, by the
best epoch's log loss. That was 0.030 with dropout 0.5 at 3e-3x8,3e-4x4. Without dropout it was
0.032 at these rates and 0.035 at 1e-3x12,1e-4x4; with dropout 0.7 it was 0.031; with
BatchNormalization before the dropout it was 0.034. These differences are all below the spread
between splits, 0.010, and so are those in accuracy. With BatchNormalization the last epoch's log
loss was 0.046.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from dlcli.errors import DlError, ExitCode
from dlcli.recipe import Phase, Recipe, Schedule, setting

if TYPE_CHECKING:
    import keras

# The second phase's rates, as a share of the first one's.
SECOND_PHASE = 0.1


@dataclass(frozen=True)
class Finetune(Recipe):
    """A new last layer on a pretrained network; its last layers too, if asked."""

    schedule: Schedule = setting(
        Schedule.parse("3e-3x8,3e-4x4"),
        "rates and epochs of the new last layer: 1e-3x2 is 2 epochs at 1e-3",
    )
    dropout: float = setting(
        0.5, "share of the features to set to 0 at random", at_least=0, below=1
    )
    unfreeze: int = setting(
        0,
        "add a second phase, which also trains the network's last N layers that have weights",
        at_least=0,
    )
    freeze_to: str | None = setting(
        None,
        "add a second phase, which also trains the network from this layer to its last",
        metavar="LAYER",
    )
    unfreeze_schedule: Schedule | None = setting(
        None,
        "rates and epochs of the second phase; by default --schedule at a tenth of its rates",
        unset="auto",
    )
    layer_decay: float | None = setting(
        None,
        "in the second phase, each network layer's rate is this times the rate of the layer after "
        "it; by default all rates are equal",
        at_least=0.01,
        below=1,
    )

    fits: ClassVar[bool] = True
    simpler: ClassVar[str | None] = "dl train imagenet-linear"
    richer: ClassVar[str | None] = "dl train fc"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.unfreeze and self.freeze_to:
            raise DlError(
                "`--unfreeze` and `--freeze-to` exclude each other",
                why="both say which layers of the network train",
                hint="Leave one of them out.",
                exit_code=ExitCode.USAGE,
            )
        for option in ("unfreeze_schedule", "layer_decay"):
            if getattr(self, option) and not (self.unfreeze or self.freeze_to):
                flag = option.replace("_", "-")
                raise DlError(
                    f"`--{flag}` has no effect without `--unfreeze N` or `--freeze-to LAYER`",
                    hint="Add one of these, or leave it out.",
                    exit_code=ExitCode.USAGE,
                )

    def fitted(self, images: int, classes: int) -> Self:
        """More epochs for the new layer alone: the second phase runs the network for each image."""
        fitted = super().fitted(images, classes)
        if fitted is self or not (self.unfreeze or self.freeze_to) or self.unfreeze_schedule:
            return fitted
        return replace(fitted, unfreeze_schedule=self.schedule.scaled(SECOND_PHASE))

    def head(self, input_shape: tuple[int, ...], n_classes: int) -> keras.Model:
        """Softmax regression on the features: (n, *input_shape) -> (n, n_classes)."""
        from keras import Input, Sequential, layers

        return Sequential(
            [
                Input(input_shape),
                *([layers.Dropout(self.dropout, name="dropout")] if self.dropout else []),
                layers.Dense(n_classes, activation="softmax", name="classes"),
            ],
            name="head",
        )

    def phases(self) -> tuple[Phase, ...]:
        """First the head alone, then, if asked, the last layers of the backbone with it."""
        head = Phase("head", self.schedule, self.augment)
        if not (self.unfreeze or self.freeze_to):
            return (head,)
        schedule = self.unfreeze_schedule or self.schedule.scaled(SECOND_PHASE)
        decay = self.layer_decay or 1.0
        last = Phase("unfreeze", schedule, self.augment, self.unfreeze, self.freeze_to, decay)
        return (head, last)

    def telling(self) -> tuple[str, ...]:
        """Epochs, first rate, layers that train; dropout if changed, and augmentation."""
        epochs = sum(phase.schedule.epochs for phase in self.phases())
        trains = f"from-{self.freeze_to}" if self.freeze_to else f"t{1 + self.unfreeze}"
        dropout = f"d{self.dropout:g}" if self.dropout != type(self).dropout else ""
        changed = "-".join(filter(None, (dropout, "aug" if self.augment else "")))
        telling = (f"e{epochs}", f"lr{self.schedule.steps[0][0]:g}", trains, changed)
        return tuple(filter(None, telling))

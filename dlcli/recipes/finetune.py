"""Fine-tune a pretrained network: a new last layer on features that are computed once.

Take a network trained on ImageNet, put a new Dense layer in place of its last, freeze the rest
and train the new layer; `--unfreeze N`, or `--freeze-to LAYER`, then goes on with the network's
last layers at a tenth of the rates. The head comes first, because a random head would send large
gradients through, and wreck, the pretrained layers. `--layer-decay 0.8` trains each layer at 0.8 of
the rate of the one above: the lower, the more general, and the less there is to change
(discriminative fine-tuning: Howard & Ruder 2018, arXiv:1801.06146, section 3.2).

Source: fast.ai, Practical Deep Learning for Coders (2017), lessons 1 and 2.
Command: `dl train finetune`
Expected: on 2,002 photos of dogs and cats, 400 of them put aside, valid accuracy 0.996 and log
loss 0.020 (means of 20 random splits); 12 epochs take about a second once the features are
computed.
Defaults: chosen on 20 other splits of the same photos with EfficientNet-Lite0 at 224 pixels, by the
best epoch's log loss: 0.030 with dropout 0.5 at 3e-3x8,3e-4x4, against 0.032 at these rates and
0.035 at 1e-3x12,1e-4x4 without dropout, 0.031 with dropout 0.7, and 0.034 with BatchNormalization
before the dropout. All lie within the spread between splits, 0.010, and so do the accuracies; with
BatchNormalization the last epoch's log loss was 0.046.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dlcli.errors import DlError, ExitCode
from dlcli.recipe import Phase, Recipe, Schedule, setting

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Finetune(Recipe):
    """A new last layer on a pretrained network, and more of its layers if asked."""

    schedule: Schedule = setting(
        Schedule.parse("3e-3x8,3e-4x4"), "learning rates and epochs of the new last layer"
    )
    dropout: float = setting(
        0.5, "share of the features left out in each step of training", at_least=0, below=1
    )
    unfreeze: int = setting(
        0, "afterwards train the network's last N layers with weights, too", at_least=0
    )
    freeze_to: str | None = setting(
        None, "then train the network from this layer on, in place of --unfreeze", metavar="LAYER"
    )
    unfreeze_schedule: Schedule | None = setting(
        None, "rates and epochs for that; a tenth of the schedule's rates by default", unset="auto"
    )
    layer_decay: float | None = setting(
        None, "there each layer's rate is this share of the one above's", at_least=0.01, below=1
    )

    simpler: ClassVar[str | None] = "dl train imagenet-linear"
    richer: ClassVar[str | None] = "dl train fc"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.unfreeze and self.freeze_to:
            raise DlError(
                "`--unfreeze` and `--freeze-to` say the same thing in two ways",
                hint="Say one of them.",
                exit_code=ExitCode.USAGE,
            )
        for option in ("unfreeze_schedule", "layer_decay"):
            if getattr(self, option) and not (self.unfreeze or self.freeze_to):
                flag = option.replace("_", "-")
                raise DlError(
                    f"`--{flag}` has no effect without `--unfreeze N` or `--freeze-to LAYER`",
                    hint="Say which of the network's layers should train.",
                    exit_code=ExitCode.USAGE,
                )

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
        schedule = self.unfreeze_schedule or self.schedule.scaled(0.1)
        decay = self.layer_decay or 1.0
        layers = (self.unfreeze, self.freeze_to, decay)
        return (head, Phase("unfreeze", schedule, self.augment, *layers))

    def telling(self) -> tuple[str, ...]:
        """Epochs, first rate, layers that train, augmentation."""
        epochs = sum(phase.schedule.epochs for phase in self.phases())
        trains = f"from-{self.freeze_to}" if self.freeze_to else f"t{1 + self.unfreeze}"
        telling = (f"e{epochs}", f"lr{self.schedule.steps[0][0]:g}", trains)
        return (*telling, "aug") if self.augment else telling

"""Fine-tune a pretrained network: a new last layer on features that are computed once.

Take a network trained on ImageNet, put a new Dense layer in place of its last, freeze the rest
and train the new layer; `--unfreeze N` then goes on with the last N layers at a tenth of the
rates. The head comes first, because a random head would send large gradients through, and
wreck, the pretrained layers.

Source: fast.ai, Practical Deep Learning for Coders (2017), lessons 1 and 2.
Command: `dl train finetune`
Expected: on 2,002 photos of dogs and cats, 400 of them put aside, valid accuracy 0.989 and log
loss 0.028 (means of 20 random splits); 12 epochs take about a second once the features are
computed.
Defaults: chosen on 20 other splits of the same photos with EfficientNet-Lite0, by the best epoch's
log loss: 0.030 with dropout 0.5 at 3e-3x8,3e-4x4, against 0.032 at these rates and 0.035 at
1e-3x12,1e-4x4 without dropout, 0.031 with dropout 0.7, and 0.034 with BatchNormalization before
the dropout. All lie within the spread between splits, 0.010, and so do the accuracies; with
BatchNormalization the last epoch's log loss was 0.046.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlcli.errors import DlError, ExitCode
from dlcli.fields import setting
from dlcli.recipe import Phase, Recipe
from dlcli.schedule import Schedule

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
    augment: bool = setting(False, "flip, shift, zoom and turn the images a little, each epoch")
    unfreeze: int = setting(
        0, "then train the network's last N layers with weights as well", at_least=0
    )
    unfreeze_schedule: Schedule | None = setting(
        None, "rates and epochs for that; a tenth of the schedule's rates by default", unset="auto"
    )

    def __post_init__(self) -> None:
        if self.unfreeze_schedule and not self.unfreeze:
            raise DlError(
                "`--unfreeze-schedule` has no effect without `--unfreeze N`",
                hint="Say how many of the network's last layers should train.",
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
        head = Phase("head", self.schedule, augment=self.augment)
        if not self.unfreeze:
            return (head,)
        schedule = self.unfreeze_schedule or self.schedule.scaled(0.1)
        return (head, Phase("unfreeze", schedule, self.unfreeze, self.augment))

    def telling(self) -> tuple[str, ...]:
        """Epochs, first rate, layers that train, augmentation."""
        epochs = sum(phase.schedule.epochs for phase in self.phases())
        telling = (f"e{epochs}", f"lr{self.schedule.steps[0][0]:g}", f"t{1 + self.unfreeze}")
        return (*telling, "aug") if self.augment else telling

"""Train new fully connected layers on convolutional features.

The recipe cuts the network after its convolutions and stores their output. It trains a small model
on that output, in seconds: one or more hidden Dense layers, by default without dropout. If the
pretrained network ends in layers of the same names and shapes, as VGG16 does, the new layers begin
with their weights.

These weights are not scaled. Keras' Dropout divides what it keeps by 1 - p in training, so removing
it changes nothing at inference. `--rescale` instead multiplies the weights by the course's
(1 - p_old) / (1 - p_new). That was right for dropout that did not divide (Srivastava et al. 2014).
With Keras' dropout it makes the network less certain at first, and training corrects that.

Source: fast.ai, Practical Deep Learning for Coders (2017), lesson 3.
Command: `dl train fc`
Expected: on 2,002 photos of dogs and cats, valid accuracy 0.996 and log loss 0.017 (means of 20
random splits). 8 epochs take a few seconds once the features are computed.
Defaults: on 10 splits of those photos, one hidden layer of 512 on the convolutions' means had a log
loss of 0.019. It was 0.020 with dropout 0.5, with 1,024 units, or at lower rates, and 0.019
with two layers. Maximum pooling beside the averages overfits: 0.037 against 0.025 at 256 pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from dlcli.errors import DlError, ExitCode
from dlcli.recipe import Beginning, Recipe, Schedule, rates, setting

if TYPE_CHECKING:
    import keras

# What VGG16's fully connected layers were trained with (Simonyan & Zisserman 2015, section 3.1).
DROPOUT_OLD = 0.5


@dataclass(frozen=True)
class Fc(Recipe):
    """Hidden Dense layers on convolutional features."""

    schedule: Schedule = rates("1e-3x4,1e-4x4")
    pool: Literal["average", "max", "flatten"] = setting(
        "average",
        "mean or maximum over all positions of the feature maps; flatten keeps every position",
    )
    units: int = setting(512, "outputs of each hidden layer", at_least=1, below=100_001)
    hidden: int = setting(1, "hidden layers", at_least=0, below=10)
    dropout: float = setting(
        0.0, "share of each hidden layer's outputs to set to 0 at random", at_least=0, below=1
    )
    carry_over: bool = setting(
        True, "begin with the pretrained network's own hidden layers, if they have the same shape"
    )
    rescale: bool = setting(
        False,
        "with --carry-over, scale the weights to the new dropout, as the fast.ai course did",
    )
    layer: ClassVar[str | None] = "conv"
    fits: ClassVar[bool] = True
    simpler: ClassVar[str | None] = "dl train finetune"
    richer: ClassVar[str | None] = "dl train finetune --unfreeze 3"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rescale and not self.carry_over:
            raise DlError(
                "`--rescale` has no effect with `--no-carry-over`",
                hint="Leave out one of them.",
                exit_code=ExitCode.USAGE,
            )

    def head(self, input_shape: tuple[int, ...], n_classes: int) -> keras.Model:
        """Pooling, hidden layers, classes: (n, height, width, channels) -> (n, n_classes)."""
        from keras import Input, Sequential, layers

        pool = {
            "average": layers.GlobalAveragePooling2D,
            "max": layers.GlobalMaxPooling2D,
            "flatten": layers.Flatten,
        }[self.pool]
        hidden = [layer for n in range(self.hidden) for layer in self.hidden_layers(n + 1)]
        classes = layers.Dense(n_classes, activation="softmax", name="classes")
        return Sequential([Input(input_shape), pool(name="pool"), *hidden, classes], name="head")

    def hidden_layers(self, number: int) -> Iterator[keras.Layer]:
        """One hidden layer and what goes with it; numbered from 1, and named as VGG16's."""
        from keras import layers

        yield layers.Dense(self.units, activation="relu", name=f"fc{number}")
        if self.dropout:
            yield layers.Dropout(self.dropout, name=f"dropout{number}")

    def begin(self, head: keras.Model, beginning: Beginning) -> None:
        """Carry over the pretrained network's layers of the same names and shapes."""
        self.carried(head, beginning)

    def carried(self, head: keras.Model, beginning: Beginning) -> list[str]:
        """Carry layers over.

        Returns:
            The names of these layers.
        """
        from dlcli.models.surgery import rescaled_for_dropout, transfer_weights

        hidden = [f"fc{number}" for number in range(1, self.hidden + 1)]
        if not self.carry_over or beginning.carried.issuperset(hidden):
            return []
        top = beginning.top()
        if top is None:
            return []
        shapes = [
            {layer.name: [w.shape for w in layer.weights] for layer in model.layers}
            for model in (head, top)
        ]
        names = [
            name
            for name in hidden
            if name not in beginning.carried and shapes[0][name] == shapes[1].get(name)
        ]
        transfer_weights(top, head, names)
        for name in names if self.rescale else ():
            layer = head.get_layer(name)
            layer.set_weights(rescaled_for_dropout(layer.get_weights(), DROPOUT_OLD, self.dropout))
        return names

    def telling(self) -> tuple[str, ...]:
        """Epochs, first rate, width, dropout."""
        epochs, rate, *aug = super().telling()
        width = f"u{self.units}" + (f"x{self.hidden}" if self.hidden != 1 else "")
        return (epochs, rate, width, "-".join([f"d{self.dropout:g}", *aug]))

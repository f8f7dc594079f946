"""Train a small convolutional network from random weights.

The network has two blocks of 3x3 convolutions, as VGG has but smaller, then a hidden Dense layer.
Three options make it generalise better. `--augment` changes the training images at random.
`--batchnorm` normalises the pixels and the output of every convolution and Dense layer (Ioffe &
Szegedy 2015). `--dropout 0.5` drops values before the last layer; tune it on the whole dataset,
never on a sample. `--variant statefarm` is the network of the course's statefarm notebooks: it
pools by 3 and always has batch normalisation.

Source: fast.ai, Practical Deep Learning for Coders (2017), the mnist and statefarm notebooks.
Command: `dl train cnn --augment --batchnorm --dropout 0.5`
Expected: accuracy 0.993 on MNIST in the course's notebook. On 2,000 photos of dogs and cats it is
about 0.7, where a pretrained network has 0.99.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from dlcli.recipe import MOMENTUM, Recipe, Schedule, rates, setting

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Cnn(Recipe):
    """Convolutions, a hidden Dense layer, and one for the classes."""

    schedule: Schedule = rates("1e-3x8,1e-4x5")
    variant: Literal["vgg", "statefarm"] = setting(
        "vgg",
        "vgg: 2 convolutions and 2x2 pooling in each block; statefarm: 1 convolution and 3x3 "
        "pooling",
    )
    batchnorm: bool = setting(
        False,
        "batch normalisation of the pixels and of each layer's output; statefarm always has it",
    )
    dropout: float = setting(
        0.0, "share of the last layer's inputs to set to 0 at random", at_least=0, below=1
    )
    layer: ClassVar[str | None] = None
    simpler: ClassVar[str | None] = "dl train cnn --variant statefarm"

    def head(self, input_shape: tuple[int, ...], n_classes: int) -> keras.Model:
        """The whole network: (n, height, width, 3) pixels 0-255 -> (n, n_classes)."""
        from keras import Input, Sequential, layers

        dropout = [layers.Dropout(self.dropout, name="dropout")] if self.dropout else []
        classes = layers.Dense(n_classes, activation="softmax", name="classes")
        below = [*self._convolutions(), layers.Flatten(name="flatten"), *self._hidden()]
        return Sequential([Input(input_shape), *below, *dropout, classes], name="head")

    def _convolutions(self) -> Iterator[keras.Layer]:
        from keras import layers

        statefarm = self.variant == "statefarm"
        if statefarm or self.batchnorm:
            yield layers.BatchNormalization(momentum=MOMENTUM, name="normalize")
        else:
            yield layers.Rescaling(1 / 127.5, -1.0, name="rescale")
        for block, filters in enumerate((32, 64), start=1):
            for number in (1,) if statefarm else (1, 2):
                name = f"block{block}_conv{number}"
                yield layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)
                if statefarm or self.batchnorm:
                    yield layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_bn")
            yield layers.MaxPooling2D(3 if statefarm else 2, name=f"block{block}_pool")

    def _hidden(self) -> Iterator[keras.Layer]:
        from keras import layers

        statefarm = self.variant == "statefarm"
        yield layers.Dense(200 if statefarm else 512, activation="relu", name="hidden")
        if statefarm or self.batchnorm:
            yield layers.BatchNormalization(momentum=MOMENTUM, name="hidden_bn")

    def telling(self) -> tuple[str, ...]:
        """Epochs, first rate, and what makes it generalise."""
        extras = {"aug": self.augment, "bn": self.batchnorm, f"d{self.dropout:g}": self.dropout}
        epochs, rate = f"e{self.schedule.epochs}", f"lr{self.schedule.steps[0][0]:g}"
        variant = "" if self.variant == "vgg" else f"{self.variant}-"
        generalises = "-".join(name for name, used in extras.items() if used)
        return tuple(filter(None, (epochs, rate, (variant + generalises).strip("-"))))

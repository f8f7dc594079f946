"""Train VGG16's own fully connected layers without dropout.

This is the course's second step with VGG16. Trained with dropout 0.5, the network fits its training
images worse than its validation images, so the recipe removes the dropout. It cuts the network
after its convolutions (`block5_pool`, 7x7x512 numbers an image) and stores their output. `fc1` and
`fc2` begin with VGG16's weights. `dl train vgg-fc --init-from RUN` begins with all layers of a
fine-tuned network, its last layer included; before training it predicts exactly what that run does.

Source: fast.ai, Practical Deep Learning for Coders (2017), lesson 3: RMSprop(1e-5, rho=0.7) for 8
epochs, valid accuracy 0.985 at the last and 0.9875 at the best, 17 s each.
Command: `dl train vgg-fc`
Expected: valid accuracy 0.985 to 0.9875 on dogs and cats (23,000 train, 2,000 valid) in the
course's notebook.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dlcli.recipe import Schedule, rates, setting
from dlcli.recipes.fc import Fc

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class VggFc(Fc):
    """VGG16's own two hidden layers of 4096, as they are."""

    schedule: Schedule = rates("1e-5x8")
    pool: Literal["average", "max", "flatten"] = setting(
        "flatten",
        "mean or maximum over all positions of the feature maps; flatten keeps every position",
    )
    units: int = setting(4096, "outputs of each hidden layer", at_least=1, below=100_001)
    hidden: int = setting(2, "hidden layers", at_least=0, below=10)
    fits: ClassVar[bool] = False  # the course's epochs
    pinned: ClassVar[Mapping[str, Any]] = {"backbone": "vgg16"}
    simpler: ClassVar[str | None] = "dl train vgg-finetune"
    richer: ClassVar[str | None] = "dl train vgg-finetune --unfreeze 3"

    def optimizer(self, learning_rate: float) -> keras.Optimizer:
        """RMSprop with a short memory, as in the course."""
        from keras import optimizers

        return optimizers.RMSprop(learning_rate, rho=0.7)

"""Train VGG16's own fully connected layers with batch normalisation added.

VGG16 was trained before batch normalisation was known. The recipe inserts it into `fc1` and `fc2`,
before their ReLU, so that they still compute the same. Then it trains them with dropout 0.6.

Source: fast.ai, Practical Deep Learning for Coders (2017), lesson 3: Dense(4096), BatchNorm,
Dropout(0.6), twice.
Command: `dl train vgg-bn`
Expected: valid accuracy 0.986 and log loss 0.055 to 0.062 on dogs and cats (23,000 train, 2,000
valid) in the course's notebook, with augmentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from dlcli.recipe import Schedule, rates, setting
from dlcli.recipes.bn import Bn


@dataclass(frozen=True)
class VggBn(Bn):
    """VGG16's own two hidden layers of 4096, with batch normalisation in each."""

    schedule: Schedule = rates("1e-4x4,1e-5x4")
    pool: Literal["average", "max", "flatten"] = setting(
        "flatten",
        "mean or maximum over all positions of the feature maps; flatten keeps every position",
    )
    units: int = setting(4096, "outputs of each hidden layer", at_least=1, below=100_001)
    hidden: int = setting(2, "hidden layers", at_least=0, below=10)
    dropout: float = setting(
        0.6, "share of each hidden layer's outputs to set to 0 at random", at_least=0, below=1
    )
    fits: ClassVar[bool] = False  # the course's epochs
    pinned: ClassVar[Mapping[str, Any]] = {"backbone": "vgg16"}
    simpler: ClassVar[str | None] = "dl train vgg-finetune"
    richer: ClassVar[str | None] = "dl train vgg-finetune --unfreeze 3"

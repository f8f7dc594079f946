"""Fine-tune VGG16, as in the first lesson of the fast.ai course.

This is `finetune` on VGG16 (Simonyan & Zisserman 2015) at the course's rate, Adam at 1e-3. It
trains for three epochs, since each takes only seconds, and keeps the best. Dropout 0.5 is what
VGG16 itself was trained with before its last layer (section 3.1 there).

Source: fast.ai, Practical Deep Learning for Coders (2017), lesson 1.
Command: `dl train vgg-finetune`
Expected: valid accuracy 0.981 to 0.9835 on dogs and cats (23,000 train, 2,000 valid) in the
course's notebooks. An epoch there took 273 to 604 s on its GPU. Here the features are computed
once, and an epoch takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dlcli.recipe import Schedule, setting
from dlcli.recipes.finetune import Finetune


@dataclass(frozen=True)
class VggFinetune(Finetune):
    """A new last layer on VGG16; its last layers too, if asked."""

    schedule: Schedule = setting(
        Schedule.parse("1e-3x3"),
        "rates and epochs of the new last layer: 1e-3x2 is 2 epochs at 1e-3",
    )
    fits: ClassVar[bool] = False  # the course's epochs
    pinned: ClassVar[Mapping[str, Any]] = {"backbone": "vgg16"}
    simpler: ClassVar[str | None] = None
    richer: ClassVar[str | None] = "dl train vgg-fc"

"""Trainings of the course's models on 2,002 photos of cats and dogs, and on digits.

Each is its score on training images, its score on validation images, and its history.
"""

from __future__ import annotations

from typing import Any

from dlcli.evaluation.diagnosis import Score

PAIR = (200, 200)  # 400 validation images of two classes
SEEN = (801, 801)  # and 1,602 training images


def rows(*epochs: tuple[Any, ...], phase: str = "model") -> list[dict[str, Any]]:
    """A history of (loss, accuracy, val_loss) or (loss, accuracy, val_loss, phase) rows."""
    names = ("loss", "accuracy", "val_loss")
    return [
        {"epoch": number, "phase": phase, "learning_rate": 1e-3, "val_accuracy": 0.5}
        | dict(zip(names, epoch, strict=False))
        | ({"phase": epoch[3]} if len(epoch) > 3 else {})
        for number, epoch in enumerate(epochs, start=1)
    ]


FINETUNE = (
    Score(0.0151, 0.0026, 0.9956, SEEN),
    Score(0.0133, 0.0047, 0.995, PAIR),
    rows((0.0308, 0.9888, 0.0202), (0.0279, 0.9913, 0.0133), (0.0236, 0.9925, 0.0165)),
)
MUCH_DROPOUT = (
    Score(0.0402, 0.0056, 0.9863, SEEN),
    Score(0.0226, 0.0049, 0.9925, PAIR),
    rows((0.2743, 0.9045, 0.0256), (0.2543, 0.907, 0.0226), (0.2488, 0.9182, 0.0236)),
)
TWENTY_IMAGES = (
    Score(0.0028, 0.0004, 1.0, (10, 10)),
    Score(0.1877, 0.0261, 0.9275, PAIR),
    rows((0.0064, 1, 0.1905), (0.0026, 1, 0.1877), (0.0029, 1, 0.1878), (0.0046, 1, 0.1879)),
)
TWENTY_TO_JUDGE_BY = (TWENTY_IMAGES[0], Score(0.0955, 0.0743, 0.95, (10, 10)), TWENTY_IMAGES[2])
BARELY_TRAINED = (
    Score(0.3534, 0.0054, 0.9332, SEEN),
    Score(0.3404, 0.0101, 0.945, PAIR),
    rows((0.6813, 0.618, 0.5252), (0.5596, 0.7185, 0.4158), (0.4578, 0.799, 0.3404)),
)
LINEAR = (
    Score(0.9312, 0.0243, 0.5431, SEEN),
    Score(0.863, 0.0466, 0.59, PAIR),
    rows((0.8502, 0.5212, 1.0417), (0.8018, 0.5368, 0.863), (1.5574, 0.5362, 1.709))
    + rows(*[()] * 3, (0.9256, 0.61, 1.24), (1.2124, 0.6, 1.954), (0.9608, 0.64, 1.04))[3:],
)
CNN = (
    Score(0.5373, 0.0119, 0.7297, SEEN),
    Score(0.5674, 0.0249, 0.6925, PAIR),
    rows((0.6174, 0.6429, 0.6126), (0.5892, 0.6916, 0.5674), (0.5689, 0.7122, 0.7143))
    + rows(*[()] * 3, (0.5312, 0.7422, 0.5979), (0.4657, 0.7778, 0.5701))[3:],
)
BATCHNORM = (
    Score(1.0025, 0.0281, 0.5499, SEEN),
    Score(0.9931, 0.0566, 0.5525, PAIR),
    rows((0.5798, 0.716, 1.0838), (0.5647, 0.7122, 0.9931), (0.6441, 0.6642, 1.0598)),
)
DIGITS = (
    Score(0.0313, 0.004, 1.0, (10,) * 10),
    Score(0.3282, 0.0413, 0.8972, (36,) * 10),
    rows((0.0601, 1, 0.3332), (0.0538, 1, 0.3282), (0.0487, 1, 0.3382)),
)
# 60 breeds, 4 epochs of the 60 and more that they need
BREEDS = (
    Score(1.2538, 0.0258, 0.9557, (6,) * 46 + (10,) * 13),
    Score(1.8797, 0.0738, 0.7228, (1,) * 19 + (2,) * 41),
    rows((3.882, 0.3, 3.288), (2.729, 0.6, 2.523), (1.837, 0.8, 1.928), (1.375, 0.9, 1.8797)),
)

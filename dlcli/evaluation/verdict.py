"""The verdict of an evaluation: its main numbers as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dlcli.words import NBSP, loss, percent, short


class Confusion(NamedTuple):
    """One off-diagonal cell of a confusion matrix."""

    true: str
    predicted: str
    times: int
    share: float  # of the true class


def confusions(metrics: Mapping[str, Any]) -> list[Confusion]:
    """The confusions of classes, most frequent first."""
    pairs = [
        Confusion(true, predicted, count, count / sum(row.values()))
        for true, row in metrics["confusion"].items()
        for predicted, count in row.items()
        if predicted != true
    ]
    return sorted(pairs, key=lambda pair: (-pair.times, -pair.share))


def verdict(metrics: Mapping[str, Any]) -> list[str]:
    """The main numbers as sentences.

    Args:
        metrics: what `evaluation.metrics.evaluate` returns.
    """
    low, high = metrics["accuracy_interval_95"]
    images, baseline = metrics["images"], metrics["baseline"]
    correct = f"{images - metrics['errors']:,} of {images:,} validation images"
    expected = f"{percent(low)} to {percent(high)} on new images of the same kind"
    sentences = [f"{correct} are classified correctly. Expect an accuracy of {expected}."]
    always = f"Always answering “{short(baseline['class'])}” gives {percent(baseline['accuracy'])}"
    if low > baseline["accuracy"]:
        sentences.append(f"{always}.")
    elif metrics["accuracy"] > baseline["accuracy"]:
        sentences.append(f"{always}: the difference may be chance.")
    else:
        sentences.append(f"{always}: the model has not learned anything yet.")
    if metrics["log_loss"] > baseline["log_loss"] and low > baseline["accuracy"]:
        sentences.append(
            "The model's log loss is worse than the "
            f"{loss(baseline['log_loss'])} of guessing: a few confident mistakes cost more than "
            "all correct answers gain. Clipping helps."
        )
    sure = f"The model's mean confidence is {percent(metrics['mean_confidence'])}"
    if metrics["mean_confidence"] > high:
        sentences.append(f"{sure}, above its accuracy: it is over-confident. Clipping may help.")
    elif metrics["mean_confidence"] < low:
        sentences.append(f"{sure}, below its accuracy: it is under-confident.")
    else:
        sentences.append(f"{sure}, close to its accuracy.")
    worst = next(iter(confusions(metrics)), None)
    if worst and worst.times > 1:
        sentences.append(
            f"The most common mistake is “{short(worst.true)}” classified as "
            f"“{short(worst.predicted)}”, "
            f"{worst.times:,}{NBSP}of{NBSP}{sum(metrics['confusion'][worst.true].values()):,}."
        )
    return sentences

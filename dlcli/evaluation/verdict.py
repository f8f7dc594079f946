"""What the headline numbers of an evaluation say, as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dlcli.words import NBSP, loss, percent, short


class Confusion(NamedTuple):
    """One off-diagonal cell: so many of a class were taken for another."""

    true: str
    predicted: str
    times: int
    share: float  # of the true class


def confusions(metrics: Mapping[str, Any]) -> list[Confusion]:
    """Who is taken for whom, most often first."""
    pairs = [
        Confusion(true, predicted, count, count / sum(row.values()))
        for true, row in metrics["confusion"].items()
        for predicted, count in row.items()
        if predicted != true
    ]
    return sorted(pairs, key=lambda pair: (-pair.times, -pair.share))


def verdict(metrics: Mapping[str, Any]) -> list[str]:
    """What the headline numbers say, as sentences.

    Args:
        metrics: what `evaluation.metrics.evaluate` returns.
    """
    low, high = metrics["accuracy_interval_95"]
    images, baseline = metrics["images"], metrics["baseline"]
    correct = f"{images - metrics['errors']:,} of {images:,} validation pictures"
    expected = f"{percent(low)} to {percent(high)} on new pictures of the same kind"
    sentences = [f"{correct} are named correctly. Expect {expected}."]
    always = f"Always answering “{short(baseline['class'])}”"
    of_guessing = percent(baseline["accuracy"])
    if low > baseline["accuracy"]:
        sentences.append(f"{always} would reach {of_guessing}.")
    elif metrics["accuracy"] > baseline["accuracy"]:
        sentences.append(f"{always} reaches {of_guessing}: too near to tell from luck.")
    else:
        sentences.append(f"{always} does no worse, at {of_guessing}: nothing was learned yet.")
    if metrics["log_loss"] > baseline["log_loss"] and low > baseline["accuracy"]:
        sentences.append(
            f"Its log loss is worse than a guesser's {loss(baseline['log_loss'])}: a few mistakes "
            "made with great confidence cost more than all the rest gains. Clipping helps."
        )
    sure = f"It is {percent(metrics['mean_confidence'])} sure on average"
    if metrics["mean_confidence"] > high:
        sentences.append(f"{sure}, more than it is right: over-confident, so clipping may help.")
    elif metrics["mean_confidence"] < low:
        sentences.append(f"{sure}, less than it is right: under-confident.")
    else:
        sentences.append(f"{sure}, which is about as often as it is right.")
    worst = next(iter(confusions(metrics)), None)
    if worst and worst.times > 1:
        sentences.append(
            f"The commonest mistake is “{short(worst.true)}” taken for "
            f"“{short(worst.predicted)}”, "
            f"{worst.times:,}{NBSP}of{NBSP}{sum(metrics['confusion'][worst.true].values()):,}."
        )
    return sentences

"""Figures, spans and names as people write them, and sentences about scores."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

NBSP = "\N{NO-BREAK SPACE}"
# Python calls only the plain space printable; these are as harmless, and typography needs them.
SPACES = "\u00a0\u2009\u202f\u3000"


class Confusion(NamedTuple):
    """One off-diagonal cell: so many of a class were taken for another."""

    true: str
    predicted: str
    times: int
    share: float  # of the true class


def percent(share: float) -> str:
    """A share as people write it: "98.8 %". What is not quite all never reads as all."""
    if 0.9995 <= share < 1:
        text = ">99.9"
    elif 0 < share < 0.0005:
        text = "<0.1"
    else:
        text = f"{100 * share:.0f}" if share in (0, 1) else f"{100 * share:.1f}"
    return f"{text}{NBSP}%"


def loss(value: float) -> str:
    """A loss to three digits that matter: "0.0354", "0.693", "12.3"."""
    if value and abs(value) < 0.1:
        return f"{value:.4f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def short(name: str, most: int = 48) -> str:
    """A name with no more than `most` characters."""
    return name if len(name) <= most else name[: most - 1] + "…"


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


def printable(text: str) -> str:
    """Text that a terminal shows as it stands: control characters and odd bytes as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in SPACES else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def span(time: timedelta) -> str:
    """A span as people read it, its two largest units: `3 d 4 h`, `1 h 5 min`, `12 min`, `40 s`."""
    seconds = max(0, int(time.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"

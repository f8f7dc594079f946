"""Which pictures to look at: five galleries, chosen from predictions alone.

The choice is fast.ai's: Practical Deep Learning for Coders, part 1 (2017), lesson 1. It shows in
a minute what no score does: mislabelled files, a class that is two, a background that gives away
the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlcli.evaluation.metrics import checked

if TYPE_CHECKING:
    import numpy as np

    from dlcli.evaluation.metrics import Floats, Ints

FEW = 12  # two rows of six on a page
MOST_PER_CLASS = 6
MOST = 120  # pictures in one gallery; each costs about 15 kB of the page


@dataclass(frozen=True)
class Gallery:
    """A handful of samples and why they were taken.

    Args:
        name: for its file: "most-uncertain".
        title: a few words.
        note: what to look for.
        samples: indices into the predictions, in the order to show.
        empty: what to say where there are none.
    """

    name: str
    title: str
    note: str
    samples: tuple[int, ...]
    empty: str


def select(y_true: Ints, y_prob: Floats, seed: int = 0) -> list[Gallery]:
    """Choose the five galleries.

    Args:
        y_true: int array of shape (n_samples,).
        y_prob: float array of shape (n_samples, n_classes).
        seed: same seed, same pictures.

    Returns:
        Correct at random; incorrect at random; most correct and most incorrect of each (true)
        class; most uncertain. Ties go to the sample that comes first.
    """
    import numpy as np

    y_true, y_prob = checked(y_true, y_prob)
    right = y_prob.argmax(axis=1) == y_true
    of_truth = y_prob[np.arange(len(y_true)), y_true]
    second, first = np.sort(y_prob, axis=1)[:, -2:].T if y_prob.shape[1] > 1 else (0, y_prob.T[0])
    rng = np.random.default_rng(seed)

    def at_random(among: np.ndarray) -> tuple[int, ...]:
        candidates = among.nonzero()[0]
        chosen = rng.choice(candidates, min(FEW, len(candidates)), replace=False)
        return tuple(sorted(chosen.tolist()))

    shown = MOST // _each(y_prob.shape[1])
    limit = f" The first {shown} classes." if y_prob.shape[1] > shown else ""
    none_wrong, none_right = "Not one picture is wrong.", "Not one picture is right."
    return [
        Gallery(
            "correct-at-random",
            "Correct, at random",
            "An honest sample of what it gets right.",
            at_random(right),
            none_right,
        ),
        Gallery(
            "incorrect-at-random",
            "Incorrect, at random",
            "An honest sample of what it gets wrong. Is there a pattern?",
            at_random(~right),
            none_wrong,
        ),
        Gallery(
            "most-correct",
            "Most correct of each class",
            "Right, and surest of it: what the network takes for typical." + limit,
            tuple(_of_each_class(y_true, right, -of_truth, y_prob.shape[1])),
            none_right,
        ),
        Gallery(
            "most-incorrect",
            "Most incorrect of each class",
            "Wrong, with the least probability for the true class. Look for wrong labels first."
            + limit,
            tuple(_of_each_class(y_true, ~right, of_truth, y_prob.shape[1])),
            none_wrong,
        ),
        Gallery(
            "most-uncertain",
            "Most uncertain",
            "The probability is nearest to one half."
            if y_prob.shape[1] == 2
            else "The two likeliest classes are nearest to a tie.",
            # with two classes the margin is |2p - 1|, so this is p nearest 0.5 as well
            tuple(np.argsort(first - second, kind="stable")[:FEW].tolist()),
            "",
        ),
    ]


def _of_each_class(y_true: Ints, among: np.ndarray, rank: Floats, classes: int) -> Iterator[int]:
    """Class after class, those of `among` that rank lowest."""
    import numpy as np

    each = _each(classes)
    order = np.argsort(rank, kind="stable")
    order = order[among[order]]
    for label in range(min(classes, MOST // each)):
        yield from order[y_true[order] == label][:each].tolist()


def _each(classes: int) -> int:
    return max(1, min(MOST_PER_CLASS, 2 * FEW // classes))

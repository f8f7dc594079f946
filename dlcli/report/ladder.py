"""A ladder's results: a table as CSV and Markdown, and a figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from dlcli.evaluation.diagnosis import Diagnosis
from dlcli.files.atomic import atomic_write
from dlcli.files.formats import write_csv
from dlcli.files.paths import shown
from dlcli.report.figures import INK, RULE, TRAIN, VALID, WRONG, calm, drawable, plain_style, save
from dlcli.words import NBSP, loss, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CSV, MARKDOWN, PICTURE = "ladder.csv", "ladder.md", "ladder.png"
# Smaller losses are drawn as this: 0 has no logarithm, and 1e-6 would squeeze all others together.
LEAST_LOSS = 1e-3
# Train is drawn left of valid by this share of a step, so that neither hides the other.
APART = 0.2


@dataclass(frozen=True)
class Result:
    """The result of one step; the scores are None if it failed.

    Args:
        command: the command that trains it outside of a ladder.
        failed: why it failed, in sentences.
        train_loss, train_accuracy, val_loss, val_accuracy: of the best epoch's model.
        seconds: of training.
        parameters: of the whole network, frozen ones included.
    """

    step: str
    recipe: str
    command: str
    run: Path
    failed: str | None
    diagnosis: Diagnosis | None
    train_loss: float | None
    val_loss: float | None
    train_accuracy: float | None
    val_accuracy: float | None
    seconds: float | None
    parameters: int | None

    SCORES: ClassVar[tuple[str, ...]] = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
    MEASURED: ClassVar[tuple[str, ...]] = (*SCORES, "seconds", "parameters")

    @property
    def finding(self) -> str:
        """The diagnosis and what to try next, or the failure."""
        return self.diagnosis.in_short if self.diagnosis else f"Failed. {self.failed}"

    @property
    def cells(self) -> tuple[str, ...]:
        """Step, scores, seconds and parameters as text."""
        scores = [getattr(self, name) for name in self.SCORES]
        return (
            self.step,
            *("" if score is None else f"{score:.4f}" for score in scores),
            "" if self.seconds is None else f"{self.seconds:.1f}",
            "" if self.parameters is None else in_thousands(self.parameters),
        )


@dataclass(frozen=True)
class Ground:
    """The dataset of a ladder.

    Args:
        train: the number of training images.
        counts: the number of validation images of each class.
    """

    dataset: str
    train: int
    counts: tuple[int, ...]

    @property
    def accuracy(self) -> float:
        """The accuracy of always answering the most frequent class."""
        return max(self.counts) / sum(self.counts)

    @property
    def loss(self) -> float:
        """The loss of guessing by class frequencies: their entropy."""
        total = sum(self.counts)
        return sum(n / total * math.log(total / n) for n in self.counts)

    def __str__(self) -> str:
        """In words, with the scores of guessing."""
        return (
            f"{self.train:,} training images, {sum(self.counts):,} validation images. Guessing: "
            f"accuracy {percent(self.accuracy)} with the most frequent class, loss "
            f"{loss(self.loss)} with the class frequencies."
        )


def best_of(results: Sequence[Result]) -> Result | None:
    """The step with the lowest validation loss; None if all failed."""
    finished = [result for result in results if result.val_loss is not None]
    return min(finished, key=lambda result: result.val_loss or 0.0, default=None)


def write_results(folder: Path, results: Sequence[Result], ground: Ground) -> None:
    """Write the tables and the figure into a ladder's folder."""
    header = ["step", "run", *Result.MEASURED, "finding"]
    rows = [
        [each.step, each.run.name, *(getattr(each, name) for name in Result.MEASURED), each.finding]
        for each in results
    ]
    write_csv(folder / CSV, [header, *rows])
    atomic_write(folder / MARKDOWN, markdown(results, ground))
    draw_ladder(folder / PICTURE, results, ground)


def markdown(results: Sequence[Result], ground: Ground) -> str:
    """The table and the diagnoses as a Markdown page."""
    header = ("step", "train loss", "valid loss", "train accuracy", "valid accuracy", "seconds")
    lines = [(*header, "parameters"), ("---", *["---:"] * 6), *(each.cells for each in results)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    findings = "\n".join(f"- **{each.step}**: {each.finding}" for each in results)
    return (
        f"# The ladder on {shown(ground.dataset)}\n\n{ground}\n\n{table}\n\n"
        f"![Accuracy and log loss of each step]({PICTURE})\n\n{findings}\n"
    )


@plain_style()
def draw_ladder(path: Path, results: Sequence[Result], ground: Ground) -> None:
    """Draw accuracy above and log loss below, with a line from train to valid for each step.

    Args:
        path: the PNG to write, 1,200 pixels wide.
        ground: the dataset, with the scores of guessing.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

    figure = Figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    calm(above, f"Accuracy on {ground.dataset}")
    _draw(above, [(each.train_accuracy, each.val_accuracy) for each in results], percent)
    _draw_guess(above, ground.accuracy, percent(ground.accuracy))
    above.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=f"{NBSP}%"))
    above.tick_params(labelbottom=False)
    calm(below, "Log loss (less is better; logarithmic scale)")
    below.set_yscale("log")
    losses = [tuple(map(_drawn, (each.train_loss, each.val_loss))) for each in results]
    _draw(below, losses, loss)
    _draw_guess(below, ground.loss, loss(ground.loss))
    below.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    below.yaxis.set_minor_locator(NullLocator())
    for place, result in enumerate(results):
        for axes in (above, below) if result.failed else ():
            axes.text(
                place, 0.5, "failed", transform=axes.get_xaxis_transform(), ha="center",
                fontsize=8, color=WRONG,
            )  # fmt: skip
    names = [drawable(each.step).replace(" ", "\n").replace("-", "-\n") for each in results]
    below.set_xticks(range(len(results)), names)
    above.set_xlim(-0.5, len(results) - 0.2)
    handles, labels = above.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower right", ncols=3, frameon=False, fontsize=8,
        labelcolor=INK,
    )  # fmt: skip
    save(path, figure)


def _drawn(value: float | None) -> float | None:
    return None if value is None else max(value, LEAST_LOSS)


def _draw(
    axes: Axes,
    pairs: Sequence[tuple[float | None, ...]],
    words: Callable[[float], str],
) -> None:
    """Draw train and valid of each step, a line between them, and the valid score as text."""
    found = [(i, train, valid) for i, (train, valid) in enumerate(pairs) if train and valid]
    for place, train, valid in found:
        axes.plot((place - APART, place), (train, valid), color=RULE, linewidth=3, zorder=1)
        axes.annotate(
            words(valid), (place, valid), (6, 0), textcoords="offset points", va="center",
            fontsize=7, color=VALID, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip
    for name, side, colour, size, values in (
        ("train", APART, TRAIN, 5, [train for _, train, _ in found]),
        ("valid", 0, VALID, 7, [valid for _, _, valid in found]),
    ):
        places = [place - side for place, _, _ in found]
        axes.plot(places, values, "o", color=colour, markersize=size, label=name, zorder=2)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.margins(y=0.12)


def _draw_guess(axes: Axes, value: float, text: str) -> None:
    """Draw the score of guessing as a line."""
    axes.axhline(value, color=WRONG, linewidth=0.8, linestyle=(0, (2, 3)), zorder=1)
    axes.annotate(
        f"guessing {text}", (1, value), (0, 3), xycoords=("axes fraction", "data"), ha="right",
        textcoords="offset points", fontsize=7, color=WRONG,
    )  # fmt: skip


def in_thousands(number: int) -> str:
    """A count to three digits: "812", "24.6 k", "4.70 M"."""
    if number < 1000:
        return str(number)
    thousands = number < 999_500  # which rounds to a million
    digits = f"{number / (1e3 if thousands else 1e6):#.3g}".rstrip(".")
    return f"{digits} {'k' if thousands else 'M'}"

"""A ladder's results: a table as CSV and Markdown, and a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.evaluation.diagnosis import Diagnosis
from dlcli.evaluation.scores import HIGHER, SCORES, TITLES
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
    """The result of one step.

    Args:
        command: the command that trains it outside of a ladder.
        failed: why it failed, in sentences.
        scores: of the best epoch's model, by the names of `columns_of`; {} if it failed.
        seconds: of training.
        parameters: of the whole network, frozen ones included.
    """

    step: str
    recipe: str
    command: str
    run: Path
    failed: str | None
    diagnosis: Diagnosis | None
    scores: Mapping[str, float]
    seconds: float | None
    parameters: int | None

    @property
    def finding(self) -> str:
        """The diagnosis and what to try next, or the failure."""
        return self.diagnosis.in_short if self.diagnosis else f"Failed. {self.failed}"

    def cells(self, kind: str) -> tuple[str, ...]:
        """Step, scores, seconds and parameters as text."""
        scores = [self.scores.get(name) for name in columns_of(kind)]
        return (
            self.step,
            *("" if score is None else f"{score:.4f}" for score in scores),
            "" if self.seconds is None else f"{self.seconds:.1f}",
            "" if self.parameters is None else in_thousands(self.parameters),
        )

    def measured(self, kind: str) -> dict[str, float | None]:
        """Scores, seconds and parameters by their names; None if it failed."""
        scores = {name: self.scores.get(name) for name in columns_of(kind)}
        return {**scores, "seconds": self.seconds, "parameters": self.parameters}


def columns_of(kind: str) -> tuple[str, ...]:
    """The names of a step's scores: "train_loss", "val_loss" and so on."""
    return tuple(f"{of}_{name}" for name in SCORES[kind].names for of in ("train", "val"))


def titles_of(kind: str, words: Mapping[str, str] = TITLES) -> tuple[str, ...]:
    """The titles of these columns, with some words for the names of scores."""
    return tuple(f"{of} {words[name]}" for name in SCORES[kind].names for of in ("train", "valid"))


@dataclass(frozen=True)
class Ground:
    """The dataset of a ladder.

    Args:
        kind: of dataset.
        about: how many examples it has, and the scores of guessing, in sentences.
        guess: the scores of guessing, by their names.
    """

    dataset: str
    kind: str
    about: str
    guess: Mapping[str, float]


@dataclass(frozen=True)
class Panel:
    """A part of the figure, for one score.

    Args:
        note: what follows the score's name in the title.
        logarithmic: whether its scale is.
    """

    score: str
    write: Callable[[float], str]
    note: str = ""
    logarithmic: bool = False


# The figure of each kind of dataset, from above.
PANELS: Mapping[str, tuple[Panel, ...]] = {
    "photos": (
        Panel("accuracy", percent),
        Panel("loss", loss, " (less is better; logarithmic scale)", logarithmic=True),
    ),
    "ratings": (Panel("loss", loss, " (less is better)"),),
}


def best_of(results: Sequence[Result]) -> Result | None:
    """The step with the lowest validation loss; None if all failed."""
    finished = [result for result in results if "val_loss" in result.scores]
    return min(finished, key=lambda result: result.scores["val_loss"], default=None)


def write_results(folder: Path, results: Sequence[Result], ground: Ground) -> None:
    """Write the tables and the figure into a ladder's folder."""
    header = ["step", "run", *columns_of(ground.kind), "seconds", "parameters", "finding"]
    rows = [
        [each.step, each.run.name, *each.measured(ground.kind).values(), each.finding]
        for each in results
    ]
    write_csv(folder / CSV, [header, *rows])
    atomic_write(folder / MARKDOWN, markdown(results, ground))
    draw_ladder(folder / PICTURE, results, ground)


def markdown(results: Sequence[Result], ground: Ground) -> str:
    """The table and the diagnoses as a Markdown page."""
    header = ("step", *titles_of(ground.kind), "seconds", "parameters")
    cells = [each.cells(ground.kind) for each in results]
    lines = [header, ("---", *["---:"] * (len(header) - 1)), *cells]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    findings = "\n".join(f"- **{each.step}**: {each.finding}" for each in results)
    drawn = " and ".join(SCORES[ground.kind].words[each.score] for each in PANELS[ground.kind])
    return (
        f"# The ladder on {shown(ground.dataset)}\n\n{ground.about}\n\n{table}\n\n"
        f"![{_begun(drawn)} of each step]({PICTURE})\n\n{findings}\n"
    )


def _begun(text: str) -> str:
    """A text that begins with a capital; "MSE" stays as it is."""
    return text[:1].upper() + text[1:]


@plain_style()
def draw_ladder(path: Path, results: Sequence[Result], ground: Ground) -> None:
    """Draw the panels of the kind, with a line from train to valid for each step.

    Args:
        path: the PNG to write, 1,200 pixels wide.
        ground: the dataset, with the scores of guessing.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

    panels = PANELS[ground.kind]
    figure = Figure(figsize=(8, 3 * len(panels)), layout="constrained")
    drawn = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(drawn, panels, strict=True):
        of = f" on {ground.dataset}" if panel is panels[0] else ""
        calm(axes, f"{_begun(SCORES[ground.kind].words[panel.score])}{of}{panel.note}")
        names = (f"train_{panel.score}", f"val_{panel.score}")
        pairs = [tuple(each.scores.get(name) for name in names) for each in results]
        if panel.logarithmic:
            pairs = [tuple(map(_drawn, pair)) for pair in pairs]
            axes.set_yscale("log")
        _draw(axes, pairs, panel.write)
        guess = ground.guess[panel.score]
        _draw_guess(axes, guess, panel.write(guess))
        if panel.logarithmic:
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_locator(NullLocator())
        elif panel.score in HIGHER:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=f"{NBSP}%"))
        axes.tick_params(labelbottom=panel is panels[-1])
        for place, result in enumerate(results):
            if result.failed:
                axes.text(
                    place, 0.5, "failed", transform=axes.get_xaxis_transform(), ha="center",
                    fontsize=8, color=WRONG,
                )  # fmt: skip
    steps = [drawable(each.step).replace(" ", "\n").replace("-", "-\n") for each in results]
    drawn[-1].set_xticks(range(len(results)), steps)
    drawn[0].set_xlim(-0.5, len(results) - 0.2)
    handles, labels = drawn[0].get_legend_handles_labels()
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

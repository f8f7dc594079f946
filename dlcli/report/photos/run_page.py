"""A run's report: one self-contained HTML page, and figures as PNGs.

It shows five galleries of images, chosen by the predictions as in fast.ai, Practical Deep Learning
for Coders, part 1 (2017), lesson 1. They show what scores do not: wrong labels, a class that is
really two, a background that reveals the class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli import words
from dlcli.evaluation.history import best_epoch, curves
from dlcli.evaluation.metrics import checked, confusion_matrix
from dlcli.evaluation.verdict import confusions, verdict
from dlcli.files.atomic import atomic_write, remove_leftovers
from dlcli.images.pixels import NEWEST, RuleVersion
from dlcli.report import charts, figures
from dlcli.report.page import Script, template
from dlcli.report.photos.figures import draw_confusion, draw_gallery
from dlcli.report.photos.thumbnails import Thumbnail, thumbnails
from dlcli.runs.run import Run

if TYPE_CHECKING:
    import numpy as np

    from dlcli.evaluation.metrics import Floats, Ints


MOST_PAIRS = 10
MOST_IN_TABLE = 16  # classes; a larger matrix is drawn
MOST_DRAWN = 200  # classes; a larger matrix is left out of the page

IN_A_GALLERY = 12  # images: two rows of six
MOST_PER_CLASS = 6
MOST_IN_GALLERY = 120  # images; each adds about 15 kB to the page


@dataclass(frozen=True)
class Report:
    """The content of a report. It comes from files; no model is needed.

    Args:
        title: the run's name.
        classes: names, in the order of y_prob's columns.
        metrics: what `evaluation.metrics.evaluate(y_true, y_prob, classes)` returned.
        y_true: int array of shape (n_samples,).
        y_prob: float array of shape (n_samples, n_classes).
        root: the dataset's folder, absolute.
        paths: the samples' images, relative to `root`. Files may be missing.
        history: a mapping per epoch of epoch, loss, accuracy, val_loss, val_accuracy,
            learning_rate, phase, as far as known; may be empty.
        settings: the run's settings, in the order to show.
        version: of the rule for pixels by which its images are shown (`members.shown_by`).
        commands: the commands that make this run and this page again.
        seed: of the random choice of images.
    """

    title: str
    recipe: str
    classes: Sequence[str]
    metrics: Mapping[str, Any]
    y_true: Ints
    y_prob: Floats
    root: Path
    paths: Sequence[str]
    history: Sequence[Mapping[str, Any]] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    version: RuleVersion = NEWEST
    commands: Sequence[str] = ()
    seed: int = 0


@dataclass(frozen=True)
class Gallery:
    """A gallery of images.

    Args:
        name: for its file: "most-uncertain".
        samples: indices into the predictions, in the order to show.
        empty: the note if there are no samples.
    """

    name: str
    title: str
    note: str
    samples: tuple[int, ...]
    empty: str


@dataclass(frozen=True)
class Tile:
    """One image of a gallery and its caption."""

    picture: Thumbnail
    true: str
    predicted: str
    probability: str
    file: str

    @property
    def right(self) -> bool:
        """Whether the prediction is correct."""
        return self.true == self.predicted

    @property
    def lines(self) -> tuple[str, str, str]:
        """True class, predicted class and its probability, in words."""
        true, predicted = words.short(self.true), words.short(self.predicted)
        return f"true: {true}", f"predicted: {predicted}", self.probability


def write_report(report: Report, folder: Path) -> Path:
    """Write `report.html` and `figures/` into a run's folder; existing files are replaced.

    Args:
        folder: the run's directory.

    Returns:
        the page's path.
    """
    run = Run(folder)
    galleries = select(report.y_true, report.y_prob, report.seed)
    chosen = (i for gallery in galleries for i in gallery.samples)
    pictures = thumbnails(report.root, report.paths, chosen, report.version)
    tiles = _tiles(report, pictures)
    names = words.by_number(report.classes)
    number_of = {name: number for number, name in enumerate(report.classes)}
    order = [number_of[name] for name in names]
    confusion = confusion_matrix(report.y_true, report.y_prob)[order][:, order]

    figures_dir = run.figures
    figures_dir.mkdir(exist_ok=True)
    remove_leftovers(figures_dir)  # a killed call leaves one for each figure
    captions = {i: tile.lines for i, tile in tiles.items()}
    with ThreadPoolExecutor() as pool:  # compressing images releases Python's lock
        sheets = [
            pool.submit(
                draw_gallery,
                figures_dir / f"{gallery.name}.png",
                gallery.title,
                gallery.samples,
                captions,
                pictures,
            )
            for gallery in galleries
        ]
        if lines := curves(report.history):
            figures.draw_curves(figures_dir / "curves.png", lines)
        draw_confusion(figures_dir / "confusion.png", confusion, names)
        for sheet in sheets:
            sheet.result()
    atomic_write(run.report_file, render(report, galleries, tiles, names, confusion))
    return run.report_file


def render(
    report: Report,
    galleries: Sequence[Gallery],
    tiles: Mapping[int, Tile],
    names: Sequence[str],
    confusion: Ints,
) -> str:
    """The page's HTML. It loads nothing from the network, and all names in it are escaped.

    Args:
        galleries: the chosen images.
        tiles: sample of `galleries` -> image with its caption.
        names: the classes, in the order of the confusion matrix.
        confusion: int array of shape (n_classes, n_classes).
    """
    n = len(report.classes)
    form = "table" if n <= MOST_IN_TABLE else "drawing" if n <= MOST_DRAWN else ""
    script = Script.of("photos/page.js")
    return template("photos/page.html").render(
        report=report,
        metrics=report.metrics,
        classes=names,
        verdict=verdict(report.metrics),
        best=best_epoch(report.history),
        lines=[charts.line_chart(curve) for curve in curves(report.history)],
        chart=charts,
        form=form,
        heat=charts.heat(confusion) if form else [],
        matrix=charts.Matrix(n),
        pairs=confusions(report.metrics)[:MOST_PAIRS],
        galleries=[(gallery, [tiles[i] for i in gallery.samples]) for gallery in galleries],
        script=script,
    )


def _tiles(report: Report, pictures: Mapping[int, Thumbnail]) -> dict[int, Tile]:
    y_true, y_prob = checked(report.y_true, report.y_prob)
    return {
        i: Tile(
            picture=picture,
            true=report.classes[y_true[i]],
            predicted=report.classes[y_prob[i].argmax()],
            probability=words.percent(float(y_prob[i].max())),
            file=report.paths[i],
        )
        for i, picture in pictures.items()
    }


def select(y_true: Ints, y_prob: Floats, seed: int = 0) -> list[Gallery]:
    """Choose the five galleries.

    Args:
        y_true: int array of shape (n_samples,).
        y_prob: float array of shape (n_samples, n_classes).
        seed: the same seed chooses the same images.

    Returns:
        Correct at random; incorrect at random; most correct and most incorrect of each (true)
        class; most uncertain. Of equal samples the first comes first.
    """
    import numpy as np

    y_true, y_prob = checked(y_true, y_prob)
    right = y_prob.argmax(axis=1) == y_true
    of_truth = y_prob[np.arange(len(y_true)), y_true]
    second, first = np.sort(y_prob, axis=1)[:, -2:].T if y_prob.shape[1] > 1 else (0, y_prob.T[0])
    rng = np.random.default_rng(seed)

    def at_random(among: np.ndarray) -> tuple[int, ...]:
        candidates = among.nonzero()[0]
        chosen = rng.choice(candidates, min(IN_A_GALLERY, len(candidates)), replace=False)
        return tuple(sorted(chosen.tolist()))

    most = MOST_IN_GALLERY // _per_class(y_prob.shape[1])
    limit = f" Only the first {most} classes are shown." if y_prob.shape[1] > most else ""
    none_wrong, none_right = "No image is misclassified.", "No image is classified correctly."
    return [
        Gallery(
            "correct-at-random",
            "Correct, at random",
            "A random sample of the correct predictions.",
            at_random(right),
            none_right,
        ),
        Gallery(
            "incorrect-at-random",
            "Incorrect, at random",
            "A random sample of the wrong predictions. Look for a pattern.",
            at_random(~right),
            none_wrong,
        ),
        Gallery(
            "most-correct",
            "Most correct of each class",
            "Correct, with the highest probability for the true class." + limit,
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
            "The probability is closest to one half."
            if y_prob.shape[1] == 2
            else "The probabilities of the two likeliest classes are closest.",
            # with two classes the margin is |2p - 1|, so this is p nearest 0.5 as well
            tuple(np.argsort(first - second, kind="stable")[:IN_A_GALLERY].tolist()),
            "",
        ),
    ]


def _of_each_class(y_true: Ints, among: np.ndarray, rank: Floats, classes: int) -> Iterator[int]:
    """The lowest ranked samples of `among`, class by class."""
    import numpy as np

    each = _per_class(classes)
    order = np.argsort(rank, kind="stable")
    order = order[among[order]]
    for label in range(min(classes, MOST_IN_GALLERY // each)):
        yield from order[y_true[order] == label][:each].tolist()


def _per_class(classes: int) -> int:
    return max(1, min(MOST_PER_CLASS, 2 * IN_A_GALLERY // classes))

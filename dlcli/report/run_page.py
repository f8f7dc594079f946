"""A run's evaluation as one page that needs nothing else, and as PNGs beside it.

The pictures to look at are five galleries, chosen from predictions alone. The choice is fast.ai's:
Practical Deep Learning for Coders, part 1 (2017), lesson 1. It shows in a minute what no score
does: mislabelled files, a class that is two, a background that gives away the answer.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli import words
from dlcli.evaluation.history import best_epoch, curves
from dlcli.evaluation.metrics import checked, confusion_matrix
from dlcli.evaluation.verdict import confusions, verdict
from dlcli.files.atomic import atomic_write
from dlcli.files.paths import shown
from dlcli.report import charts, figures
from dlcli.report.thumbnails import Thumbnail, thumbnails
from dlcli.runs.run import Run
from dlcli.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from jinja2 import Template

    from dlcli.evaluation.metrics import Floats, Ints


HERE = Path(__file__).parent
MOST_PAIRS = 10
MOST_IN_TABLE = 16  # classes; a larger matrix is drawn
MOST_DRAWN = 200  # classes; a still larger one would be all that the page is

IN_A_GALLERY = 12  # pictures: two rows of six on a page
MOST_PER_CLASS = 6
MOST_IN_GALLERY = 120  # pictures; each costs about 15 kB of the page


@dataclass(frozen=True)
class Report:
    """What a report tells, all of it read from files: no model is needed.

    Args:
        title: the run's name.
        classes: names, in the order of y_prob's columns.
        metrics: what `evaluation.metrics.evaluate(y_true, y_prob, classes)` returned.
        y_true: int array of shape (n_samples,).
        y_prob: float array of shape (n_samples, n_classes).
        root: the dataset's folder, absolute.
        paths: the samples' images, relative to `root`. Files may be gone.
        history: a mapping per epoch of epoch, loss, accuracy, val_loss, val_accuracy,
            learning_rate, phase, as far as known; may be empty.
        settings: what the run was made with, in the order to show.
        commands: what to type to get this run and this page again, a command each.
        seed: for the pictures that are chosen at random.
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
    commands: Sequence[str] = ()
    seed: int = 0


@dataclass(frozen=True)
class Gallery:
    """A handful of samples and why they were taken.

    Args:
        name: for its file: "most-uncertain".
        samples: indices into the predictions, in the order to show.
        empty: what to say where there are none.
    """

    name: str
    title: str
    note: str
    samples: tuple[int, ...]
    empty: str


@dataclass(frozen=True)
class Tile:
    """One picture of a gallery and its caption."""

    picture: Thumbnail
    true: str
    predicted: str
    probability: str
    file: str

    @property
    def right(self) -> bool:
        """Whether the prediction is true."""
        return self.true == self.predicted

    @property
    def lines(self) -> tuple[str, str]:
        """Truth and prediction, in words."""
        true, predicted = words.short(self.true), words.short(self.predicted)
        return f"is {true}", f"called {predicted}, {self.probability}"


def write_report(report: Report, folder: Path) -> Path:
    """Write `report.html`, and PNGs in `figures/`, into a run's folder; replace what was there.

    Args:
        folder: the run's directory.

    Returns:
        the page's path.
    """
    run = Run(folder)
    galleries = select(report.y_true, report.y_prob, report.seed)
    pictures = thumbnails(
        report.root, report.paths, (i for gallery in galleries for i in gallery.samples)
    )
    tiles = _tiles(report, pictures)
    confusion = confusion_matrix(report.y_true, report.y_prob)

    figures_dir = run.figures
    figures_dir.mkdir(exist_ok=True)
    captions = {i: tile.lines for i, tile in tiles.items()}
    with ThreadPoolExecutor() as pool:  # compressing pictures releases Python's lock
        sheets = [
            pool.submit(
                figures.draw_gallery,
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
        figures.draw_confusion(figures_dir / "confusion.png", confusion, report.classes)
        for sheet in sheets:
            sheet.result()
    atomic_write(run.report_file, render(report, galleries, tiles, confusion))
    return run.report_file


def render(
    report: Report, galleries: Sequence[Gallery], tiles: Mapping[int, Tile], confusion: Ints
) -> str:
    """The page's HTML: no address in it leads anywhere, no name in it can break it.

    Args:
        galleries: the pictures' choice.
        tiles: a picture with its caption for each sample of `galleries`.
        confusion: int array of shape (n_classes, n_classes).
    """
    from markupsafe import Markup

    n = len(report.classes)
    form = "table" if n <= MOST_IN_TABLE else "drawing" if n <= MOST_DRAWN else ""
    script = (HERE / "page.js").read_text(encoding="utf-8")
    return template("page.html").render(
        report=report,
        metrics=report.metrics,
        verdict=verdict(report.metrics),
        best=best_epoch(report.history),
        lines=[charts.line_chart(curve) for curve in curves(report.history)],
        chart=charts,
        form=form,
        heat=charts.heat(confusion) if form else [],
        matrix=charts.Matrix(n),
        pairs=confusions(report.metrics)[:MOST_PAIRS],
        galleries=[(gallery, [tiles[i] for i in gallery.samples]) for gallery in galleries],
        script=Markup(script),
        # only this very script may run, whatever a file's name manages to say
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
    )


def template(name: str) -> Template:
    """A page of this folder, that knows the style all pages have and how numbers are written.

    No name can break it: all text is escaped, and what can't be shown is an escape as well.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def printable(value: object) -> object:
        # surrogates can't be encoded, and a newline in a name would be lost
        if isinstance(value, bool):
            return "yes" if value else "no"
        return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        finalize=printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": words.percent, "loss": words.loss, "short": words.short}
    style = Markup((HERE / "page.css").read_text(encoding="utf-8"))
    return environment.get_template(name, globals={"style": style, "version": __version__})


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
        chosen = rng.choice(candidates, min(IN_A_GALLERY, len(candidates)), replace=False)
        return tuple(sorted(chosen.tolist()))

    most = MOST_IN_GALLERY // _per_class(y_prob.shape[1])
    limit = f" The first {most} classes." if y_prob.shape[1] > most else ""
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
            tuple(np.argsort(first - second, kind="stable")[:IN_A_GALLERY].tolist()),
            "",
        ),
    ]


def _of_each_class(y_true: Ints, among: np.ndarray, rank: Floats, classes: int) -> Iterator[int]:
    """Class after class, those of `among` that rank lowest."""
    import numpy as np

    each = _per_class(classes)
    order = np.argsort(rank, kind="stable")
    order = order[among[order]]
    for label in range(min(classes, MOST_IN_GALLERY // each)):
        yield from order[y_true[order] == label][:each].tolist()


def _per_class(classes: int) -> int:
    return max(1, min(MOST_PER_CLASS, 2 * IN_A_GALLERY // classes))

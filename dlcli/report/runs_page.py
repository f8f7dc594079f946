"""The runs of a dataset as one page that needs nothing else."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from dlcli.data.dataset import SPLITS, open_dataset
from dlcli.errors import DlError
from dlcli.evaluation.history import curves
from dlcli.files.atomic import atomic_write
from dlcli.files.formats import below
from dlcli.files.paths import shown
from dlcli.process import command_line, utc_now
from dlcli.progress import heard_by
from dlcli.report import charts
from dlcli.report.charts import RunsChart, runs_chart
from dlcli.report.compare import compare, letter
from dlcli.report.run_page import template
from dlcli.runs.filters import best_first, sorted_by
from dlcli.runs.listing import Row, epochs_of
from dlcli.runs.run import Run
from dlcli.runs.settings import LOCATIONS, differing_settings
from dlcli.words import count, loss, percent, short

FEW = 5  # runs whose curves and settings are shown one by one; the page has a colour for each
MOST_COMPARED = 100  # runs whose settings are compared, the best ones
MOST_NAMED = 12  # classes
MOST_VALUES = 4  # of a setting, in the column of all other runs


@dataclass(frozen=True)
class Line:
    """One run in the table, all of it as it is to be read.

    Args:
        number, letter: its place among the best few, from 0, and what it is called there; None and
            empty for another run.
        href: where its own report is, seen from the page; empty where there is none.
        problem: what is wrong with a damaged one.
    """

    name: str
    number: int | None
    letter: str
    href: str
    state: str
    recipe: str
    loss: str
    accuracy: str
    epochs: str
    seconds: str
    started: str
    problem: str


@dataclass(frozen=True)
class Page:
    """What the page tells.

    Args:
        place: the folder of its runs.
        filters: by which runs were chosen.
        lead: a sentence on all runs, and one on the best.
        chance: whether the two best differ by more than noise, in sentences.
        lines: the runs, the best first; damaged: those that are damaged.
        recipes: whether their recipes have a column: not where each run's name tells its own.
        letters: of the best few; names: of the same runs.
        charts: validation loss and accuracy of these.
        settings: for each setting that differs its name, its value in each of these runs, and, if
            there are others, its values there; settings_note: which runs were looked at.
        others: whether there are others.
        command: what makes the page; made: when.
    """

    dataset: str
    place: str
    filters: Sequence[str]
    lead: str
    chance: Sequence[str]
    lines: Sequence[Line]
    damaged: Sequence[Line]
    recipes: bool
    letters: Sequence[str]
    names: Sequence[str]
    charts: Sequence[RunsChart]
    settings: Sequence[Sequence[str]]
    settings_note: str
    others: bool
    about: Mapping[str, str]
    command: str
    made: str


def write_runs_page(
    path: Path, rows: Sequence[Row], dataset: str, root: Path | None, filters: Sequence[str] = ()
) -> None:
    """Write the page, whole; replace what was there.

    Args:
        rows: the runs, at least one, with their settings read.
        root: its folder; None: not here.
        filters: by which the runs were chosen, as typed.
    """
    whole = sorted_by([row for row in rows if not row.problem], "val_loss")
    best = best_first(whole, "val_loss")[:FEW]
    letters = {row.run: letter(number) for number, row in enumerate(best)}
    others = [row for row in whole if row.run not in letters]
    compared = [*best, *others[: MOST_COMPARED - len(best)]]
    page = Page(
        dataset=dataset,
        place=shown(rows[0].run.path.parent),
        filters=filters,
        lead=_lead(rows, best),
        chance=_chance(best, len(whole)),
        lines=[_line(row, letters, path) for row in whole],
        damaged=[_line(row, letters, path) for row in rows if row.problem],
        recipes=not all(f"-{row.values['recipe']}" in row.run.name for row in whole),
        letters=[*letters.values()],
        names=[row.run.name for row in best],
        charts=_charts(best),
        settings=_settings(compared, len(best)),
        settings_note=_settings_note(len(compared), len(whole)),
        others=len(compared) > len(best),
        about=_about(dataset, root, whole),
        command=command_line(),
        made=f"{_minute(utc_now())} UTC",
    )
    atomic_write(path, template("runs.html").render(page=page, chart=charts))


def _lead(rows: Sequence[Row], best: Sequence[Row]) -> str:
    states = Counter(row.state for row in rows).most_common()
    if len(states) == 1:
        state = states[0][0]
        counted = f"{count(len(rows), 'run')}, {'all ' if len(rows) > 1 else ''}{state}."
    else:
        counted = f"{len(rows):,} runs: {', '.join(f'{n:,} {state}' for state, n in states)}."
    if not best:
        return counted
    values = best[0].values
    accuracy = values["val_accuracy"]
    right = "" if accuracy is None else f", accuracy {percent(accuracy)}"
    by_recipe = f"{values['recipe']}: " if values["recipe"] else ""
    return f"{counted} The best is A, {by_recipe}validation loss {loss(values['val_loss'])}{right}."


def _chance(best: Sequence[Row], runs: int) -> list[str]:
    """Whether the two best differ by more than noise, with whatever has to be known besides."""
    if len(best) < 2:
        return []
    said: list[str] = []
    try:
        with heard_by(said.append):
            (contrast,) = compare([row.run for row in best[:2]]).contrasts
    except DlError as error:
        why = f": {error.why}" if error.why else ""
        return [f"Whether A and B differ by more than chance can't be told. {error.what}{why}."]
    if runs > 2:
        said.append(
            f"A and B are the best of {runs:,} by these very images, so both will do a little "
            "worse on new ones."
        )
    return [contrast.about_loss, contrast.about_accuracy, *said]


def _line(row: Row, letters: Mapping[Run, str], page: Path) -> Line:
    values = row.values
    named = letters.get(row.run, "")
    return Line(
        name=row.run.name,
        number=[*letters].index(row.run) if named else None,
        letter=named,
        href=_href(row.run.report_file, page),
        state=row.state,
        recipe=str(values["recipe"] or ""),
        loss=_number(values["val_loss"], 4),
        accuracy=_number(values["val_accuracy"], 4),
        epochs=epochs_of(row),
        seconds=_number(values["seconds"], 1),
        started=_minute(str(values["started"] or "")),
        problem=row.problem,
    )


def _href(report: Path, page: Path) -> str:
    if not report.is_file():
        return ""
    return quote(os.fsencode(os.path.relpath(report, page.parent)))


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _minute(time: str) -> str:
    """An ISO time to the minute."""
    return time[:16].replace("T", " ")


def _charts(best: Sequence[Row]) -> list[RunsChart]:
    found = [
        (number, letter(number), curve)
        for number, row in enumerate(best)
        for curve in curves(row.run.history)
    ]
    drawn = [
        runs_chart(metric, [each for each in found if each[2].metric == metric])
        for metric in ("loss", "accuracy")
    ]
    return [each for each in drawn if each]


def _settings(compared: Sequence[Row], few: int) -> list[list[str]]:
    """A row for each setting that differs, but for where data lies and what a machine bears."""
    if len(compared) < 2:
        return []
    return [
        [
            each.setting,
            *(short(text, 24) for text in each.texts[:few]),
            *([_values(each.texts[few:])] if len(compared) > few else []),
        ]
        for each in differing_settings([row.run for row in compared])
        if each.setting not in LOCATIONS
    ]


def _values(values: Sequence[str]) -> str:
    """Which values a setting has, the commonest first, and how often."""
    counts = Counter(short(value, 24) or "none" for value in values).most_common()
    texts = [f"{text} ({count})" if len(values) > 1 else text for text, count in counts]
    more = f", {len(texts) - MOST_VALUES} more" if len(texts) > MOST_VALUES else ""
    return ", ".join(texts[:MOST_VALUES]) + more


def _settings_note(compared: int, whole: int) -> str:
    of = f" Compared are the {compared:,} best of {whole:,} runs." if compared < whole else ""
    return f"An empty cell is a setting that is unset, or that the run doesn't have.{of}"


def _about(dataset: str, root: Path | None, rows: Sequence[Row]) -> dict[str, str]:
    """What the dataset is: as it lies there, or else as the newest run recorded it."""
    try:
        if root is None:
            raise DlError("it is not here")
        found = open_dataset(root)
    except DlError as error:
        about = {"dataset": dataset, "now": f"{error.what}."}
        newest = max(rows, key=lambda row: str(row.values["started"] or ""), default=None)
        config = newest.run.config if newest else {}
        images = below(config, "run", "dataset", "images")
        counts = dict(images) if isinstance(images, Mapping) else {}
        classes = below(config, "run", "classes")
        names = [str(name) for name in classes] if isinstance(classes, list) else []
    else:
        about = {"dataset": shown(found.root)}
        counts = {split: len(found.splits[split]) for split in SPLITS}
        names = [*found.classes]
    images_of = {f"{split} images": f"{n:,}" for split, n in counts.items() if isinstance(n, int)}
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    listed = ", ".join(short(name) for name in names[:MOST_NAMED]) + more
    return {**about, **images_of, **({f"{len(names):,} classes": listed} if names else {})}

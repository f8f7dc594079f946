"""A page of all runs of a dataset, as one self-contained HTML file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from dlcli.data.dataset import SPLITS
from dlcli.data.photos.photos import open_photos
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
from dlcli.report.page import template
from dlcli.runs.filters import best_first, sorted_by
from dlcli.runs.listing import Row, epochs_of
from dlcli.runs.run import Run
from dlcli.runs.settings import LOCATIONS, differing_settings
from dlcli.words import count, first_of, loss, percent, short

MOST_SHOWN = 5  # best runs with own curves and settings; the page has a colour for each
MOST_COMPARED = 100  # best runs whose settings are compared
MOST_NAMED = 12  # classes
MOST_VALUES = 4  # of a setting, in the column of all other runs


@dataclass(frozen=True)
class Line:
    """One run in the table, as text.

    Args:
        number, letter: its place among the best few, from 0, and its letter there; None and empty
            for other runs.
        href: its own report, relative to the page; empty if there is none.
        problem: what is wrong with a damaged run.
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
    best_epoch: str
    seconds: str
    started: str
    problem: str


@dataclass(frozen=True)
class Page:
    """The content of the page.

    Args:
        place: the folder of its runs.
        filters: the filters that chose the runs.
        lead: a sentence on all runs, and one on the best.
        chance: sentences on whether the two best runs differ significantly.
        lines: the runs, best first; damaged: the damaged runs.
        recipes: whether recipes have a column; not if each run's name contains its recipe.
        letters: of the best few; names: of the same runs.
        charts: validation loss and accuracy of the best few.
        settings: for each differing setting its name, its value in each of the best few, and its
            values in the other runs, if any; settings_note: which runs were compared.
        others: whether there are other runs.
        about: facts about the dataset.
        command: the command that makes the page; made: when.
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
    """Write the page; an existing one is replaced.

    Args:
        rows: the runs, at least one, with their settings.
        root: its folder; None if it is not here.
        filters: the filters that chose the runs, as typed.
    """
    whole = sorted_by([row for row in rows if not row.problem], "val_loss")
    best = best_first(whole, "val_loss")[:MOST_SHOWN]
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
    """Sentences on whether the two best runs differ significantly, with any warnings."""
    if len(best) < 2:
        return []
    said: list[str] = []
    try:
        with heard_by(said.append):
            (contrast,) = compare([row.run for row in best[:2]]).contrasts
    except DlError as error:
        why = f": {error.why}" if error.why else ""
        return [f"A and B can't be compared. {error.what}{why}."]
    if runs > 2:
        said.append(
            f"A and B are the best of {runs:,} runs on these images. Expect slightly worse scores "
            "on new images."
        )
    return [*contrast.sentences, *said]


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
        best_epoch=_number(values["best_epoch"], 0),
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
    """A row for each differing setting, without locations and limits of the computer."""
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
    """The values of a setting, most frequent first, with their counts."""
    counts = Counter(short(value, 24) or "none" for value in values).most_common()
    texts = [f"{text} ({count})" if len(values) > 1 else text for text, count in counts]
    more = f", {len(texts) - MOST_VALUES} more" if len(texts) > MOST_VALUES else ""
    return ", ".join(texts[:MOST_VALUES]) + more


def _settings_note(compared: int, whole: int) -> str:
    of = f" Only the {compared:,} best of {whole:,} runs are compared." if compared < whole else ""
    return f"An empty cell means that the setting is unset or that the run does not have it.{of}"


def _about(dataset: str, root: Path | None, rows: Sequence[Row]) -> dict[str, str]:
    """Facts about the dataset: from its folder, or from the newest run's record."""
    try:
        if root is None:
            raise DlError("it is not here")
        found = open_photos(root)
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
    listed = first_of([*map(short, names)], MOST_NAMED)
    return {**about, **images_of, **({f"{len(names):,} classes": listed} if names else {})}

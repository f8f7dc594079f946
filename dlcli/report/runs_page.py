"""A page of all runs of a dataset, as one self-contained HTML file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from dlcli.data.dataset import NOUNS, SPLITS, UNMARKED
from dlcli.data.kinds import open_dataset
from dlcli.errors import DlError
from dlcli.evaluation.history import curves
from dlcli.evaluation.scores import HIGHER, NAMES, TITLES
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
from dlcli.settings_file import RECORD
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
        scores: a text for each of the page's.
        problem: what is wrong with a damaged run.
    """

    name: str
    number: int | None
    letter: str
    href: str
    state: str
    recipe: str
    scores: Sequence[str]
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
        scores: the titles of the validation scores' columns.
        lines: the runs, best first; damaged: the damaged runs.
        recipes: whether recipes have a column; not if each run's name contains its recipe.
        letters: of the best few; names: of the same runs.
        charts: validation scores of the best few.
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
    scores: Sequence[str]
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
    scores = _scores(rows)
    page = Page(
        dataset=dataset,
        place=shown(rows[0].run.path.parent),
        filters=filters,
        lead=_lead(rows, best),
        chance=_chance(best, len(whole)),
        scores=[f"valid {TITLES[name]}" for name in scores],
        lines=[_line(row, letters, path, scores) for row in whole],
        damaged=[_line(row, letters, path, scores) for row in rows if row.problem],
        recipes=not all(f"-{row.values['recipe']}" in row.run.name for row in whole),
        letters=[*letters.values()],
        names=[row.run.name for row in best],
        charts=_charts(best, scores),
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
    others = "".join(
        f", {TITLES[name]} {(percent if name in HIGHER else loss)(values[f'val_{name}'])}"
        for name in _scores(best[:1])[1:]
        if values.get(f"val_{name}") is not None
    )
    by_recipe = f"{values['recipe']}: " if values["recipe"] else ""
    of_best = f"{by_recipe}validation loss {loss(values['val_loss'])}{others}"
    return f"{counted} The best is A, {of_best}."


def _scores(rows: Sequence[Row]) -> list[str]:
    """The names of the scores that the runs have: the loss, and what a run has besides."""
    there = [n for n in NAMES if any(row.values.get(f"val_{n}") is not None for row in rows)]
    return there if len(there) > 1 else [*NAMES[:2]]


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


def _line(row: Row, letters: Mapping[Run, str], page: Path, scores: Sequence[str]) -> Line:
    values = row.values
    named = letters.get(row.run, "")
    return Line(
        name=row.run.name,
        number=[*letters].index(row.run) if named else None,
        letter=named,
        href=_href(row.run.report_file, page),
        state=row.state,
        recipe=str(values["recipe"] or ""),
        scores=[_number(values.get(f"val_{name}"), 4) for name in scores],
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


def _charts(best: Sequence[Row], scores: Sequence[str]) -> list[RunsChart]:
    found = [
        (number, letter(number), curve)
        for number, row in enumerate(best)
        for curve in curves(row.run.history)
    ]
    drawn = [
        runs_chart(metric, [each for each in found if each[2].metric == metric])
        for metric in scores
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
        found = open_dataset(root)
    except DlError as error:
        about = {"dataset": dataset, "now": f"{error.what}."}
        newest = max(rows, key=lambda row: str(row.values["started"] or ""), default=None)
        record = below(newest.run.config, RECORD) if newest else {}
        noun = NOUNS.get(str(below(record, "kind")), NOUNS[UNMARKED])
        held = below(record, "dataset", f"{noun}s")
        counts = dict(held) if isinstance(held, Mapping) else {}
        labels = below(record, "classes")
        classes = tuple(map(str, labels)) if isinstance(labels, list) else ()
    else:
        about, noun = {"dataset": shown(found.root)}, found.noun
        counts, classes = {split: found.sizes[split] for split in SPLITS}, found.class_names
    sizes = {f"{split} {noun}s": f"{n:,}" for split, n in counts.items() if isinstance(n, int)}
    listed = first_of([*map(short, classes)], MOST_NAMED)
    return {**about, **sizes, **({f"{len(classes):,} classes": listed} if classes else {})}

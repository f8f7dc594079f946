"""The report of a run of ratings: one self-contained HTML page, and figures as PNGs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli import words
from dlcli.evaluation.history import best_epoch, curves
from dlcli.evaluation.ratings import gain_over, verdict
from dlcli.files.atomic import atomic_write, remove_leftovers
from dlcli.report import charts
from dlcli.report.figures import draw_curves
from dlcli.report.page import Script, style_of, template
from dlcli.report.ratings.charts import (
    END,
    MAP_HEIGHT,
    MAP_WIDTH,
    MapChart,
    histogram,
    map_chart,
    predicted_by_rating,
)
from dlcli.report.ratings.figures import draw_map, draw_residuals
from dlcli.report.ratings.items import ItemMap, Items, extremes, fewest_listed, map_of
from dlcli.runs.run import Run

if TYPE_CHECKING:
    from dlcli.evaluation.ratings import Floats

# Of the table of nearest items; the map has them of all its items.
MOST_IN_TABLE = 15


@dataclass(frozen=True)
class Report:
    """The content of a report. It comes from files and arrays; no model is needed.

    Args:
        title: the run's name.
        metrics: what `evaluation.ratings.evaluate` returned; with `ranking`, what
            `ranking.evaluate` returned; `baselines` may be empty.
        y_true, y_pred: ratings and predictions, float arrays of shape (n_ratings,).
        items: what the model learned about items; None if neither model nor dataset is there.
        diagnosis: what the training's found, in a sentence; "" if there is none.
        history: a mapping for each epoch; may be empty.
        settings: the run's settings, in the order to show.
        commands: the commands that make this run and this page again.
    """

    title: str
    recipe: str
    metrics: Mapping[str, Any]
    y_true: Floats
    y_pred: Floats
    items: Items | None = None
    diagnosis: str = ""
    history: Sequence[Mapping[str, Any]] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    commands: Sequence[str] = ()


def write_report(report: Report, folder: Path) -> Path:
    """Write `report.html` and `figures/` into a run's folder; existing files are replaced.

    Returns:
        the page's path.
    """
    run = Run(folder)
    found = map_of(report.items) if report.items else None
    chart = map_chart(found, report.items) if found and report.items else None
    figures = run.figures
    figures.mkdir(exist_ok=True)
    remove_leftovers(figures)  # a killed call leaves one for each figure
    if lines := curves(report.history):
        draw_curves(figures / "curves.png", lines)
    residuals = report.metrics["residuals"]
    draw_residuals(figures / "residuals.png", residuals, report.y_true, report.y_pred)
    if chart:
        draw_map(figures / "items.png", chart)
    else:
        (figures / "items.png").unlink(missing_ok=True)
    atomic_write(run.report_file, render(report, found, chart))
    return run.report_file


def render(report: Report, found: ItemMap | None, chart: MapChart | None) -> str:
    """The page's HTML. It loads nothing from the network, and all names in it are escaped.

    Args:
        found, chart: the map of the items, and its drawing.
    """
    metrics, items = report.metrics, report.items
    lowest, highest = extremes(items) if items else ([], [])
    groups = [*metrics["by_user_activity"], *metrics["by_item_popularity"]]
    return template("ratings/page.html").render(
        report=report,
        metrics=metrics,
        verdict=verdict(metrics),
        best=min(
            metrics["baselines"].items(), key=lambda item: float(item[1]["mse"]), default=None
        ),
        best_epoch=best_epoch(report.history),
        lines=[charts.line_chart(curve) for curve in curves(report.history)],
        chart=charts,
        bars=histogram(metrics["residuals"]),
        predicted=predicted_by_rating(report.y_true, report.y_pred),
        worst=max((float(group["mse"]) for group in groups), default=0.0),
        items=items,
        lowest=lowest,
        highest=highest,
        fewest=fewest_listed(items.counts) if items else 0,
        map=chart,
        no_map=_why_no_map(items, found),
        end=END,
        width=MAP_WIDTH,
        height=MAP_HEIGHT,
        nearest=_nearest(items, found) if items and found else [],
        own_style=style_of("ratings/page.css"),
        script=Script.of("ratings/page.js"),
        interval=_interval,
        gain_over=gain_over,
    )


def _why_no_map(items: Items | None, found: ItemMap | None) -> str:
    if found or items is None:
        return ""
    if items.vectors is None:
        return "This model has no layer `item_vectors`, so there are no vectors to draw."
    return "The vectors of the items do not differ, or are too few or too short for a map."


def _nearest(items: Items, found: ItemMap) -> list[tuple[str, list[tuple[str, float]]]]:
    """The nearest items of those with the most ratings, by name, with their cosines."""
    rows = zip(found.items.tolist(), found.nearest.tolist(), found.cosines.tolist(), strict=True)
    return [
        (
            items.names[row],
            [(items.names[other], cosine) for other, cosine in zip(near, cosines, strict=True)],
        )
        for row, near, cosines in [*rows][:MOST_IN_TABLE]
    ]


def _interval(ends: Sequence[float] | None) -> str:
    if ends is None:
        return "one user: no interval"
    return f"95{words.NBSP}% interval {ends[0]:.4f} to {ends[1]:.4f}"

"""`dl ladder`: train the course's recipes in order on one dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import JSON, with_dataset
from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.config import Config
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.settings.augmentation import AMOUNTS
from dlcli.settings.shared import BACKBONE_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dlcli.report.ladder import Result
    from dlcli.runs.ladder import Ladder

# The names of scores in the table, so that the longest name of a step fits beside them.
SHORT = {"loss": "loss", "accuracy": "acc", "rmse": "RMSE"}
# Settings that the next command must repeat.
KEYS = ["seed", "on_error", "memory", *BACKBONE_SETTINGS, *AMOUNTS]


@click.command(cls=Command)
@click.option("--full", is_flag=True, help="train on the whole dataset, not on its sample")
@click.option("--again", "anew", is_flag=True, help="start a new ladder, even if one exists")
@JSON
@with_dataset("workers", *KEYS)
def command(config: Config, full: bool, anew: bool, as_json: bool) -> None:
    """Train the course's recipes in order, and compare them.

    The course is fast.ai's of 2017. The steps go from a linear model on the pixels to new layers on
    a pretrained network; on ratings, from biases to a network. Each step is a run. It trains on the
    dataset's sample (see `dl data sample`), or with --full on the whole dataset; on ratings always
    on the dataset that is named. Ctrl-C shows the results so far. The same command
    resumes a stopped ladder and shows a finished one again. Hyperparameters come from the settings,
    such as `train.cnn.schedule`.
    """
    from dlcli.data.choice import choose_dataset
    from dlcli.experiments.ladder import Stopped, choose_examples, climb
    from dlcli.report.ladder import best_of

    named = choose_dataset(config)
    choice = choose_examples(named, full)
    say(str(choice))
    try:
        ladder, results = climb(config, choice.root, anew)
    except Stopped as stop:
        if stop.ladder and stop.results:
            _show(stop.ladder, choice.root, stop.results, as_json)
        raise
    _show(ladder, choice.root, results, as_json)
    if best := best_of(results):
        say(f"Best: {best.step}; next: `{_next(config, choice.root, best)}`")


def _show(ladder: Ladder, root: Path, results: Sequence[Result], as_json: bool) -> None:
    from dlcli.data.dataset import kind_of
    from dlcli.report.ladder import MARKDOWN, PICTURE, titles_of

    kind = kind_of(root)
    if as_json:
        emit_json(_plain(ladder, root, results, kind))
    else:
        header = ("step", *titles_of(kind, SHORT), "seconds", "params")
        print_table(header, _aligned(header, [result.cells(kind) for result in results]))
        click.echo()
        print_table(["step", "what it shows"], [[each.step, each.finding] for each in results])
    say(f"Table: {shown(ladder.path / MARKDOWN)}; figure: {shown(ladder.path / PICTURE)}")


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Right-align numbers that are already formatted."""
    widths = [0, *map(len, header[1:])]
    return [[cell.rjust(widths[i]) for i, cell in enumerate(row)] for row in rows]


def _plain(ladder: Ladder, root: Path, results: Sequence[Result], kind: str) -> dict[str, Any]:
    """The ladder as plain values for JSON."""
    from dataclasses import asdict

    from dlcli.report.ladder import best_of

    best = best_of(results)
    return {
        "ladder": str(ladder.path),
        "dataset": str(root),
        "best": best.step if best else None,
        "steps": [
            {
                "step": each.step,
                "recipe": each.recipe,
                "command": each.command,
                "run": str(each.run),
                "failed": each.failed,
                "diagnosis": asdict(each.diagnosis) if each.diagnosis else None,
                **each.measured(kind),
            }
            for each in results
        ],
    }


def _next(config: Config, root: Path, best: Result) -> str:
    """The next command: train the best step on the whole dataset, or its report if it was."""
    from dlcli.catalog import recipe_keys
    from dlcli.data.choice import again
    from dlcli.data.dataset import whole_of
    from dlcli.runs.choice import same_runs

    whole = whole_of(root)
    if whole is None:
        return f"dl evaluate {best.run.name}{same_runs(config)}"
    taken = [key for key in recipe_keys(best.recipe) if key in KEYS]
    if "--augment" not in best.command:
        taken = [key for key in taken if key not in AMOUNTS]
    return f"{best.command}{config.retyped(taken)}{again(whole)}{same_runs(config)}"

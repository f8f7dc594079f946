"""`dl evaluate`: compute a run's metrics and write its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import click

from dlcli.cli.evaluate.photos import WORST
from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import JSON, WholeNumber, with_config, with_tta
from dlcli.cli.parts.tables import WIDE, emit_json
from dlcli.config import Config
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.settings.augmentation import AMOUNTS

if TYPE_CHECKING:
    from dlcli.runs.choice import ChosenRun

# Of the lists that `--top` scores.
MOST_LISTED = 1_000


class Printer(Protocol):
    """What the module of each kind has."""

    def print_evaluation(self, found: Any, *, everything: bool, wide: bool) -> None:
        """Print what the evaluation found; `everything` is `--all`."""

    def next_command(self, config: Config, chosen: ChosenRun, named: str | None, views: int) -> str:
        """The next command after an evaluation; `named` is the RUN that was typed."""


def _photos() -> Printer:
    from dlcli.cli.evaluate import photos

    return photos


def _ratings() -> Printer:
    from dlcli.cli.evaluate import ratings

    return ratings


PRINTERS: Mapping[str, Callable[[], Printer]] = {"photos": _photos, "ratings": _ratings}


@click.command(cls=Command)
@click.argument("run", required=False, shell_complete=complete_run)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help=f"of photos: print all classes, not only the {WORST} with the lowest F1",
)
@click.option(
    "--top",
    type=WholeNumber(1, MOST_LISTED),
    metavar="K",
    help="of ratings: also score the list of the K best items for each user",
)
@WIDE
@JSON
@with_tta
@with_config("dataset", "workers", "weights", "on_error", "seed", *AMOUNTS)
def command(
    config: Config,
    run: str | None,
    everything: bool,
    top: int | None,
    wide: bool,
    as_json: bool,
    tta: int | None,
) -> None:
    """Compute the metrics of a run, and write a report.

    It evaluates RUN on its validation images or ratings, and writes `metrics.yaml`, `report.html`
    and figures into the run's folder. Without RUN it takes the newest finished run of the current
    dataset.
    """
    from dlcli.inference.tta import require_views
    from dlcli.report.evaluate import evaluate_run
    from dlcli.runs.choice import choose_run, say_chosen

    views = require_views(config, tta)
    chosen = choose_run(config, run)
    say_chosen(chosen, config, "evaluate")
    found = evaluate_run(chosen.run, chosen.root, config, views=views, top=top or 0)
    of_kind = PRINTERS[chosen.run.record.kind]()
    if as_json:
        emit_json(found.metrics)
    else:
        of_kind.print_evaluation(found, everything=everything, wide=wide)
    say(f"Report: {shown(found.page)}; {of_kind.next_command(config, chosen, run, views)}")

"""`dl runs report`: the runs of a dataset as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlcli.cli.helping import Command
from dlcli.cli.options import with_config
from dlcli.cli.runs import FILTERS, choose_runs
from dlcli.config import Config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlcli.runs.listing import Row

PAGE = "report.html"


@click.command("report", cls=Command)
@FILTERS
@click.option(
    "--to",
    "to",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help=f"the page to write  [default: {PAGE} beside the runs]",
)
@with_config("dataset")
def report_command(config: Config, filters: tuple[str, ...], to: Path | None) -> None:
    """Write a page on a dataset's runs: table, curves, settings, and what chance explains.

    FILTER as in `dl runs ls`.
    """
    from dlcli.errors import DlError, ExitCode
    from dlcli.files.paths import shown
    from dlcli.progress import say
    from dlcli.report.runs_page import write_runs_page
    from dlcli.runs.filters import filtered, read_filter
    from dlcli.runs.listing import list_runs

    if to is not None and not to.parent.is_dir():
        raise DlError(
            f"Can't write {shown(to)}",
            why=f"no folder {shown(to.parent)}",
            hint="Make it first, or name another place.",
            exit_code=ExitCode.USAGE,
        )
    wanted = [read_filter(text) for text in filters]
    dataset, root = choose_runs(config)
    assert dataset is not None
    runs_dir = config.settings().runs_dir
    rows = list_runs(runs_dir, dataset, settings=True)
    kept = filtered(rows, wanted)
    if not kept:
        raise DlError(
            f"No run of {shown(dataset)} in {shown(runs_dir)}" + " passes the filters" * bool(rows),
            hint="`dl runs` lists what there is." if rows else "Train one: `dl train finetune`.",
        )
    page = to or runs_dir / dataset / PAGE
    write_runs_page(page, kept, dataset, root, [str(each) for each in wanted])
    say(f"Report: {shown(page)}; next: `{_next(kept, config)}`")


def _next(rows: Sequence[Row], config: Config) -> str:
    """What one does with the best run, or to have one."""
    from dlcli.runs.choice import name_to_type, same_runs
    from dlcli.runs.filters import best_first

    best = next(iter(best_first(rows, "val_loss")), None)
    if best is None:
        return "dl train finetune"
    done = "submit" if best.run.report_file.is_file() else "evaluate"
    return f"dl {done} {name_to_type(best.run, config.settings().runs_dir)}{same_runs(config)}"

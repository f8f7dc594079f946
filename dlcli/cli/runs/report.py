"""`dl runs report` and `dl runs tensorboard`: a dataset's runs as a page or in TensorBoard."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import TypedPath, WholeNumber, with_config
from dlcli.cli.runs.choice import FILTERS, choose_runs, find_named, next_command, select_runs
from dlcli.config import Config
from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import cache_home, shown
from dlcli.progress import say
from dlcli.words import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlcli.runs.listing import Row

    History = list[dict[str, float | str]]


PAGE = "report.html"


@click.command("report", cls=Command)
@FILTERS
@click.option(
    "--to",
    "to",
    type=TypedPath(dir_okay=False),
    metavar="FILE",
    help=f"file of the page  [default: {PAGE} beside the runs]",
)
@with_config("dataset")
def report_command(config: Config, filters: tuple[str, ...], to: Path | None) -> None:
    """Write an HTML page on a dataset's runs.

    The page has a table, the curves and the settings of the runs. It says which differences chance
    can explain. FILTER is as in `dl runs ls`.
    """
    from dlcli.report.runs_page import write_runs_page
    from dlcli.runs.choice import training
    from dlcli.runs.filters import best_first

    if to is not None and not to.parent.is_dir():
        raise DlError(
            f"Can't write {shown(to)}",
            why=f"there is no folder {shown(to.parent)}",
            hint="Make the folder, or name another file.",
            exit_code=ExitCode.USAGE,
        )
    found = select_runs(config, filters, settings=True)
    found.require_some()
    assert found.dataset is not None
    page = to or found.place / PAGE
    asked = list(map(str, found.filters))
    write_runs_page(page, found.kept, found.dataset, found.root, asked)
    best = next(iter(best_first(found.kept, "val_loss")), None)
    command = next_command(best.run, config) if best else training(found.runs_dir, found.root)
    say(f"Report: {shown(page)}; next: `{command}`")


@click.command("tensorboard", cls=Command)
@click.argument("named", metavar="[RUN]...", nargs=-1, shell_complete=complete_run)
@click.option(
    "--port",
    type=WholeNumber(1, 65535),
    metavar="N",
    help="port on 127.0.0.1  [default: the first free one from 6006 on]",
)
@with_config("dataset")
def tensorboard_command(config: Config, named: tuple[str, ...], port: int | None) -> None:
    """Show the curves of runs in TensorBoard, until Ctrl-C.

    Without RUN, it shows all runs of the dataset. The curves come from `history.csv`, so it also
    shows runs that were trained without `--tensorboard`.
    """
    from tempfile import TemporaryDirectory

    from dlcli.report.compare import names_of
    from dlcli.runs.listing import find_listed, list_runs, read_row
    from dlcli.runs.tensorboard import begin_events, require_tensorboard, serve

    require_tensorboard()
    if named:
        rows = list(map(read_row, dict.fromkeys(find_named(config, named, find_listed))))
    else:
        rows = list_runs(config.settings().runs_dir, choose_runs(config)[0])
    chosen = _with_curves(rows)
    cache_home().mkdir(parents=True, exist_ok=True)
    _end_on_signals()
    with TemporaryDirectory(prefix="tensorboard-", dir=cache_home()) as folder:
        names = names_of([row.run for row, _ in chosen])
        for name, (row, history) in zip(names, chosen, strict=True):
            started, seconds = row.values["started"], row.values["seconds"]
            begin_events(Path(folder) / name, history, str(started), seconds or 0.0)
        address = serve(Path(folder), port)
        say(f"TensorBoard shows {count(len(chosen), 'run')}; Ctrl-C ends it.")
        click.echo(address)
        while True:
            time.sleep(1)


def _with_curves(rows: Sequence[Row]) -> list[tuple[Row, History]]:
    """The runs that have a history, with it; prints which have none.

    Raises:
        DlError: none has.
    """
    found = []
    for row in rows:
        if row.problem:
            say(f"Left out {row.run.name}, which is damaged: {row.problem}.")
        elif history := row.run.history:
            found.append((row, history))
        else:
            say(f"Left out {row.run.name}, which has no history.")
    if not found:
        raise DlError(
            "There are no curves to show",
            why="none of the runs has a history",
            hint="`dl runs` lists all.",
        )
    return found


def _end_on_signals() -> None:
    """Treat a closed terminal and a `kill` as Ctrl-C, so that the event files are removed."""
    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)

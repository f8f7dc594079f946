"""`dl runs tensorboard`: the curves of runs in TensorBoard."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlcli.cli.completing import complete_run
from dlcli.cli.helping import Command
from dlcli.cli.options import with_config
from dlcli.cli.runs import choose_runs
from dlcli.config import Config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlcli.runs.listing import Row

    History = list[dict[str, float | str]]


@click.command("tensorboard", cls=Command)
@click.argument("named", metavar="[RUN]...", nargs=-1, shell_complete=complete_run)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="N",
    help="port of 127.0.0.1 to answer on  [default: the first free one from 6006 on]",
)
@with_config("dataset")
def tensorboard_command(config: Config, named: tuple[str, ...], port: int | None) -> None:
    """Show the curves of runs in TensorBoard, until Ctrl-C.

    All runs of a dataset where none is named. They need not have been trained with
    `--tensorboard`: the curves come from their `history.csv`.
    """
    from tempfile import TemporaryDirectory

    from dlcli.files.paths import cache_home
    from dlcli.progress import say
    from dlcli.report.compare import names_of
    from dlcli.runs.listing import find_listed, list_runs, read_row
    from dlcli.runs.tensorboard import begin_events, require_tensorboard, serve

    require_tensorboard()
    runs_dir = config.settings().runs_dir
    if named:
        rows = [read_row(run) for run in dict.fromkeys(find_listed(n, runs_dir) for n in named)]
    else:
        rows = list_runs(runs_dir, choose_runs(config)[0])
    shown = _with_curves(rows)
    cache_home().mkdir(parents=True, exist_ok=True)
    _be_told_of_the_end()
    with TemporaryDirectory(prefix="tensorboard-", dir=cache_home()) as folder:
        names = names_of([row.run for row, _ in shown])
        for name, (row, history) in zip(names, shown, strict=True):
            started, seconds = row.values["started"], row.values["seconds"]
            begin_events(Path(folder) / name, history, str(started), seconds or 0.0)
        address = serve(Path(folder), port)
        say(f"TensorBoard shows {len(shown):,} run{'s' * (len(shown) > 1)}; Ctrl-C ends it.")
        click.echo(address)
        while True:
            time.sleep(1)


def _with_curves(rows: Sequence[Row]) -> list[tuple[Row, History]]:
    """Those of some runs that have a history, with it; says which have none.

    Raises:
        DlError: none has.
    """
    from dlcli.errors import DlError
    from dlcli.progress import say

    found = []
    for row in rows:
        if row.problem:
            say(f"Left out, damaged: {row.run.name}: {row.problem}.")
        elif history := row.run.history():
            found.append((row, history))
        else:
            say(f"Left out, without a history: {row.run.name}.")
    if not found:
        raise DlError(
            "There are no curves to show",
            why="no run here has a history",
            hint="`dl runs` lists what there is.",
        )
    return found


def _be_told_of_the_end() -> None:
    """Take a terminal that is closed, and a plain `kill`, for Ctrl-C: the event files then go."""
    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)

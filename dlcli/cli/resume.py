"""`dl resume`: go on with a run that was stopped."""

from __future__ import annotations

import click

from dlcli.cli.completing import complete_run
from dlcli.cli.options import Command, with_config
from dlcli.cli.train import print_result
from dlcli.config import Config


@click.command(cls=Command)
@click.argument("run", shell_complete=complete_run)
@with_config()
def command(config: Config, run: str) -> None:
    """Go on with a stopped RUN from its last finished epoch, in its own folder."""
    import shlex

    from dlcli.current import find_run, same_runs
    from dlcli.resuming import resume

    stopped = find_run(run, config.settings().runs_dir)
    resume(stopped)
    print_result(stopped, f"dl evaluate {shlex.quote(run)}{same_runs(config)}")

"""`dl runs verify`: does the same come out again?"""

from __future__ import annotations

import click

from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import with_config
from dlcli.config import Config
from dlcli.errors import DlError
from dlcli.progress import say


@click.command("verify", cls=Command)
@click.argument("run", shell_complete=complete_run)
@with_config()
def verify_command(config: Config, run: str) -> None:
    """Train RUN again, elsewhere, and say whether its history is the same.

    Nothing of it is kept. The same seed on the same machine gives the same history; another
    processor adds in another order, so that the last digits may differ.
    """
    from dlcli.runs.choice import find_run
    from dlcli.training.launch import verify

    old = find_run(run, config.settings().runs_dir)
    difference = verify(old, config.settings().data_dir)
    if difference is None:
        click.echo(f"the same history: {len(old.history)} epochs")
        say(f"{old.name} can be made again from its settings.")
        return
    raise DlError(
        f"Another history: {difference.column} of epoch {difference.epoch} was "
        f"{difference.before}, now it is {difference.now}",
        why="up to there they are the same",
        hint=f"What ran then is in {old.name}'s `config.yaml`: versions, platform, images.",
    )

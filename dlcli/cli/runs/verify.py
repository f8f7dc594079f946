"""`dl runs verify`: check that a run is reproducible."""

from __future__ import annotations

import click

from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import with_config
from dlcli.cli.runs.choice import named_or_last
from dlcli.config import Config
from dlcli.errors import DlError
from dlcli.progress import say


@click.command("verify", cls=Command)
@click.argument("named", metavar="[RUN]", required=False, shell_complete=complete_run)
@with_config("dataset")
def verify_command(config: Config, named: str | None) -> None:
    """Train RUN again, and check that its history is the same.

    Without RUN, it takes the newest finished run of the current dataset, but no ensemble. The new
    run is removed afterwards. On the same machine, the same seed gives the same history.
    On another processor, the last digits may differ, because it sums numbers in another order.
    """
    from dlcli.data.dataset import NOUNS
    from dlcli.training.launch import verify

    old = named_or_last(config, named, trained=True, finished=True)
    difference = verify(old, config.settings().data_dir)
    if difference is None:
        click.echo(f"the same history: {len(old.history)} epochs")
        say(f"{old.name} is reproducible from its settings.")
        return
    examples = f"{NOUNS[old.record.kind]}s"
    raise DlError(
        f"The history differs: {difference.column} of epoch {difference.epoch} was "
        f"{difference.before}, now it is {difference.now}",
        why="earlier values are the same",
        hint=f"Compare versions, platform and {examples} with `config.yaml` of {old.name}.",
    )

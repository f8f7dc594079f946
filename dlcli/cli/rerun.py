"""`dl rerun`: train a new run with the settings of an old one."""

from __future__ import annotations

import click

from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import with_config
from dlcli.cli.train import print_result
from dlcli.config import Config


@click.command(cls=Command)
@click.argument("run", shell_complete=complete_run)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME=VALUE",
    help="a setting to change; may be given several times",
)
@click.option("--lr", "--learning-rate", "lr", hidden=True, help="refused: see `--set schedule`")
@click.option("--epochs", hidden=True, help="refused: see `--set schedule`")
@with_config()
def command(
    config: Config, run: str, sets: tuple[str, ...], lr: str | None, epochs: str | None
) -> None:
    """Train a new run with the settings that RUN recorded.

    All settings are those of RUN, not the present defaults or those of `dl.yaml`. `--set` changes
    single settings.
    """
    from dlcli.runs.choice import find_run, same_runs
    from dlcli.training.launch import rerun

    # options of `dl train`: refused as `--set lr=X` is, with the schedule to set
    asked = [f"{name}={value}" for name, value in (("lr", lr), ("epochs", epochs)) if value]
    old = find_run(run, config.settings().runs_dir)
    new = rerun(old, (*sets, *asked), data_dir=config.settings().data_dir)
    print_result(new, f"dl evaluate {new.name}{same_runs(config)}")

"""`dl rerun`: train a new run with the settings of an old one."""

from __future__ import annotations

import click

from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.options import PositiveNumber, WholeNumber, with_config
from dlcli.cli.runs.choice import named_or_last
from dlcli.cli.train import Training, print_result
from dlcli.config import Config


@click.command(cls=Training)
@click.argument("named", metavar="[RUN]", required=False, shell_complete=complete_run)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME=VALUE",
    help="a setting to change; may be given several times",
)
@click.option(
    "--epochs",
    type=WholeNumber(min=1),
    metavar="N",
    help="epochs of each phase; each rate of RUN's schedule keeps its share of them",
)
@click.option(
    "--lr",
    type=PositiveNumber(),
    metavar="X",
    help="highest learning rate; the other rates of RUN's schedule scale with it",
)
@with_config("dataset")
def command(
    config: Config, named: str | None, sets: tuple[str, ...], epochs: int | None, lr: float | None
) -> None:
    """Train a new run with the settings that RUN recorded.

    Without RUN, it takes the newest run of the current dataset. All settings are those of RUN, not
    the present defaults or those of `dl.yaml`. `--set` changes single settings. `--epochs` and
    `--lr` change RUN's schedule, as in `dl train`.
    """
    from dlcli.runs.choice import same_runs
    from dlcli.training.launch import rerun

    old = named_or_last(config, named, trained=True)
    new = rerun(old, sets, data_dir=config.settings().data_dir, epochs=epochs, lr=lr)
    print_result(new, f"dl evaluate {new.name}{same_runs(config)}")

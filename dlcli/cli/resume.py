"""`dl resume`: resume a run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import PositiveNumber, WholeNumber, with_config
from dlcli.cli.train import print_result
from dlcli.config import Config
from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.settings.schedule import MOST_EPOCHS

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command(
    cls=Command, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
)
@click.argument("run", required=False, shell_complete=complete_run)
@click.option(
    "--epochs",
    type=WholeNumber(1, ceiling=MOST_EPOCHS),
    metavar="N",
    help="total epochs of all phases, finished epochs included (in `dl train`: of each phase); "
    "more go on at the last rate, fewer cut the schedule's end",
)
@click.option(
    "--lr",
    type=PositiveNumber(),
    metavar="X",
    help="rate of all remaining epochs (in `dl train`: the highest rate)",
)
@click.option(
    "--batch-size",
    type=WholeNumber(1, ceiling=1_000_000),
    metavar="N",
    help="samples per step from now on",
)
@with_config()
@click.pass_context
def command(
    ctx: click.Context,
    config: Config,
    run: str | None,
    epochs: int | None,
    lr: float | None,
    batch_size: int | None,
) -> None:
    """Resume a stopped RUN from its last finished epoch.

    The run continues in its own folder. Without RUN, the command takes the interrupted run in the
    runs folder. If there are several, it lists them.

    To train a finished run further, give a larger number of `--epochs`. Changes apply from the next
    epoch on and are recorded in the run's `config.yaml`. To change other settings, use `dl rerun`.
    """
    from dlcli.data.choice import remember
    from dlcli.runs.choice import find_run, interrupted_run, name_to_type, same_runs
    from dlcli.training.resume import resume

    typed = run if run and not run.startswith("-") else None
    _require_known([*([run] if run and not typed else []), *ctx.args], typed or "RUN")
    settings = config.settings()
    if run is None:
        stopped = interrupted_run(config)
        run = name_to_type(stopped, settings.runs_dir)
        say(f"Run {shown(stopped.path)} (the one that was interrupted)")
    else:
        stopped = find_run(run, settings.runs_dir, settings.data_dir)
    stopped.require_whole()
    if (root := stopped.dataset_path) and root.is_dir():
        remember(root)  # the commands that follow are about this run
    resume(
        stopped,
        epochs=epochs,
        learning_rate=lr,
        batch_size=batch_size,
        data_dir=settings.data_dir,
    )
    print_result(stopped, f"dl evaluate {shlex.quote(run)}{same_runs(config)}")


def _require_known(more: Sequence[str], run: str) -> None:
    """Refuse options of `dl train` that a resume can't change; click passes them unparsed."""
    if more:
        again = f"dl rerun {shlex.quote(run)} --set dropout=0.3"
        raise DlError(
            f"`dl resume` can't change `{more[0]}`",
            why="only `--epochs`, `--lr` and `--batch-size` of a run can change",
            hint=f"Train a new run with another setting: `{again}`.",
            exit_code=ExitCode.USAGE,
        )

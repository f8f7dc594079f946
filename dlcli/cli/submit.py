"""`dl submit`: the file that a competition wants."""

from __future__ import annotations

from pathlib import Path

import click

from dlcli.cli.completing import complete_run
from dlcli.cli.options import Command, with_config
from dlcli.cli.tta import AMOUNTS, TTA
from dlcli.config import Config


@click.command(cls=Command)
@click.argument("run", required=False, shell_complete=complete_run)
@click.option(
    "--clip",
    "bound",
    type=float,
    metavar="C",
    help="keep probabilities C away from 0 and 1; not at all by default",
)
@click.option(
    "--sample-submission",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="the competition's sample submission; by default the one in the dataset",
)
@click.option("--no-upload", is_flag=True, help="write the file only")
@TTA
@with_config(
    *("dataset", "kaggle.positive", "kaggle.competition", "workers", "weights", "on_error"),
    *AMOUNTS,
)
def command(
    config: Config,
    run: str | None,
    bound: float | None,
    sample_submission: Path | None,
    no_upload: bool,
    tta: int | None,
) -> None:
    """Write submission.csv from a RUN's predictions of the test images.

    Without RUN: the newest finished run of the current dataset.
    """
    from dlcli.current import choose_run
    from dlcli.folders import typed
    from dlcli.places import shown
    from dlcli.progress import say
    from dlcli.submitting import submit_run
    from dlcli.tta import require_views

    views = require_views(config, tta)
    chosen = choose_run(config, run)
    say(str(chosen))
    done = submit_run(
        chosen.run,
        chosen.root,
        config,
        bound=bound or 0.0,
        sample_file=sample_submission,
        views=views,
    )
    for note in done.notes:
        say(note)
    results = {"rows": f"{done.rows:,}", "valid log loss": f"{done.loss:.4f}"}
    if bound:
        results[f"clipped at {bound:g}"] = f"{done.clipped_loss:.4f}"
    for name, value in results.items():
        click.echo(f"{name:{max(map(len, results))}}  {value}")
    gain = round(done.clipped_loss, 4) - round(done.best_loss, 4)
    if gain > 0 and not done.labels:  # a gain that can be seen
        what = f"With `--clip {done.best_bound:g}`" if done.best_bound else "Unclipped"
        say(f"{what} it would be {done.best_loss:.4f} on the validation images.")
    elif not bound and not done.labels:
        say("Clipping would gain nothing on the validation images.")
    say(f"Saved {shown(done.file)}")
    if no_upload:
        return
    if done.competition is None:
        say("No competition is configured, so it was not uploaded.")
    else:
        say(
            "This version does not upload. Next: `kaggle competitions submit "
            f"-c {done.competition} -f {typed(done.file)} -m {chosen.run.name}`"
        )

"""`dl evaluate`: compute a run's metrics and write its report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import JSON, TTA, with_config
from dlcli.cli.parts.tables import UNDEFINED, WIDE, emit_json, print_table, print_text
from dlcli.config import Config
from dlcli.files.paths import quoted, shown
from dlcli.progress import say
from dlcli.settings.augmentation import AMOUNTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dlcli.runs.choice import ChosenRun

# Of more classes than these, only so many are printed.
WORST = 10


@click.command(cls=Command)
@click.argument("run", required=False, shell_complete=complete_run)
@click.option("--all", "everything", is_flag=True, help=f"every class, not the {WORST} worst alone")
@WIDE
@JSON
@TTA
@with_config("dataset", "workers", "weights", "on_error", "seed", *AMOUNTS)
def command(config: Config, run: str | None, as_json: bool, tta: int | None) -> None:
    """Compute the metrics of a run, and write a report.

    It evaluates RUN on its validation images, and writes `metrics.yaml`, `report.html` and figures
    into the run's folder. Without RUN it takes the newest finished run of the current dataset.
    """
    from dlcli.inference.tta import require_views
    from dlcli.report.evaluate import evaluate_run
    from dlcli.runs.choice import choose_run

    views = require_views(config, tta)
    chosen = choose_run(config, run)
    say(str(chosen))
    metrics, page = evaluate_run(chosen.run, chosen.root, config, views)
    if as_json:
        emit_json(metrics)
    else:
        low, high = metrics["accuracy_interval_95"]
        click.echo(f"images    {metrics['images']:,}")
        click.echo(f"accuracy  {metrics['accuracy']:.4f}  (95 % interval {low:.4f} to {high:.4f})")
        click.echo(f"log loss  {metrics['log_loss']:.4f}")
        click.echo(
            f"baseline  {metrics['baseline']['accuracy']:.4f}  (always the most frequent class)"
        )
        click.echo()
        print_table(
            ["class", "precision", "recall", "f1", "images"],
            [[name, *scores.values()] for name, scores in metrics["classes"].items()],
        )
    how = made_by(chosen.run, config, views) if views else None
    if chosen.root and open_dataset(chosen.root).splits["test"]:
        same = [shlex.quote(run), *config.given_flags(("data_dir", "dataset"))] if run else []
        taken = "".join(f" {each}" for each in same) or again(chosen.root)
        after = f"next: `dl submit{taken}{same_tta(config, views)}{same_runs(config)}`"
    elif whole := chosen.root and whole_of(chosen.root):
        recipe = chosen.run.record.recipe
        trained = f"dl train {recipe}" if recipe in recipe_names() else "dl train RECIPE"
        after = f"next, on the whole dataset: `{trained} -d {quoted(whole)}{same_runs(config)}`"
    elif chosen.root is None and has_predictions(chosen.run, "test", None, how):
        words = f"{shlex.quote(chosen.run.name if run is None else run)}{same_tta(config, views)}"
        after = f"next: `dl submit {words}{same_runs(config)}`"
    else:
        after = "there are no test images to submit"
    say(f"Report: {shown(page)}; {after}")

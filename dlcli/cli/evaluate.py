"""`dl evaluate`: metrics and pictures of a run."""

from __future__ import annotations

import click

from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import JSON, TTA, with_config
from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.config import Config
from dlcli.settings.augmentation import AMOUNTS


@click.command(cls=Command)
@click.argument("run", required=False, shell_complete=complete_run)
@JSON
@TTA
@with_config("dataset", "workers", "weights", "on_error", "seed", *AMOUNTS)
def command(config: Config, run: str | None, as_json: bool, tta: int | None) -> None:
    """Judge a RUN on its validation images: metrics.yaml, report.html, figures.

    Without RUN: the newest finished run of the current dataset.
    """
    import shlex

    from dlcli.catalog import recipe_names
    from dlcli.data.choice import again
    from dlcli.data.dataset import open_dataset, whole_of
    from dlcli.files.paths import quoted, shown
    from dlcli.inference.predict import has_predictions
    from dlcli.inference.tta import made_by, require_views, same_tta
    from dlcli.progress import say
    from dlcli.report.evaluate import evaluate_run
    from dlcli.runs.choice import choose_run, same_runs

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
        click.echo(f"baseline  {metrics['baseline']['accuracy']:.4f}  (always the commonest class)")
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
        after = f"this was the sample; next: `{trained} -d {quoted(whole)}{same_runs(config)}`"
    elif chosen.root is None and has_predictions(chosen.run, "test", None, how):
        words = f"{shlex.quote(chosen.run.name if run is None else run)}{same_tta(config, views)}"
        after = f"next: `dl submit {words}{same_runs(config)}`"
    else:
        after = "there are no test images to submit"
    say(f"Report: {shown(page)}; {after}")

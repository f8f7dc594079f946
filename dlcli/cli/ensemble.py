"""`dl ensemble`: make a run from the mean predictions of several runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import JSON, with_config
from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.config import Config
from dlcli.files.paths import shown
from dlcli.progress import say

if TYPE_CHECKING:
    from dlcli.experiments.ensemble import Ensemble


@click.command(cls=Command)
@click.argument("runs", metavar="RUN RUN [RUN]...", nargs=-1, shell_complete=complete_run)
@JSON
@with_config("dataset", "workers", "weights", "on_error")
def command(config: Config, runs: tuple[str, ...], as_json: bool) -> None:
    """Average the predictions of several runs.

    The ensemble is a new run. Its probabilities, or ratings, are the mean of those of the named
    runs. `dl evaluate` and `dl submit` take it like any other run.
    """
    from dlcli.experiments.ensemble import choose_members, make_ensemble

    print_ensemble(make_ensemble(choose_members(config, runs), config), config, as_json)


def print_ensemble(made: Ensemble, config: Config, as_json: bool = False) -> None:
    """Print the scores of an ensemble and its members, its folder and the next command."""
    from dlcli.data.choice import again
    from dlcli.evaluation.scores import SCORES
    from dlcli.runs.choice import same_runs

    words, titles = SCORES[made.kind].words, SCORES[made.kind].titles
    everyone = (*made.members, made.whole)
    if as_json:
        whole, *members = (
            {"run": str(each.run.path), **each.columns} for each in (made.whole, *made.members)
        )
        mean = {f"val_{name}": score for name, score in made.mean_scores.items()}
        emit_json({**whole, "members": members, "members_mean": mean})
    else:
        rows = [[each.run.name, *(each.scores[name] for name in titles)] for each in everyone]
        rows.insert(-1, ["mean score of members", *(made.mean_scores[name] for name in titles)])
        print_table(["run", *titles.values()], rows)
    if better := made.better_member:
        say(
            f"{better.run.name} alone has a lower {words['loss']}, {better.scores['loss']:.4f}, "
            f"than the ensemble, {made.whole.scores['loss']:.4f}."
        )
    taken = again(made.root) if made.root else f" {made.whole.run.name}"
    say(f"Saved {shown(made.whole.run.path)}; next: `dl evaluate{taken}{same_runs(config)}`")

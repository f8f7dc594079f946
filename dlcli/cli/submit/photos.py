"""The scores that `dl submit` prints for a submission of probabilities of photos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from dlcli.progress import say

if TYPE_CHECKING:
    from dlcli.evaluation.clipping import Curve
    from dlcli.kaggle.photos.submit import Probabilities

BAR_WIDTH = 30
# What a submission's score is promised by.
PROMISED_BY = "validation images"
TESTED = "test images"


def print_scores(done: Probabilities, bound: float | Literal["auto"] | None) -> None:
    """Print the scores that the validation images predict for the file."""
    from dlcli.evaluation.clipping import COURSE

    if bound == "auto" and done.curve is not None:
        _print_curve(done.curve, done.bound)
    results = {"rows": f"{done.rows:,}", "valid log loss": f"{done.loss:.4f}"}
    if done.metric and done.metric.name == "accuracy" and done.expected:
        results["valid accuracy"] = f"{done.expected.score:.4f}"
    if done.bound:
        results[f"clipped at {done.bound:g}"] = f"{done.clipped_loss:.4f}"
    if expected := done.expected:
        words = f"{expected.score:.4f}  (95 % interval {expected.low:.4f} to {expected.high:.4f})"
        results[f"expected {done.metric.words}" if done.metric else "expected"] = words
    for name, value in results.items():
        click.echo(f"{name:{max(map(len, results))}}  {value}")
    curve = done.curve
    if curve is None:
        return
    if bound == "auto":
        if not done.bound:
            say("Nothing is clipped: no bound improves the log loss on held-out images.")
        else:
            say(
                f"Log loss on held-out images: {curve.held_out:.4f} clipped, "
                f"{curve.plain:.4f} unclipped."
            )
        if COURSE in curve.bounds and done.bound != COURSE:
            say(f"With `--clip {COURSE:g}` the log loss would be {curve.at(COURSE):.4f}.")
    elif round(done.clipped_loss, 4) > round(done.loss, 4):
        say(
            f"Clipping at {done.bound:g} makes the validation log loss worse "
            f"({done.clipped_loss:.4f}, unclipped {done.loss:.4f}). Leave out `--clip`, or use "
            "`--clip auto`."
        )
    elif round(done.clipped_loss, 4) > round(curve.at(curve.best), 4):  # a visible gain
        say(f"With `--clip {curve.best:g}` the valid log loss would be {curve.at(curve.best):.4f}.")
    elif bound is None:
        say("Clipping would not improve the valid log loss.")


def _print_curve(curve: Curve, chosen: float) -> None:
    """Print the log loss of each bound, as a number and a bar."""
    from dlcli.cli.parts.tables import print_table

    least, most = min(curve.losses), max(curve.losses)
    rows = []
    for bound, loss in zip(curve.bounds, curve.losses, strict=True):
        share = (loss - least) / (most - least) if most > least else 0.0
        bar = "█" * (1 + round(share * (BAR_WIDTH - 1)))
        rows.append([f"{bound:g}", f"{loss:.4f}", bar + (" chosen" if bound == chosen else "")])
    print_table(["clip", "log loss", ""], rows)
    click.echo()

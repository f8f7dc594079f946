"""The scores that `dl submit` prints for a submission of ratings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dlcli.kaggle.ratings.submit import SubmittedRatings

# What a submission's score is promised by.
PROMISED_BY = "validation ratings"
TESTED = "test ratings"


def print_scores(done: SubmittedRatings, bound: object) -> None:
    """Print the scores that the validation ratings predict for the file.

    Args:
        bound: of probabilities, so there is none.
    """
    results = {"rows": f"{done.rows:,}"}
    results |= {f"valid {name.upper()}": f"{value:.4f}" for name, value in done.errors.items()}
    if (expected := done.expected) and done.metric:
        words = f"{expected.score:.4f}  (95 % interval {expected.low:.4f} to {expected.high:.4f})"
        results[f"expected {done.metric.words}"] = words
    for name, value in results.items():
        click.echo(f"{name:{max(map(len, results))}}  {value}")

"""What a run of each kind predicts, and what is typed for it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

import click

from dlcli.files.paths import shown
from dlcli.runs.run import Run


@dataclass(frozen=True)
class Way:
    """How runs of a kind are asked.

    Args:
        module: it predicts and prints.
        of: what such a run predicts ratings or classes of, in words.
        typed: what to type after the run's name, an example.
    """

    module: str
    of: str
    typed: str


WAYS: Mapping[str, Way] = {
    "photos": Way("dlcli.cli.predict.photos", "photos", "PHOTO..."),
    "ratings": Way(
        "dlcli.cli.predict.ratings", "a `--user`, an `--item` or `--pairs`", "--user ID --top 10"
    ),
}


def require_way(run: Run, kind: str) -> None:
    """Refuse a run that can't be asked what was typed.

    Args:
        kind: of runs that can.

    Raises:
        click.UsageError: the run is of another kind; shows what to type for it.
    """
    own = run.record.kind
    if own == kind:
        return
    way = WAYS[own]
    raise click.UsageError(
        f"{shown(run.name)} is a run on {own}: it predicts for {way.of}, not for "
        f"{WAYS[kind].of}. Type `dl predict {shlex.quote(run.name)} {way.typed}`."
    )

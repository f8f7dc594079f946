"""`dl data organize`: make a dataset of what was downloaded."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dlcli.cli.datasets import (
    DRY_RUN,
    JSON,
    print_counts,
    print_plan,
    warn_of,
    warn_of_left_behind,
)
from dlcli.cli.options import Command, with_config
from dlcli.config import Config


@click.command("organize", cls=Command)
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.argument("target", metavar="[DEST]", required=False)
@click.option("--move", is_flag=True, help="move the files to DEST instead of copying them")
@DRY_RUN
@JSON
@with_config()
def command(
    config: Config, source: Path, target: str | None, move: bool, dry_run: bool, as_json: bool
) -> None:
    """Make a dataset of SRC, a folder as one downloads it.

    Understands Kaggle's flat files (train/cat.12.jpg, test1/, the sample submission) and folders
    per class, with or without train/, val/ and test/ around them.

    DEST is a path, or a name under the data folder; without it, SRC's own name there. SRC stays
    as it is, unless it is DEST itself or --move is given.
    """
    from dlcli import organizing
    from dlcli.current import again, remember
    from dlcli.dataset import open_dataset
    from dlcli.folders import absolute
    from dlcli.places import shown
    from dlcli.progress import say

    root, found = config.settings().data_dir, absolute(source)
    if not found.exists() and (root / source).exists():
        found = absolute(root / source)
    name = found.name if target is None else target
    goal = absolute(Path(name) if os.sep in name or name in (".", "..") else root / name)
    if dry_run:
        planned = organizing.to_organize(found, goal, move=move)
        print_plan(planned, as_json)
        warn_of_left_behind(found, planned)
        return
    outcome = organizing.organize(found, goal, move=move)
    remember(goal)
    warn_of_left_behind(found, outcome.operation if outcome else None)
    if outcome is None:
        say(f"{shown(goal)} is organised already.")
        if new := organizing.new_since(found, goal):
            say(
                f"Warning, since then new in {shown(found)}, and not copied: {len(new):,} files, "
                f"such as {shown(new[0])}. Take back what was done, "
                f"`dl data undo{again(goal, '')}`, up to `organize`; then organise it again."
            )
    else:
        warn_of(outcome)
        verb = "Moved" if outcome.operation.kind == "move" else "Copied"
        say(f"{verb} {outcome.files:,} files.")
    print_counts(dataset := open_dataset(goal), as_json)
    if dataset.splits["valid"]:
        after = f"dl features{again(goal)}"
    else:
        after = f"dl data split{again(goal, '')}"
    say(f"The dataset is in {shown(goal)}; next: `{after}`")

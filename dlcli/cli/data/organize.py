"""`dl data organize`: make a dataset of a download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlcli.cli.parts.datasets import (
    DRY_RUN,
    and_next,
    print_counts,
    print_plan,
    say_changes,
    verb_of,
    warn_of,
)
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import JSON, TypedPath, with_config
from dlcli.cli.parts.pending import asking
from dlcli.config import Config
from dlcli.files.paths import absolute, shown
from dlcli.progress import say
from dlcli.words import count

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlcli.data.moves import Outcome


def with_labels(command: Callable[..., None]) -> Callable[..., None]:
    """`--labels`, `--id-column` and `--label-column`."""
    for option in (
        click.option(
            "--label-column",
            metavar="NAME",
            help="column of the CSV that holds the classes; by default `dl` finds it",
        ),
        click.option(
            "--id-column",
            metavar="NAME",
            help="column of the CSV that holds the images' names; by default `dl` finds it",
        ),
        click.option(
            "--labels",
            metavar="FILE",
            type=click.Path(),
            help="CSV file of the labels: a path, or a file's name in the download",
        ),
    ):
        command = option(command)
    return command


@click.command("organize", cls=Command)
@click.argument("source", metavar="SRC", type=TypedPath())
@click.argument("target", metavar="[DEST]", required=False)
@click.option("-d", "--dataset", "option", metavar="DEST", help="the same as DEST")
@click.option("--move", is_flag=True, help="move the files to DEST instead of copying them")
@click.option("--link", is_flag=True, help="make links to the files in DEST instead of copies")
@click.option("--flatten", is_flag=True, help="take images from subfolders of class folders")
@with_labels
@DRY_RUN
@JSON
@with_config()
def command(
    config: Config,
    source: Path,
    target: str | None,
    option: str | None,
    move: bool,
    link: bool,
    flatten: bool,
    labels: str | None,
    id_column: str | None,
    label_column: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a dataset of SRC, a downloaded folder or archive.

    SRC may hold Kaggle's flat files (train/cat.12.jpg, test1/, the sample submission), or a folder
    per class, with or without train/, val/ and test/ around them. Labels may be in a CSV, and
    images may be rows of pixels in a CSV. SRC may also be a zip or tar archive, or hold archives.

    DEST is a path, or a name in the data folder. Without DEST, the dataset takes the name of SRC
    and goes to the data folder. The files are copied, and SRC does not change. With --move, or if
    DEST is SRC itself, the files are moved. With --link, DEST holds links to the files of SRC.
    """
    from dlcli.data.choice import folder_named, one_name, remember
    from dlcli.data.photos.organize import organize
    from dlcli.data.photos.organize.labels import Naming
    from dlcli.files.archives import without_suffix

    root, found = config.settings().data_dir, absolute(source)
    if not found.exists() and (root / source).exists():
        found = absolute(root / source)
    own_name = without_suffix(found.name) if found.is_file() else found.name
    name = one_name(target, option, lambda name: folder_named(name, root))
    goal = folder_named(own_name if name is None else name, root)
    if move and link:
        raise click.UsageError("Use `--move` or `--link`, not both.")
    options = organize.OrganizeOptions(
        kind="move" if move else "link" if link else "copy",
        naming=Naming(labels, id_column, label_column),
        flatten=flatten,
    )
    if dry_run:
        planned = organize.to_organize(found, goal, options)
        print_plan(planned, as_json)
        _say_notes(organize.notes_of(planned) if planned else ())
        return
    outcome = asking(lambda: organize.organize(found, goal, options))
    remember(goal)
    tell(outcome, found, goal, as_json)


def tell(outcome: Outcome | None, found: Path, goal: Path, as_json: bool) -> None:
    """Print the outcome of organising.

    Args:
        outcome: what was done; None where it had been done before.
        found: the folder or archive.
        goal: the dataset's folder.
    """
    from dlcli.data.photos.look_alikes import say_look_alikes
    from dlcli.data.photos.photos import open_photos

    if outcome is None:
        _say_done_before(found, goal)
    else:
        _say_done(outcome)
    print_counts(dataset := open_photos(goal), as_json)
    say_changes(dataset)
    say_look_alikes(dataset)
    say(f"The dataset is in {shown(goal)}{and_next(dataset, 'dl features')}")


def _say_done(outcome: Outcome) -> None:
    from dlcli.data.photos.organize.organize import notes_of

    _say_notes(notes_of(outcome.operation))
    warn_of(outcome)
    past = {"move": "Moved", "copy": "Copied", "unpack": "Unpacked", "make": "Made"}
    verb, files = verb_of(outcome.operation), count(outcome.files, "file")
    say(f"Made links to {files}." if verb == "link" else f"{past[verb]} {files}.")


def _say_done_before(found: Path, goal: Path) -> None:
    from dlcli.data.choice import again
    from dlcli.data.photos.organize.organize import new_since, packed_in

    say(f"{shown(goal)} is organised already.")
    if packed := packed_in(goal):
        say(packed)
    if new := new_since(found, goal):
        say(
            f"Warning, not copied: {count(len(new), 'new file')} in {shown(found)}, such as "
            f"{shown(new[0])}. To add new files, run `dl data undo{again(goal, '')}` until it has "
            "taken back `organize`, then organise again."
        )


def _say_notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        say(note)

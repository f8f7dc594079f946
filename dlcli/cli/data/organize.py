"""`dl data organize`: make a dataset of a download."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
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
from dlcli.cli.parts.options import JSON, TypedPath, refuse_options, with_config
from dlcli.cli.parts.pending import asking
from dlcli.config import Config
from dlcli.files.paths import absolute, shown
from dlcli.progress import say
from dlcli.words import count

if TYPE_CHECKING:
    from dlcli.data.moves import Outcome


@dataclass(frozen=True)
class RatingColumns:
    """The options that are for ratings."""

    titles: Path | None
    user: str | None
    item: str | None
    rating: str | None
    time: str | None

    @property
    def are_given(self) -> bool:
        """Whether any was typed."""
        return any(each is not None for each in astuple(self))


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


def with_columns(command: Callable[..., None]) -> Callable[..., None]:
    """`--titles`, and an option for each column of a file of ratings."""
    about = {
        "user": "the users",
        "item": "the items",
        "rating": "the ratings",
        "time": "the times; `none` leaves them out",
    }
    for name, what in reversed(about.items()):
        text = f"column of {what}: its name, or number from 1; by default `dl` finds it"
        command = click.option(f"--{name}-column", metavar="NAME", help=text)(command)
    text = "table of the items' titles, for ratings; by default one beside them, such as movies.csv"
    return click.option("--titles", metavar="FILE", type=TypedPath(), help=text)(command)


@click.command("organize", cls=Command)
@click.argument("source", metavar="SRC", type=TypedPath())
@click.argument("target", metavar="[DEST]", required=False)
@click.option("-d", "--dataset", "option", metavar="DEST", help="the same as DEST")
@click.option("--move", is_flag=True, help="move the files to DEST instead of copying them")
@click.option("--link", is_flag=True, help="make links to the files in DEST instead of copies")
@click.option("--flatten", is_flag=True, help="take images from subfolders of class folders")
@with_labels
@with_columns
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
    titles: Path | None,
    user_column: str | None,
    item_column: str | None,
    rating_column: str | None,
    time_column: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a dataset of SRC, a download of photos or ratings.

    SRC may hold Kaggle's flat files (train/cat.12.jpg, test1/, the sample submission), or a folder
    per class, with or without train/, val/ and test/ around them. Labels may be in a CSV, and
    images may be rows of pixels in a CSV. SRC may also be a zip or tar archive, or hold archives.

    SRC may be a table of ratings too, with a user, an item and a rating on each line: a CSV, or
    MovieLens' u.data and ratings.dat; or a folder or archive that holds one.

    DEST is a path, or a name in the data folder. Without DEST, the dataset takes the name of SRC
    and goes to the data folder. The files are copied, and SRC does not change. With --move, or if
    DEST is SRC itself, the files are moved. With --link, DEST holds links to the files of SRC.
    """
    from dlcli.data.choice import folder_named, one_name, remember
    from dlcli.data.kinds import kind_of_download
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
    columns = RatingColumns(titles, user_column, item_column, rating_column, time_column)
    for_photos = {
        "--move": move,
        "--link": link,
        "--flatten": flatten,
        "--labels": labels is not None,
        "--id-column": id_column is not None,
        "--label-column": label_column is not None,
    }
    if columns.are_given or not any(for_photos.values()):
        kind = "ratings" if columns.are_given else kind_of_download(found)
        if organize_kind := ORGANIZERS.get(kind):
            refuse_options(for_photos, "photos")
            own = found.stem if found.is_file() and own_name == found.name else own_name
            goal = folder_named(own if name is None else name, root)
            organize_kind(found, goal, columns, dry_run, as_json)
            return
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


def _ratings(
    source: Path, goal: Path, columns: RatingColumns, dry_run: bool, as_json: bool
) -> None:
    from dlcli.cli.data.ratings import organize
    from dlcli.data.ratings.columns import Naming
    from dlcli.data.ratings.organize import OrganizeOptions

    naming = Naming(columns.user, columns.item, columns.rating, columns.time)
    titles = absolute(columns.titles) if columns.titles else None
    options = OrganizeOptions(titles, naming)
    organize(source, goal, options, dry_run=dry_run, as_json=as_json)


# What organises the downloads of a kind; the command itself organises photos.
ORGANIZERS: Mapping[str, Callable[[Path, Path, RatingColumns, bool, bool], None]] = {
    "ratings": _ratings
}


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

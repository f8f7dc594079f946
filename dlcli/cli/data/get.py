"""`dl data get`: download a competition's data as a dataset."""

from __future__ import annotations

import os

import click

from dlcli import words
from dlcli.cli.data.organize import tell, with_labels
from dlcli.cli.parts.complete import complete_competition
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import JSON, with_config
from dlcli.cli.parts.pending import asking
from dlcli.config import Config
from dlcli.files.paths import absolute, shown
from dlcli.progress import say


@click.command("get", cls=Command)
@click.argument("slug", metavar="COMPETITION", shell_complete=complete_competition)
@click.option(
    "-d",
    "--dataset",
    "named",
    metavar="NAME",
    help="a path, or a name under the data folder  [default: the competition's name]",
)
@click.option("--remove-archive", is_flag=True, help="remove the archive once it is unpacked")
@with_labels
@JSON
@with_config()
def command(
    config: Config,
    slug: str,
    named: str | None,
    remove_archive: bool,
    labels: str | None,
    id_column: str | None,
    label_column: str | None,
    as_json: bool,
) -> None:
    """Download a COMPETITION's data from Kaggle as a dataset.

    COMPETITION is the URL of the competition, or its name as in the URL. If the connection breaks,
    run the same command again to continue the download. The dataset records its competition for
    `dl submit`.
    """
    from dlcli.data.choice import folder_named, remember
    from dlcli.data.photos.organize.labels import Naming
    from dlcli.kaggle.account import open_kaggle
    from dlcli.kaggle.competitions import slug_of
    from dlcli.kaggle.data import archive_of, get

    slug = slug_of(slug)
    if os.sep in slug:
        raise click.UsageError(
            f"{slug} does not name a competition. Its name is NAME in "
            "`https://www.kaggle.com/c/NAME`."
        )
    data_dir = config.settings().data_dir
    root, archive = folder_named(named or slug, data_dir), archive_of(slug, absolute(data_dir))
    naming = Naming(labels, id_column, label_column)
    outcome = asking(lambda: get(open_kaggle, slug, archive, root, naming))
    remember(root)
    if archive.is_file():
        size = words.size(archive.stat().st_size)
        if remove_archive:
            archive.unlink()
            say(f"Removed {shown(archive)}, {size}.")
        else:
            say(f"Kept the archive {shown(archive)}, {size}; `--remove-archive` removes it.")
    tell(outcome, archive, root, as_json)

"""`dl data`: make a dataset of a folder of images or a file of ratings, split it, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dlcli.cli.data.augment_preview import command as augment_preview
from dlcli.cli.data.get import command as get
from dlcli.cli.data.kinds import commands_of, row_of
from dlcli.cli.data.options import SampleOptions, SplitOptions, UndoOptions
from dlcli.cli.data.organize import command as organize
from dlcli.cli.parts.ask import YES
from dlcli.cli.parts.datasets import DRY_RUN, print_datasets
from dlcli.cli.parts.help import CALLED, Group
from dlcli.cli.parts.options import JSON, WholeNumber, refused_value, with_dataset
from dlcli.config import Config
from dlcli.errors import ExitCode
from dlcli.progress import say

if TYPE_CHECKING:
    from pathlib import Path


class Share(click.ParamType):
    """A number (int), or a fraction or percentage (float), of images or ratings."""

    name = "N|FRACTION"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | float:
        text = str(value)
        try:
            if text.endswith("%"):
                share: int | float = float(text[:-1]) / 100
            else:
                share = float(text) if "." in text else int(text)
        except ValueError:
            share = 0
        if not (0 < share < 1 if isinstance(share, float) else share >= 1):
            raise refused_value(
                value, param, "a number of images or ratings (400) or a share (0.2 or 20%)"
            )
        return share


class Data(Group):
    """The commands about datasets."""

    def meant(self, ctx: click.Context, name: str) -> str:
        """Suggest `undo` for what would remove a dataset."""
        if CALLED.get(name, name) == "rm":
            return "`dl data undo DATASET` removes what `dl` made, `dl runs rm RUN` a run."
        return super().meant(ctx, name)


@click.group(cls=Data)
def command() -> None:
    """Organise images into classes, or ratings; make a validation set and a sample.

    DATASET is a path, or a name in the data folder. You may also name it by `-d`. The default is
    the dataset of the current folder, else the last one that you named in a command. `dl data undo`
    removes what `dl` made of a download.
    """


command.add_command(get)
command.add_command(organize)


@command.command()
@click.option(
    "--valid",
    type=Share(),
    help="images to move, or ratings to choose: a number, or a share of train/, 0.2 or 20%  "
    "[default: 0.2, or 2000 images if train/ has 10,000 or more]",
)
@click.option(
    "--by",
    type=click.Choice(("user", "time")),
    help="choose some of each user's ratings, or the newest ones; by default at random",
)
@click.option("--new-users", is_flag=True, help="choose all ratings of some users")
@click.option("--again", is_flag=True, help="replace the split of a dataset of ratings")
@DRY_RUN
@JSON
@with_dataset("seed")
def split(
    config: Config,
    valid: float | None,
    by: str | None,
    new_users: bool,
    again: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Choose a validation set: move images, or mark ratings.

    Of photos, a random part of train/ moves to valid/: the same share of each class. At least one
    image of each class stays in train/.

    Of ratings, nothing moves. --by time is the honest choice if the model is to predict what users
    will like: it then learns from earlier ratings only. --by user judges each user's taste, and
    --new-users how well the model serves users that it does not know.
    """
    if by and new_users:
        raise click.UsageError("Use `--by` or `--new-users`, not both.")
    root = _choose(config)
    options = SplitOptions(
        valid=valid, by=by, new_users=new_users, again=again, dry_run=dry_run, as_json=as_json
    )
    commands_of(root).split(root, config.settings().seed, options)


@command.command()
@click.option(
    "--train",
    type=WholeNumber(1),
    metavar="N",
    help="images to take from train/  [default: 1500]",
)
@click.option(
    "--valid",
    type=WholeNumber(1),
    metavar="N",
    help="images to take from valid/  [default: 1000]",
)
@click.option(
    "--users",
    type=WholeNumber(2),
    metavar="N",
    help="users to take, with all their ratings  [default: a tenth, at least 100]",
)
@click.option("--replace", is_flag=True, help="replace an existing sample, if it is another one")
@DRY_RUN
@JSON
@with_dataset("seed")
def sample(
    config: Config,
    train: int | None,
    valid: int | None,
    users: int | None,
    replace: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Copy a random part to DATASET-sample for fast experiments.

    Of photos, the same share of each class is copied. Of ratings, all ratings of some users are
    copied. DATASET itself does not change.
    """
    root = _choose(config)
    options = SampleOptions(
        train=train, valid=valid, users=users, replace=replace, dry_run=dry_run, as_json=as_json
    )
    commands_of(root).sample(root, config.settings().seed, options)


@command.command()
@click.option(
    "--drop",
    is_flag=True,
    help="forget an interrupted operation, or a damaged journal: all files stay where they are",
)
@YES
@DRY_RUN
@JSON
@with_dataset()
def undo(config: Config, drop: bool, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Take back the last organize, split or sample.

    Of a dataset of ratings, this takes back the split, and nothing else.

    Of photos, it removes what `dl` made: copies, links, a sample. What it moved goes back. It also
    takes back an operation that was interrupted. Call `undo` again to take back the operation
    before it. Without DATASET, `undo` removes the dataset's sample if making it was the last
    operation. If you name a DATASET, its sample stays; to remove the sample, name DATASET-sample.
    Its features are removed too, if nothing else is left in its folder. Copies are removed only if
    they and their originals are unchanged.

    If the dataset is a copy, or was moved, or somebody else made it, the command first shows the
    files that would move, and asks. --yes answers if they move within the dataset alone.
    """
    from dlcli.data import operations
    from dlcli.data.choice import last_named, typed_option

    before = last_named()
    root = _choose(config)
    if typed_option(config) is None:
        root = operations.touched_last(root)
    options = UndoOptions(drop=drop, yes=yes, dry_run=dry_run, as_json=as_json)
    commands_of(root).undo(root, before, options)


@command.command("ls")
@JSON
@with_dataset(about="path, or name in the data folder; by default all datasets are listed")
def ls(config: Config, as_json: bool) -> None:
    """List all datasets, or what one of them holds."""
    from dlcli.data.choice import typed_option

    if typed_option(config) is None:
        print_datasets(config, as_json, row_of)
        return
    root = _choose(config)
    commands_of(root).ls(root, as_json)


@command.command()
@JSON
@with_dataset()
def check(config: Config, as_json: bool) -> None:
    """Look for faults in a dataset of ratings.

    The command looks for pairs of a user and an item that were rated several times, ratings of one
    pair both in train and valid, users with one rating or with the same rating for all, times that
    can't be, ids that differ only in case or form, and items without a title. It changes nothing.
    The exit code is 1 if a fault is serious: results would mislead.
    """
    root = _choose(config)
    if commands_of(root).check(root, as_json):
        click.get_current_context().exit(ExitCode.ERROR)


def _choose(config: Config) -> Path:
    from dlcli.data.choice import choose_dataset

    choice = choose_dataset(config)
    say(str(choice))
    return choice.root


command.add_command(augment_preview)

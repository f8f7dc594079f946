"""`dl data`: make a dataset of a folder of images, split it, take a sample, undo."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from dlcli import words
from dlcli.cli.data.augment_preview import command as augment_preview
from dlcli.cli.data.get import command as get
from dlcli.cli.data.organize import command as organize
from dlcli.cli.parts.ask import YES
from dlcli.cli.parts.datasets import (
    DRY_RUN,
    and_next,
    print_counts,
    print_datasets,
    print_plan,
    say_changes,
    say_left_out,
    warn_of,
)
from dlcli.cli.parts.help import CALLED, Group
from dlcli.cli.parts.options import JSON, WholeNumber, refused_value, with_dataset
from dlcli.cli.parts.pending import asking, forget
from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.config import Config
from dlcli.errors import MOST_NAMED
from dlcli.files.paths import quoted, shown
from dlcli.progress import say
from dlcli.words import count

if TYPE_CHECKING:
    from pathlib import Path

    from dlcli.data.choice import Choice


# A sample with a larger share of the images saves little time.
HARDLY_SMALLER = 2 / 3


class Share(click.ParamType):
    """A number of images (int), or a fraction or percentage of them (float)."""

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
            raise refused_value(value, param, "a number of images (400) or a share (0.2 or 20%)")
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
    """Organise images into classes, make a validation set and a sample.

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
    help="images to move: a number, or a share of train/, 0.2 or 20%  "
    "[default: 2000, or 0.2 if train/ has fewer than 10,000 images]",
)
@DRY_RUN
@JSON
@with_dataset("seed")
def split(config: Config, valid: float | None, dry_run: bool, as_json: bool) -> None:
    """Move a random part of train/ to valid/.

    The same share of each class moves. At least one image of each class stays in train/.
    """
    from dlcli.data.choice import again
    from dlcli.data.dataset import SAMPLE
    from dlcli.data.photos import splits
    from dlcli.data.photos.look_alikes import say_look_alikes
    from dlcli.data.photos.photos import open_photos, untrainable
    from dlcli.data.photos.splits import enough_for_each, singletons

    root, seed = _choose(config), config.settings().seed
    if dry_run:
        print_plan(splits.to_split(root, valid, seed), as_json)
        return
    outcome = asking(lambda: splits.split(root, valid, seed))
    warn_of(outcome)
    print_counts(dataset := open_photos(root), as_json)
    say_left_out(dataset)
    say_look_alikes(dataset)
    lacking = sorted(set(dataset.classes) - set(dataset.labels("valid")))
    alone = sorted(set(singletons(dataset)) & set(lacking))
    if len(alone) == 1:
        say(f"Class `{shown(alone[0])}` has a single image. It stays in train/.")
    elif alone:
        such = f"{len(alone):,} classes, such as `{shown(alone[0])}`,"
        say(f"{such} have a single image each. These images stay in train/.")
    if few := sorted(set(lacking) - set(alone)):
        names = [f"`{shown(name)}`" for name in few[:MOST_NAMED]]
        if len(few) > MOST_NAMED:
            names.append(f"and {len(few) - MOST_NAMED:,} more")
        enough = enough_for_each(dataset)
        images = len(dataset.splits["train"]) + len(dataset.splits["valid"])
        say(
            f"No validation image for {count(len(few), 'class', 'classes')}: {', '.join(names)}. "
            "You can train all the same, but `dl evaluate` can't judge these classes. For at least "
            f"one image of each, {enough:,} of {images:,} images ({words.percent(enough / images)})"
            f" have to move to valid/ and no longer train: `dl data undo{again(root, '')}`, then "
            f"`dl data split{again(root, '')} --valid {enough}`."
        )
    moved = f"Moved {count(outcome.files, 'image')} to {shown(root / 'valid')}"
    after = and_next(dataset, "dl features")
    if untrainable(dataset) is None and not root.with_name(root.name + SAMPLE).exists():
        after = f"; next: `dl data sample{again(root, '')}`, or `dl features{again(root)}`"
    say(moved + after)


@command.command()
@click.option(
    "--train",
    type=WholeNumber(1),
    default=1500,
    show_default=True,
    metavar="N",
    help="images to take from train/",
)
@click.option(
    "--valid",
    type=WholeNumber(1),
    default=1000,
    show_default=True,
    metavar="N",
    help="images to take from valid/",
)
@click.option("--replace", is_flag=True, help="replace an existing sample, if it has other images")
@DRY_RUN
@JSON
@with_dataset("seed")
def sample(
    config: Config, train: int, valid: int, replace: bool, dry_run: bool, as_json: bool
) -> None:
    """Copy a random part to DATASET-sample for fast experiments.

    The same share of each class is copied. DATASET itself does not change.
    """
    from dlcli.data.choice import again
    from dlcli.data.photos import splits
    from dlcli.data.photos.look_alikes import say_look_alikes
    from dlcli.data.photos.photos import open_photos

    root, seed = _choose(config), config.settings().seed
    if dry_run:
        print_plan(splits.to_sample(root, train, valid, seed), as_json)
        return
    folder, outcome = asking(lambda: splits.sample(root, train, valid, seed, replace=replace))
    if outcome is None:
        say("The same sample already exists.")
    print_counts(taken := open_photos(folder), as_json)
    say(
        f"The sample is in {shown(folder)}; next: `dl features{again(root)}` for the whole "
        f"dataset, or `dl features -d {quoted(folder)}` for the sample"
    )
    say_look_alikes(whole_dataset := open_photos(root))
    whole = len(whole_dataset.splits["train"])
    fewer = max(len(taken.classes), whole // 4)
    if fewer < len(taken.splits["train"]) > HARDLY_SMALLER * whole:
        say(
            "It is hardly smaller than the dataset. For a smaller one: "
            f"`dl data sample{again(root, '')} --train {fewer} --replace`"
        )


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

    This removes what `dl` made: copies, links, a sample. What it moved goes back. It also takes
    back an operation that was interrupted. Call `undo` again to take back the operation before it.
    Without DATASET, `undo` removes the dataset's sample if making it was the last operation. If you
    name a DATASET, its sample stays; to remove the sample, name DATASET-sample. Its features are
    removed too, if nothing else is left in its folder. Copies are removed only if they and their
    originals are unchanged.

    If the dataset is a copy, or was moved, or somebody else made it, the command first shows the
    files that would move, and asks. --yes answers if they move within the dataset alone.
    """
    from dlcli.data import operations
    from dlcli.data.choice import last_named, typed_option
    from dlcli.data.journal import made_of
    from dlcli.data.moves import last
    from dlcli.data.pending import as_typed
    from dlcli.data.photos.organize.organize import is_staged
    from dlcli.features.store import remove_with_features

    before = last_named()
    root = _choose(config)
    if typed_option(config) is None:
        root = operations.touched_last(root)
    if drop:
        name = forget(root, yes=yes, dry_run=dry_run)
        if as_json:
            emit_json({"dropped": None if dry_run else name})
        return
    if dry_run:
        print_plan(last(root).read(), as_json, backwards=True)
        return
    outcome = asking(lambda: operations.undo(root), yes=yes)
    warn_of(outcome)
    operation = outcome.operation
    if operation.kind == "move":
        done = f"moved {count(outcome.files, 'file')} back to {shown(operation.source)}"
        if is_staged(operation) and made_of(operation).exists():
            done += f", which you can remove: {shown(made_of(operation))} has them too"
    else:
        made = ("link",) if operation.kind == "link" else ("copy", "copies")
        done = f"removed {count(outcome.files, *made)} from {shown(root)}"
    if operation.name == "sample":
        if size := remove_with_features(root):
            done += f", with the sample's features ({words.size(size)})"
        _go_back(root, operation.source, before)
    if as_json:
        emit_json({"undone": operation.name, "files": outcome.files, "kept": list(outcome.kept)})
    again = f" To do it again: `{typed}`" if (typed := as_typed(operation)) else ""
    say(f"Took back `{operation.name}`: {done}.{again}")


@command.command("ls")
@JSON
@with_dataset(about="path, or name in the data folder; by default all datasets are listed")
def ls(config: Config, as_json: bool) -> None:
    """List all datasets, or the classes of one dataset."""
    from dlcli.data.choice import typed_option
    from dlcli.data.photos.look_alikes import say_look_alikes
    from dlcli.data.photos.photos import open_photos

    if typed_option(config) is None:
        print_datasets(config, as_json)
        return
    root = _choose(config)
    dataset = open_photos(root)
    say_left_out(dataset)
    say_changes(dataset)
    say_look_alikes(dataset)
    if as_json:
        print_counts(dataset, as_json)
        return
    counts = {split: Counter(dataset.labels(split)) for split in ("train", "valid")}
    names = words.by_number(dataset.classes)
    rows = [[name, counts["train"][name], counts["valid"][name]] for name in names]
    print_table(["class", "train", "valid"], rows)
    click.echo()
    print_counts(dataset, as_json)


def _go_back(sample: Path, whole: Path, before: Choice | None) -> None:
    """If a removed sample is the dataset last named, let it be another one.

    Args:
        sample, whole: the folders of the sample and of the dataset that it was taken from.
        before: what was last named before this command; it comes first, unless it is the sample.
    """
    from dlcli.data.choice import last_named, remember

    last = last_named()
    if not last or last.root != sample or sample.exists():
        return
    kept = before and before.root != sample and before.root.is_dir()
    back = before.root if before and kept else whole
    if back.is_dir():
        remember(back)
        say(f"The current dataset is {shown(back)}{' again' if before else ''}.")


def _choose(config: Config) -> Path:
    from dlcli.data.choice import choose_dataset

    choice = choose_dataset(config)
    say(str(choice))
    return choice.root


command.add_command(augment_preview)

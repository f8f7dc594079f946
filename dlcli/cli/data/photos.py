"""`dl data` on datasets of photos."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from dlcli import words
from dlcli.cli.parts.datasets import (
    and_next,
    plain_photos,
    print_counts,
    print_plan,
    say_changes,
    say_left_out,
    warn_of,
)
from dlcli.cli.parts.options import refuse_options
from dlcli.cli.parts.pending import asking, forget
from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.errors import MOST_NAMED, DlError
from dlcli.files.paths import quoted, shown
from dlcli.progress import say
from dlcli.words import count

if TYPE_CHECKING:
    from pathlib import Path

    from dlcli.cli.data.options import SampleOptions, SplitOptions, UndoOptions
    from dlcli.data.choice import Choice

# A sample with a larger share of the images saves little time.
HARDLY_SMALLER = 2 / 3
TRAIN_IMAGES, VALID_IMAGES = 1500, 1000


def row(root: Path) -> dict[str, Any]:
    """What the list of datasets says about one."""
    from dlcli.data.photos.photos import open_photos
    from dlcli.features.store import stored_features

    found = plain_photos(open_photos(root))
    return found | {"features_bytes": sum(store.size_bytes for store in stored_features(root))}


def split(root: Path, seed: int, options: SplitOptions) -> None:
    """Move a random part of train/ to valid/."""
    from dlcli.data.choice import again
    from dlcli.data.dataset import SAMPLE
    from dlcli.data.photos import splits
    from dlcli.data.photos.look_alikes import say_look_alikes
    from dlcli.data.photos.photos import open_photos, untrainable
    from dlcli.data.photos.splits import enough_for_each, singletons

    given = {"--by": options.by is not None, "--new-users": options.new_users}
    refuse_options(given | {"--again": options.again}, "ratings")
    valid, dry_run, as_json = options.valid, options.dry_run, options.as_json
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


def sample(root: Path, seed: int, options: SampleOptions) -> None:
    """Copy a random part of each class to a dataset beside it."""
    from dlcli.data.choice import again
    from dlcli.data.photos import splits
    from dlcli.data.photos.look_alikes import say_look_alikes
    from dlcli.data.photos.photos import open_photos

    refuse_options({"--users": options.users is not None}, "ratings")
    train, valid = options.train or TRAIN_IMAGES, options.valid or VALID_IMAGES
    replace, dry_run, as_json = options.replace, options.dry_run, options.as_json
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


def undo(root: Path, before: Choice | None, options: UndoOptions) -> None:
    """Take back the last operation of a journal."""
    from dlcli.data import operations
    from dlcli.data.journal import made_of
    from dlcli.data.moves import last
    from dlcli.data.pending import as_typed
    from dlcli.data.photos.organize.organize import is_staged
    from dlcli.features.store import remove_with_features

    drop, yes = options.drop, options.yes
    dry_run, as_json = options.dry_run, options.as_json
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


def ls(root: Path, as_json: bool) -> None:
    """List the classes of a dataset."""
    from dlcli.data.photos.look_alikes import say_look_alikes
    from dlcli.data.photos.photos import open_photos

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


def check(root: Path, as_json: bool) -> bool:
    """Refuse: only ratings are checked."""
    raise DlError(
        f"{shown(root)} is a dataset of photos",
        why="`dl data check` looks at datasets of ratings only",
        hint="`dl data ls` lists what is wrong with a dataset of photos.",
    )


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

"""`dl data` on datasets of ratings."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from dlcli import words
from dlcli.cli.parts.options import refuse_options
from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.files.paths import quoted, shown
from dlcli.progress import say
from dlcli.words import count

if TYPE_CHECKING:
    from pathlib import Path

    from dlcli.cli.data.options import SampleOptions, SplitOptions, UndoOptions
    from dlcli.data.choice import Choice
    from dlcli.data.ratings.organize import OrganizeOptions
    from dlcli.data.ratings.ratings import By, Ratings


def organize(
    source: Path, goal: Path, options: OrganizeOptions, *, dry_run: bool, as_json: bool
) -> None:
    """Make a dataset of a file of ratings, and print what it has."""
    from dlcli.data.choice import again, remember
    from dlcli.data.ratings.organize import organize as organize_ratings
    from dlcli.data.ratings.organize import to_organize
    from dlcli.data.ratings.ratings import open_ratings

    if dry_run:
        notes = to_organize(source, goal, options)
        if as_json:
            emit_json({"from": str(source), "to": str(goal), "notes": notes})
        for note in notes:
            say(note)
        say(f"Would make {shown(goal)} of {shown(source)}. Leave out --dry-run to do it.")
        return
    made = organize_ratings(source, goal, options)
    remember(goal)
    if made is None:
        say(f"{shown(goal)} is organised already.")
    for note in made.notes if made else ():
        say(note)
    ratings = made.ratings if made else open_ratings(goal)
    _print_counts(ratings, as_json)
    after = "split" if ratings.split is None else "check"
    say(f"The dataset is in {shown(goal)}; next: `dl data {after}{again(goal, '')}`")


def row(root: Path) -> dict[str, Any]:
    """What the list of datasets says about one."""
    from dlcli.data.ratings.ratings import open_ratings

    return _plain(open_ratings(root))


def split(root: Path, seed: int, options: SplitOptions) -> None:
    """Choose which ratings are valid."""
    from dlcli.data.choice import again
    from dlcli.data.ratings import splits
    from dlcli.data.ratings.ratings import open_ratings

    ways: dict[str | None, By] = {None: "random", "user": "user", "time": "time"}
    by: By = "new-users" if options.new_users else ways[options.by]
    if options.dry_run:
        ratings = open_ratings(root)
        chosen = int(splits.plan_split(ratings, options.valid, by, seed).sum())
        if options.as_json:
            emit_json({"train": len(ratings.users) - chosen, "valid": chosen})
        say(
            f"Valid would be {chosen:,} of {count(len(ratings.users), 'rating')}, "
            f"{splits.DESCRIBED[by]}. Nothing was done. Leave out --dry-run to do it."
        )
        return
    ratings, is_new = splits.split(root, options.valid, by, seed, replace=options.again)
    _print_counts(ratings, options.as_json)
    if not is_new:
        say("The dataset has this same split already.")
    _say_unseen(ratings)
    if by == "random" and ratings.times is not None:
        say(
            "Ratings of valid may be older than those of train. To judge forecasts, split by time: "
            f"`dl data split{again(root, '')} --by time --again`"
        )
    valid = count(ratings.sizes["valid"], "rating")
    say(f"Valid are {valid}, {splits.DESCRIBED[by]}; next: `dl train collab-dot{again(root)}`")


def sample(root: Path, seed: int, options: SampleOptions) -> None:
    """Copy all ratings of some users to a dataset beside it."""
    from dlcli.data.ratings.ratings import open_ratings
    from dlcli.data.ratings.sample import default_users
    from dlcli.data.ratings.sample import sample as take

    typed = {"--train": options.train is not None, "--valid": options.valid is not None}
    refuse_options(typed, "photos")
    if options.dry_run:
        users = options.users or default_users(open_ratings(root))
        if options.as_json:
            emit_json({"users": users})
        say(f"Would copy all ratings of {count(users, 'user')}. Leave out --dry-run to do it.")
        return
    taken, is_new = take(root, options.users, seed, replace_other=options.replace)
    if not is_new:
        say("The same sample already exists.")
    _print_counts(taken, options.as_json)
    after = "split" if taken.split is None else "ls"
    say(f"The sample is in {shown(taken.root)}; next: `dl data {after} {quoted(taken.root)}`")


def undo(root: Path, before: Choice | None, options: UndoOptions) -> None:
    """Take back the split, which is all that there is to take back."""
    from dlcli.data.choice import again
    from dlcli.data.ratings.ratings import open_ratings
    from dlcli.data.ratings.splits import described, unsplit

    refuse_options({"--drop": options.drop}, "photos")
    if options.dry_run:
        made = open_ratings(root).split
        if options.as_json:
            emit_json({"undone": "split" if made else None})
        if made:
            say(f"Would take back `split`: {described(made)}. Leave out --dry-run to do it.")
        else:
            say(f"Nothing to do: {shown(root)} is not split.")
        return
    made = unsplit(root)
    if options.as_json:
        emit_json({"undone": "split"})
    say(
        f"Took back `split`: {described(made)}. All ratings are in train again. To split it: "
        f"`dl data split{again(root, '')}`"
    )


def ls(root: Path, as_json: bool) -> None:
    """List how many users, items and ratings each split has."""
    import numpy as np

    from dlcli.data.ratings.ratings import open_ratings
    from dlcli.data.ratings.splits import described

    ratings = open_ratings(root)
    if as_json:
        _print_counts(ratings, as_json)
        return
    rows = []
    for name in ("train", "valid"):
        of = ratings.rows(name)
        users, items = (len(np.unique(each[of])) for each in (ratings.users, ratings.items))
        share = words.percent(len(of) / (users * items)) if len(of) else None
        rows.append([name, len(of), users, items, share])
    counts = ratings.record.counts
    share = words.percent(ratings.density)
    rows.append(["together", counts.ratings, counts.users, counts.items, share])
    print_table(["split", "ratings", "users", "items", "density"], rows)
    click.echo()
    click.echo(f"scale   {ratings.record.scale}")
    if ratings.times is not None:
        first, last = (_day(each) for each in (ratings.times.min(), ratings.times.max()))
        click.echo(f"time    {first} to {last}")
    click.echo(f"titles  {counts.titles:,} of {count(counts.items, 'item')}")
    click.echo(f"split   {described(ratings.split) if ratings.split else 'not yet'}")
    if counts.test:
        click.echo(f"test    {count(counts.test, 'pair')} to predict")


def check(root: Path, as_json: bool) -> bool:
    """Print what is wrong with a dataset; whether a fault is serious."""
    from dlcli.data.ratings.check import check as look
    from dlcli.data.ratings.check import summary
    from dlcli.data.ratings.ratings import open_ratings

    findings = look(open_ratings(root))
    serious = any(each.found and each.is_serious for each in findings)
    if as_json:
        emit_json([asdict(each) for each in findings])
    else:
        rows = [
            [each.found, "serious" if each.found and each.is_serious else "", each.what]
            for each in findings
        ]
        print_table(["found", "", "what"], rows)
    for each in findings:
        if each.remark:
            say(f"{each.what[0].upper()}{each.what[1:]}: {each.remark}.")
    say(summary(findings))
    return serious


def _print_counts(ratings: Ratings, as_json: bool) -> None:
    if as_json:
        emit_json(_plain(ratings))
        return
    for name, n in ratings.sizes.items():
        click.echo(f"{name:6} {n:>11,} {'pairs' if name == 'test' else 'ratings'}")
    click.echo(f"{'users':6} {ratings.n_users:>11,}")
    click.echo(f"{'items':6} {ratings.n_items:>11,}")


def _plain(ratings: Ratings) -> dict[str, Any]:
    return {
        "name": ratings.name,
        "folder": str(ratings.root),
        "kind": ratings.kind,
        **ratings.sizes,
        "users": ratings.n_users,
        "items": ratings.n_items,
        "titles": ratings.record.counts.titles,
        "density": ratings.density,
        "scale": asdict(ratings.record.scale),
        "split": asdict(ratings.split) if ratings.split else None,
    }


def _say_unseen(ratings: Ratings) -> None:
    from dlcli.data.ratings.splits import unseen

    found = unseen(ratings)
    if not found.ratings:
        return
    new = [count(n, noun) for n, noun in ((found.users, "user"), (found.items, "item")) if n]
    of = count(found.ratings, "rating")
    say(
        f"Train has no rating of {' and '.join(new)} of valid. A model predicts their {of} "
        f"({words.percent(found.ratings / ratings.sizes['valid'])} of valid) as for an unknown one."
    )


def _day(seconds: int) -> str:
    import numpy as np

    return str(np.datetime64(int(seconds), "s"))[:10]

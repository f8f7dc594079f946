"""`dl predict`: ask a run about photos, or about users and items."""

from __future__ import annotations

from importlib import import_module

import click

from dlcli.cli.parts.complete import complete_run_or_photo
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import JSON, WholeNumber, with_config
from dlcli.cli.predict.ways import WAYS
from dlcli.config import Config

DEFAULT_TOP = 10


@click.command(cls=Command)
@click.argument("words", metavar="[RUN] PHOTO...", nargs=-1, shell_complete=complete_run_or_photo)
@click.option("--user", metavar="ID", help="of ratings: list the best items for this user")
@click.option(
    "--top",
    type=WholeNumber(1),
    metavar="N",
    help=f"with `--user`: how many items  [default: {DEFAULT_TOP}]",
)
@click.option("--rated", is_flag=True, help="with `--user`: list items too that the user rated")
@click.option(
    "--item", metavar="TITLE", help="of ratings: list items like this one, an id or a title"
)
@click.option(
    "--similar",
    type=WholeNumber(1),
    metavar="N",
    help=f"with `--item`: how many items  [default: {DEFAULT_TOP}]",
)
@click.option(
    "--pairs",
    metavar="FILE",
    help="of ratings: predict each user and item in a CSV; `-` reads standard input",
)
@JSON
@click.option("--csv", "as_csv", is_flag=True, help="print CSV")
@with_config("dataset", "workers", "weights", "on_error")
def command(
    config: Config,
    words: tuple[str, ...],
    user: str | None,
    top: int | None,
    rated: bool,
    item: str | None,
    similar: int | None,
    pairs: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Predict classes of photos, or ratings, with a RUN.

    Prints the probability of each class, or ratings, and writes nothing. PHOTO is an image file, or
    a folder of them. `-` reads a list from standard input, one file per line:
    `find . -newer last.txt -name '*.jpg' | dl predict -`. The default RUN is the newest finished
    run of the current dataset.

    A run on ratings takes no PHOTO. `--user` lists the items with the highest predicted ratings,
    but for those that the user has rated in train. `--item` lists the items whose vectors have
    most nearly the same direction. `--pairs` predicts the rating of each pair in a file.
    """
    if as_json and as_csv:
        raise click.UsageError("Use `--json` or `--csv`, not both.")
    asked = {"--user": user, "--item": item, "--pairs": pairs}
    given = [option for option, value in asked.items() if value is not None]
    more = {
        "--top": (top, "--user"),
        "--rated": (rated, "--user"),
        "--similar": (similar, "--item"),
    }
    for option, (value, owner) in more.items():
        if value and owner not in given:
            raise click.UsageError(f"`{option}` goes with `{owner}`.")
    if len(given) > 1:
        raise click.UsageError(f"Use {' or '.join(f'`{each}`' for each in given)}, not both.")
    if not given:
        import_module(WAYS["photos"].module).predict(config, words, as_json=as_json, as_csv=as_csv)
        return
    of_ratings = import_module(WAYS["ratings"].module)
    chosen = of_ratings.choose(config, words, given[0])
    printer = of_ratings.Printer(chosen, as_json=as_json, as_csv=as_csv)
    if user is not None:
        printer.recommend(user, top or DEFAULT_TOP, rated=rated)
    elif item is not None:
        printer.similar(item, similar or DEFAULT_TOP)
    elif pairs is not None:
        printer.pairs(pairs)

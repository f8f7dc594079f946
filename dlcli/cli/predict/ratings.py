"""`dl predict [RUN] --user`, `--item`, `--pairs`: ask a run on ratings."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.cli.predict.ways import require_way
from dlcli.config import Config
from dlcli.files.paths import expanded, shown
from dlcli.progress import say
from dlcli.words import count

if TYPE_CHECKING:
    from dlcli.runs.choice import ChosenRun

# For a list of pairs on standard input.
STDIN = "-"


def choose(config: Config, words: Sequence[str], option: str) -> ChosenRun:
    """The run to ask, named or the newest.

    Args:
        words: what was typed besides options: RUN, or nothing.
        option: what it is asked by.

    Raises:
        click.UsageError: more was typed, or the run is not one on ratings.
    """
    from dlcli.runs.choice import choose_run, say_chosen

    if len(words) > 1:
        raise click.UsageError(f"`{option}` takes one RUN and no PHOTO: `dl predict RUN {option}`.")
    chosen = choose_run(config, words[0] if words else None, of_new_images=True)
    require_way(chosen.run, "ratings")
    if not words:
        say_chosen(chosen, config, "predict", f"{option} ...")
    return chosen


@dataclass(frozen=True)
class Printer:
    """Asks a run, and prints its answers."""

    chosen: ChosenRun
    as_json: bool
    as_csv: bool

    def recommend(self, user: str, top: int, *, rated: bool) -> None:
        """The best items for a user."""
        from dlcli.inference.ratings.recommend import recommend

        found = recommend(self.chosen.run, self.chosen.root, user, top, rated=rated)
        columns = ["item", "title", "predicted", *(["rating"] if rated else [])]
        self._print(columns, [asdict(each) for each in found.items])
        among = f"{found.among:,} items"
        if found.rated is not None and not rated:
            among += f" that user {shown(user)} has not rated in train"
        say(
            f"The best {len(found.items):,} of {among}, by {self.chosen.run.name}"
            if found.items
            else f"User {shown(user)} has rated all items. To list them, add `--rated`."
        )

    def similar(self, item: str, most: int) -> None:
        """The items like an item."""
        from dlcli.inference.ratings.recommend import similar

        found = similar(self.chosen.run, self.chosen.root, item, most)
        self._print(["item", "title", "cosine"], [asdict(each) for each in found.items])
        among = f"{found.among:,} items"
        if found.least:
            among += f" with {count(found.least, 'rating')} or more in train"
        say(f"Most like {found.name} of {among}, by {self.chosen.run.name}")

    def pairs(self, named: str) -> None:
        """The predicted rating of each pair in a file, or on standard input."""
        from dlcli.data.ratings.pairs import read_pairs
        from dlcli.inference.ratings.recommend import predict_pairs

        if named == STDIN:
            with TemporaryDirectory(prefix="dl-") as folder:
                file = Path(folder) / "standard-input.csv"
                file.write_bytes(sys.stdin.buffer.read())
                pairs = read_pairs(file)
        else:
            pairs = read_pairs(expanded(named))
        found = predict_pairs(self.chosen.run, *pairs)
        each = zip(found.users, found.items, found.predicted.tolist(), strict=True)
        rows = [{"user": u, "item": i, "predicted": rating} for u, i, rating in each]
        self._print(["user", "item", "predicted"], rows)
        say(f"{count(len(rows), 'pair')} by {self.chosen.run.name}")

    def _print(self, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        from dlcli.evaluation.metrics import rounded
        from dlcli.files.formats import csv_text

        def plain(value: Any) -> Any:
            return rounded(value) if isinstance(value, float) else value

        cells = [[plain(row[column]) for column in columns] for row in rows]
        if self.as_json:
            emit_json([dict(zip(columns, row, strict=True)) for row in cells])
        elif self.as_csv:
            texts = [["" if cell is None else cell for cell in row] for row in cells]
            text = csv_text([columns, *texts]).encode(errors="surrogateescape")
            click.echo(text, nl=False)
        else:
            held = [n for n, _ in enumerate(columns) if any(row[n] != "" for row in cells)]
            print_table([columns[n] for n in held], [[row[n] for n in held] for row in cells])

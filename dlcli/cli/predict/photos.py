"""`dl predict [RUN] PHOTO...`: predict the classes of photos from anywhere."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.cli.predict.ways import require_way
from dlcli.config import Config
from dlcli.files.paths import expanded, shown
from dlcli.progress import say
from dlcli.words import count

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from dlcli.inference.predictions import Predictions
    from dlcli.runs.run import Run

LIST = "-"
# With more classes than this the table names the three most probable instead.
MOST_COLUMNS = 6
# Of more classes than these, the last line counts the photos of the commonest alone.
MOST_COUNTED = 10


def predict(config: Config, words: tuple[str, ...], *, as_json: bool, as_csv: bool) -> None:
    """Predict the photos that are named after a run, or without one.

    Args:
        words: what was typed: RUN, PHOTO.
    """
    from collections import Counter

    from dlcli.evaluation.metrics import rounded
    from dlcli.files.formats import csv_text
    from dlcli.inference.photos import predict_photos
    from dlcli.inference.predictions import class_columns

    run, photos = _run_and_photos(config, words)
    predictions = predict_photos(run, photos, config)
    paths, y_prob = predictions.paths, predictions.y_prob
    best = [predictions.classes[number] for number in y_prob.argmax(axis=1)]

    def plain(path: str, name: str, row: np.ndarray) -> dict[str, Any]:
        each = zip(predictions.classes, map(rounded, row), strict=True)
        return {"path": path, "class": name, "probabilities": dict(each)}

    if as_json:
        emit_json([plain(*row) for row in zip(paths, best, y_prob, strict=True)])
    elif as_csv:
        header = ["path", "class", *class_columns(predictions.classes, ("path", "class"))]
        rows = zip(paths, best, y_prob, strict=True)
        body = ([path, name, *(f"{p:.9g}" for p in row)] for path, name, row in rows)
        click.echo(csv_text([header, *body]).encode(errors="surrogateescape"), nl=False)
    else:
        _print_table(predictions, best)
    each = Counter(best).most_common()
    counts = [f"{shown(name)}: {count(number, 'photo')}" for name, number in each]
    if len(counts) > MOST_COUNTED:
        left = len(counts) - MOST_COUNTED
        counts[MOST_COUNTED:] = [f"and {count(left, 'more class', 'more classes')}"]
    say(f"{count(len(best), 'photo')} by {run.name}; {', '.join(counts)}")


def _run_and_photos(config: Config, words: tuple[str, ...]) -> tuple[Run, list[str]]:
    """The run, named or the newest, and the photos of the remaining words."""
    from dlcli.inference.photos import find_photos
    from dlcli.runs.choice import choose_run, find_finished_run, names_dataset, say_chosen

    if not words:
        raise click.UsageError(
            "Name photos: image files, folders, or `-` for a list. With a run on ratings, use "
            "`--user`, `--item` or `--pairs`."
        )
    first, *others = words
    settings = config.settings()
    if _is_photo(first, settings.runs_dir):
        _require_no_run(words, settings.runs_dir)
        photos = find_photos(_listed(words))  # a missing file says more than a missing run
        chosen = choose_run(config, None, of_new_images=True)
        require_way(chosen.run, "photos")
        say_chosen(chosen, config, "predict", "PHOTO...")
        return chosen.run, photos
    if names_dataset(config, first):
        chosen = choose_run(config, first, of_new_images=True)
        require_way(chosen.run, "photos")
        say_chosen(chosen, config, "predict", "PHOTO...")
        run = chosen.run
    elif config.is_flag("dataset"):
        run = choose_run(config, first).run
    else:  # its dataset may be anywhere, or gone
        run = find_finished_run(first, settings.runs_dir, settings.data_dir)
    require_way(run, "photos")
    if not others:
        raise click.UsageError(f"Name photos as well: `dl predict {first} PHOTO...`.")
    return run, find_photos(_listed(others))


def _require_no_run(words: Sequence[str], runs_dir: Path) -> None:
    """Refuse a run that comes after photos.

    Raises:
        click.UsageError: shows the line with the run first.
    """
    from dlcli.runs.choice import runs_with_part
    from dlcli.runs.run import Run

    later = [word for word in words if not _is_photo(word, runs_dir)]
    for word in later:
        if expanded(word).exists() or runs_with_part(word, Run.all(runs_dir)):
            photos = [each for each in words if each != word]
            typed = shlex.join(photos) if len(photos) < 4 else "PHOTO..."
            raise click.UsageError(
                f"`{shown(word)}` is a run, not a photo. Name the run before the photos: "
                f"`dl predict {shlex.quote(word)} {typed}`."
            )


def _is_photo(word: str, runs_dir: Path) -> bool:
    """Whether a word names a photo, a folder or the list, not a run; they need not exist."""
    import os

    from dlcli.images.formats import has_usual_suffix
    from dlcli.runs.choice import runs_with_part
    from dlcli.runs.run import Run

    path = expanded(word)
    if any(Run(each).config_file.is_file() for each in (path, runs_dir / word)):
        return False
    if word == LIST or path.exists() or has_usual_suffix(word):
        return True
    runs = Run.all(runs_dir)
    has_suffix = path.suffix[1:2].isalpha()  # the rate in `-lr0.003-t1` is none
    if has_suffix:
        return word not in [run.name for run in runs]
    return os.sep in word and not runs_with_part(word, runs)


def _listed(named: Sequence[str]) -> list[str]:
    """The named files, with `-` replaced by the list on standard input."""
    import os
    import sys

    everything: list[str] = []
    for name in named:
        if name != LIST:
            everything.append(name)
            continue
        data = sys.stdin.buffer.read()
        ends = b"\0" if b"\0" in data else b"\n"  # `find -print0` writes the former
        everything += [os.fsdecode(line.removesuffix(b"\r")) for line in data.split(ends) if line]
    return everything


def _print_table(predictions: Predictions, best: list[str]) -> None:
    from dlcli.inference.predictions import class_columns

    classes, y_prob = predictions.classes, predictions.y_prob
    if len(classes) <= MOST_COLUMNS:
        rows = zip(predictions.paths, best, y_prob, strict=True)
        cells = [[shown(path), name, *map(float, row)] for path, name, row in rows]
        columns = class_columns(classes, ("photo", "class"))
        print_table(["photo", "class", *columns], cells)
        return
    order = (-y_prob).argsort(axis=1, kind="stable")[:, :3]
    ranked = zip(predictions.paths, y_prob, order, strict=True)
    print_table(
        ["photo", "class", "probability", "then"],
        [
            [shown(path), classes[first], float(row[first]), _listing(classes, row, then)]
            for path, row, (first, *then) in ranked
        ],
    )


def _listing(classes: tuple[str, ...], row: np.ndarray, numbers: list[int]) -> str:
    return ", ".join(f"{classes[number]} {row[number]:.4f}" for number in numbers)

"""Print datasets, and plans for their files."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from dlcli import words
from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.config import Config
from dlcli.errors import DlError
from dlcli.files.paths import obstacle, shown
from dlcli.progress import say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dlcli.data.journal import Operation
    from dlcli.data.moves import Outcome
    from dlcli.data.photos.photos import Photos

# Lines of a plan that are printed.
SHOWN_FOLDERS = 20
SHOWN_FILES = 5
# What datasets of some kind have, in the columns of their list.
COUNTED = ("classes", "users", "items")

DRY_RUN = click.option("--dry-run", is_flag=True, help="only print what would be done")


def print_counts(dataset: Photos, as_json: bool) -> None:
    """Print how many images each split of a dataset has."""
    if as_json:
        emit_json(plain_photos(dataset))
        return
    for split, paths in dataset.splits.items():
        click.echo(f"{split:6} {len(paths):>7,} images")


def and_next(dataset: Photos, command: str) -> str:
    """The end of a message: the next command, or what the dataset lacks until it can be trained on.

    Args:
        dataset: as it is now.
        command: the next command if nothing is lacking, without the dataset.
    """
    from dlcli.data.choice import again
    from dlcli.data.photos.photos import can_be_split, untrainable

    error = untrainable(dataset)
    if error is None:
        return f"; next: `{command}{again(dataset.root)}`"
    if len(dataset.classes) > 1 and can_be_split(dataset):
        return f"; next: `dl data split{again(dataset.root, '')}`"
    return f". {error.what}: {error.why}. {error.hint}"


def say_left_out(dataset: Photos) -> None:
    """Say which files of a dataset's splits are not images, and which images lie too deep."""
    from dlcli.data.photos.folders import too_deep
    from dlcli.images.formats import left_out

    if left := left_out(dataset.root / name for name in dataset.others):
        say(left)
    if dataset.deep:
        error = too_deep(dataset.root, dataset.deep, dataset.root)
        say(f"Warning: left out: {error.what}\n{error.hint}")


def say_changes(dataset: Photos) -> None:
    """Say how many images are turned or scaled as they are decoded."""
    from dlcli.features.rules import changed_in
    from dlcli.images.headers import changes_sentence

    if line := changes_sentence(changed_in(dataset)):
        say(line)


def plain_photos(dataset: Photos) -> dict[str, Any]:
    """What `--json` says about a dataset of photos."""
    counts = {split: Counter(dataset.labels(split)) for split in ("train", "valid")}
    return {
        "name": dataset.name,
        "folder": str(dataset.root),
        **{split: len(paths) for split, paths in dataset.splits.items()},
        "classes": {
            name: {split: counts[split][name] for split in counts} for name in dataset.classes
        },
    }


def print_plan(operation: Operation | None, as_json: bool, *, backwards: bool = False) -> None:
    """Print what an operation would do, or what taking it back would do."""
    from dlcli.data.journal import made_of

    if operation is None:
        if as_json:
            emit_json({"moves": []})
        say("Nothing to do: the dataset is organised already.")
        return
    pairs = [(move.source, move.target) for move in operation.moves]
    start, goal = operation.source, operation.root
    if backwards:
        pairs, start, goal = [(b, a) for a, b in pairs], goal, start
        verb = "move" if operation.kind == "move" else "remove"
    else:
        verb, start = verb_of(operation), made_of(operation)
    if as_json:
        plan = {"do": verb, "from": str(start), "to": str(goal), "files": len(pairs)}
        emit_json(plan | {"moves": pairs})
        return
    where = (
        shown(start) if start == goal or verb == "remove" else f"{shown(start)} to {shown(goal)}"
    )
    click.echo(f"Would {verb} {words.count(len(pairs), 'file')}, {where}:")
    folders = Counter((_folder(a), _folder(b)) for a, b in pairs)
    rows = [[a, b, count] for (a, b), count in folders.items()]
    print_table(["from", "to", "files"], rows[:SHOWN_FOLDERS])
    if len(rows) > SHOWN_FOLDERS:
        click.echo(f"... and {words.count(len(rows) - SHOWN_FOLDERS, 'more folder')}")
    click.echo("For example:")
    for a, b in pairs[:SHOWN_FILES]:
        click.echo(f"  {shown(a)}" + ("" if verb == "remove" else f" -> {shown(b)}"))
    say("Nothing was done. Leave out --dry-run to do it.")


def require_place(config: Config, key: str) -> None:
    """Refuse a folder in the settings, `data_dir` or `runs_dir`, where there is something else.

    Raises:
        DlError: says what is there, and where the setting comes from.
    """
    value = config.get(key)
    if found := obstacle(value.value):
        raise DlError(
            found.what,
            why=f"`{key}` needs a folder, and is {shown(value.value)} by {value.origin}",
            hint=f"Set `{key}` to a folder: `dl config set {key} FOLDER`, or the environment "
            f"variable DL_{key.upper()}.",
        )


def print_datasets(config: Config, as_json: bool, row_of: Callable[[Path], dict[str, Any]]) -> None:
    """Print the datasets under the data folder, and mark the current one.

    Args:
        row_of: what is said about the dataset in a folder, by its kind.
    """
    from dlcli.data.choice import choose_dataset, dataset_names
    from dlcli.data.dataset import SPLITS

    data_dir = config.settings().data_dir
    try:
        choice = choose_dataset(config)
        say(str(choice))
        current = choice.root
    except DlError:
        current = None
    found: list[dict[str, Any]] = []
    require_place(config, "data_dir")
    for name in dataset_names(data_dir):
        row: dict[str, Any] = {"name": name, "folder": str(data_dir / name), "problem": None}
        try:
            row |= row_of(data_dir / name)
        except DlError as error:
            row["problem"] = error.what
        found.append(row | {"current": data_dir / name == current})
    if as_json:
        emit_json(found)
        return
    if not found:
        say(f"No datasets in {shown(data_dir)}; next: `dl data organize SRC`")
        return
    sized = ["features"] if any(row.get("features_bytes") for row in found) else []
    counted = [name for name in COUNTED if any(name in row for row in found)] or ["classes"]
    print_table(
        ["", "dataset", *SPLITS, *counted, *sized, "problem"],
        [
            [
                "*" if row["current"] else "",
                row["name"],
                *(row.get(split) for split in SPLITS),
                *(
                    len(row[name]) if name == "classes" and name in row else row.get(name)
                    for name in counted
                ),
                *(_features_size(row) for _ in sized),
                row["problem"],
            ]
            for row in found
        ],
    )
    say(f"Datasets in {shown(data_dir)}. List the classes of one: `dl data ls DATASET`")


def _features_size(row: Mapping[str, Any]) -> str:
    size = row.get("features_bytes")
    return words.size(size) if size else ""


def verb_of(operation: Operation) -> str:
    """What an operation does to files: "copy", "move", "link", "unpack"; "make" if drawn."""
    from dlcli.data.journal import made_of
    from dlcli.data.photos.organize.organize import is_staged

    if not is_staged(operation):
        return operation.kind
    return "make" if made_of(operation).is_dir() else "unpack"


def _folder(path: str) -> str:
    folder, _, _ = path.rpartition("/")
    return (folder or ".") + "/"


def warn_of(outcome: Outcome) -> None:
    """Warn of files that an operation left out."""
    for warning in outcome.warnings:
        say(warning)

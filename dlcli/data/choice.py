"""Choose the dataset that a command works on, and say why."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dlcli.config import Config, load_config
from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.files.atomic import atomic_write
from dlcli.files.formats import read_text
from dlcli.files.paths import absolute, expanded, quoted, shown, state_home
from dlcli.images.formats import is_image
from dlcli.progress import say


@dataclass(frozen=True)
class Choice:
    """A dataset's folder, and why it was chosen."""

    root: Path
    why: str

    def __str__(self) -> str:
        return f"Dataset {shown(self.root)} ({self.why})"


def choose_dataset(config: Config, *, lasting: bool = True) -> Choice:
    """Choose the dataset: named > the setting > the current folder's > last named.

    A dataset that is named on the command line is remembered for the next command, if it has
    training images.

    Args:
        config: the settings.
        lasting: whether a named dataset may be remembered.

    Raises:
        DlError: the named dataset does not exist, or none is known.
    """
    settings = config.settings()
    if settings.dataset is not None:
        root = find_dataset(settings.dataset, settings.data_dir)
        if config.is_flag("dataset"):
            if lasting and _has_images(root):
                remember(root)
            return Choice(root, "named")
        origin = config.get("dataset").origin
        return Choice(root, f"by {'' if origin == 'DL_DATASET' else '`dataset` in '}{origin}")
    if here := _dataset_around(Path.cwd(), settings.data_dir):
        return Choice(here, "of the current folder")
    if last := last_named():
        if last.is_dir():
            return Choice(last, "last named")
        raise DlError(
            f"{shown(last)}, the dataset last named, no longer exists",
            hint="Name another: a path, or a name under the data folder.",
        )
    raise DlError(
        "No dataset is named",
        why="no earlier command named one either",
        hint="`dl data ls` lists datasets. Name one: `-d DATASET`. After a `dl data` command, "
        "type the name alone: `dl data split DATASET`. Or make one: `dl data organize FOLDER`.",
    )


def with_named(config: Config, word: str | None) -> Config:
    """The settings with the dataset that was typed as a word, as if by `-d`.

    Args:
        config: the settings.
        word: a path, or a name under the data folder; None if no word was typed.

    Raises:
        DlError: there is no such dataset, or `-d` names another.
    """
    if word is None:
        return config
    find = partial(find_dataset, data_dir=config.settings().data_dir)
    root = find(word)
    one_name(word, typed_option(config), find)
    # the folder, because the setting `none` means no dataset
    return config.with_flags({"dataset": str(root)})


def typed_option(config: Config) -> str | None:
    """The dataset that `-d` names on this command line, if any."""
    return config.settings().dataset if config.is_flag("dataset") else None


def one_name(word: str | None, option: str | None, folder: Callable[[str], Path]) -> str | None:
    """The dataset that was typed, as a word or by `-d`, or by both if they are the same.

    Args:
        word: the dataset typed as a word.
        option: the dataset typed after `-d`.
        folder: finds the folder of a name.

    Raises:
        DlError: the two are not the same folder.
    """
    if word is not None and option is not None and folder(word) != folder(option):
        raise DlError(
            "Two datasets are named",
            why=f"{shown(folder(word))}, and {shown(folder(option))} by `-d`",
            hint="Leave out one of them.",
            exit_code=ExitCode.USAGE,
        )
    return option if word is None else word


def again(root: Path | None, flag: str = "-d ") -> str:
    """The argument that makes the next command take this dataset; "" where it needs none.

    Args:
        root: the dataset's folder.
        flag: the option that the next command names a dataset by; "" for a positional.
    """
    try:
        taken = choose_dataset(load_config()).root
    except DlError:
        taken = None
    return "" if root is None or taken == root else f" {flag}{quoted(root)}"


def find_dataset(named: str, data_dir: Path) -> Path:
    """The folder of a dataset given by a path, or by a name under the data folder.

    Raises:
        DlError: there is no such folder; names the nearest under the data folder.
    """
    path = expanded(named)
    candidates = [path] if os.sep in named or named in (".", "..") else [data_dir / path, path]
    for candidate in candidates if named else ():
        if candidate.is_dir():
            return Path(os.path.abspath(candidate))
    for candidate in candidates:
        if candidate.is_file():
            raise DlError(
                f"{shown(candidate)} is a file",
                why="a dataset is a folder",
                hint="Make a dataset of it: `dl data organize`.",
            )
    raise DlError(
        f"No such dataset: {shown(named)}",
        why=f"no folder {shown(candidates[0])}",
        hint=did_you_mean(path.name, dataset_names(data_dir))
        or "Make one: `dl data organize SRC`, or name its folder.",
    )


def dataset_meant(word: str, data_dir: Path) -> Path | None:
    """The folder of the dataset that a word names, where it could name something else.

    Returns:
        a folder under the data folder, or any with a train/; None if the word names neither.
    """
    try:
        root = find_dataset(word, data_dir)
    except DlError:
        return None
    is_dataset = root.parent == absolute(data_dir) or (root / "train").is_dir()
    return root if is_dataset else None


def typed_name(root: Path) -> str:
    """A dataset as it can be typed: its name, or its path if that names another or none."""
    try:
        found = find_dataset(root.name, load_config().settings().data_dir)
    except DlError:
        found = None
    return shlex.quote(root.name) if found == root else quoted(root)


def folder_named(name: str, data_dir: Path) -> Path:
    """The folder of a new dataset, given by a path, or by a name under the data folder."""
    return absolute(Path(name) if os.sep in name or name in (".", "..") else data_dir / name)


def dataset_names(data_dir: Path) -> tuple[str, ...]:
    """The folders under the data folder, sorted."""
    try:
        with os.scandir(data_dir) as entries:
            names = [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(names))


def _has_images(root: Path) -> bool:
    """Whether a folder has an image in a class's folder of train/."""
    return any(is_image(path) for path in root.glob("train/*/[!.]*"))


def _dataset_around(folder: Path, data_dir: Path) -> Path | None:
    """The dataset that a folder lies in: a folder of the data folder, or one with a train/."""
    around = (folder, *folder.parents)
    data = data_dir.resolve()  # as the current folder's path, which is without links
    for parent in around[:-1]:
        if parent.parent == data:
            return data_dir / parent.name
    return next((parent for parent in around if (parent / "train").is_dir()), None)


def _state_file() -> Path:
    return state_home() / "dataset"


def remember(root: Path) -> None:
    """Record a dataset as the one last named on a command line."""
    file = _state_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, str(root) + "\n")
    except OSError as error:  # a home that can't be written: the command itself goes on
        say(f"Warning: can't remember the dataset in {shown(file)}: {error.strerror}.")


def last_named() -> Path | None:
    """The dataset last named on a command line, if any."""
    try:
        return Path(read_text(_state_file()).removesuffix("\n"))
    except (FileNotFoundError, NotADirectoryError):
        return None

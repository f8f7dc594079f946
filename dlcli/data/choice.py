"""Choose the dataset that a command works on, and say why."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dlcli.config import Config, load_config
from dlcli.data.dataset import MARKS, SAMPLE, is_dataset, kind_of
from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.files.atomic import atomic_write
from dlcli.files.formats import read_text
from dlcli.files.paths import absolute, expanded, obstacle, quoted, reason, shown, state_home
from dlcli.images.formats import is_image
from dlcli.process import session_ended, session_id
from dlcli.progress import say

# A session of another machine, which has the same home folder, can't be checked.
FORGOTTEN_SECONDS = 30 * 24 * 60 * 60
# Of the longest path there can be, many times.
_MOST_BYTES = 1 << 16


@dataclass(frozen=True)
class Choice:
    """A dataset's folder, and why it was chosen.

    Args:
        lasts: whether the next command will choose it too. A command in another terminal may
            change what was last named there.
    """

    root: Path
    why: str
    lasts: bool = True

    def __str__(self) -> str:
        return f"Dataset {shown(self.root)} ({self.why})"


def choose_dataset(config: Config, *, lasting: bool = True) -> Choice:
    """Choose the dataset: named > the setting > the current folder's > last named.

    A dataset that is named on the command line is remembered for the next command in the same
    terminal, if it has training examples. A terminal in which none was named takes the one last
    named in another.

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
            if lasting and _has_examples(root):
                remember(root)
            return Choice(root, "named")
        origin = config.get("dataset").origin
        return Choice(root, f"by {'' if origin == 'DL_DATASET' else '`dataset` in '}{origin}")
    if here := _dataset_around(Path.cwd(), settings.data_dir):
        return Choice(here, "of the current folder")
    if last := last_named():
        if last.root.is_dir():
            return last
        raise DlError(
            f"{shown(last.root)}, the dataset {last.why}, no longer exists",
            hint=_instead_of(last.root, settings.data_dir),
        )
    raise DlError(
        "No dataset is named",
        why="no earlier command named one either",
        hint=_name_one(settings.data_dir),
    )


def _name_one(data_dir: Path) -> str:
    """How to name a dataset, or to make the first one."""
    if not dataset_names(data_dir):
        return "Make one: `dl data organize FOLDER`. Or name one elsewhere: `-d DATASET`."
    return (
        "`dl data ls` lists datasets. Name one: `-d DATASET`. After a `dl data` command, type the "
        "name alone: `dl data split DATASET`. Or make one: `dl data organize FOLDER`."
    )


def _instead_of(gone: Path, data_dir: Path) -> str:
    """What to type if a dataset is gone: for a sample, the whole one."""
    whole = gone.name.removesuffix(SAMPLE)
    if whole != gone.name and whole in dataset_names(data_dir):
        return f"Name the whole dataset: `-d {shlex.quote(whole)}`. `dl data ls` lists datasets."
    return _name_one(data_dir)


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
    if root is None:
        return ""
    try:
        taken = choose_dataset(load_config())
    except DlError:
        taken = None
    is_taken = taken is not None and taken.lasts and taken.root == root
    return "" if is_taken else f" {flag}{quoted(root)}"


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
                hint=f"Make a dataset of it: `dl data organize {quoted(candidate)}`.",
            )
    raise obstacle(candidates[0]) or DlError(
        f"No such dataset: {shown(named)}",
        why=f"no folder {shown(candidates[0])}",
        hint=did_you_mean(path.name, dataset_names(data_dir))
        or "Make one: `dl data organize SRC`, or name its folder.",
    )


def dataset_meant(word: str, data_dir: Path) -> Path | None:
    """The folder of the dataset that a word names, where it could name something else.

    Returns:
        a folder under the data folder, or any other that looks like a dataset; None if
            the word names neither.
    """
    try:
        root = find_dataset(word, data_dir)
    except DlError:
        return None
    return root if root.parent == absolute(data_dir) or is_dataset(root) else None


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


def _has_examples(root: Path) -> bool:
    """Whether a folder has the mark of a kind, or an image in a class's folder of train/."""
    return kind_of(root) in MARKS or any(is_image(path) for path in root.glob("train/*/[!.]*"))


def _dataset_around(folder: Path, data_dir: Path) -> Path | None:
    """The dataset that a folder lies in: a folder of the data folder, or of a dataset's looks."""
    around = (folder, *folder.parents)[:-1]  # "/" has no name, so it can't be a dataset
    data = data_dir.resolve()  # as the current folder's path, which is without links
    for parent in around:
        if parent.parent == data:
            return data_dir / parent.name
    return next((parent for parent in around if is_dataset(parent)), None)


def _state_file() -> Path:
    """The dataset last named in any terminal, as 0.1.0 kept it."""
    return state_home() / "dataset"


def _sessions() -> Path:
    """A file for each terminal session, so that no process writes what another one wrote."""
    return state_home() / "datasets"


def remember(root: Path) -> None:
    """Record a dataset as the one last named on a command line, in this terminal and in any."""
    files = [_state_file()]
    if session := session_id():
        files.append(_sessions() / session)
    try:
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(file, f"{root}\n")
        _forget_ended()
    except OSError as error:  # a home that can't be written: the command itself goes on
        say(
            f"Warning: can't remember the dataset in {shown(_state_file())}: {reason(error)}. "
            "Add `-d DATASET` to the next command."
        )


def _forget_ended() -> None:
    """Remove what sessions left that have ended."""
    for file in _sessions().glob("[!.]*"):
        with suppress(FileNotFoundError, ValueError):  # removed by another process; not ours
            ended = session_ended(file.name)
            if ended is None:
                ended = time.time() - file.stat().st_mtime > FORGOTTEN_SECONDS
            if ended:
                file.unlink()


def last_named() -> Choice | None:
    """The dataset last named on a command line in this terminal, else in another one, if any."""
    if (session := session_id()) and (root := _recorded(_sessions() / session)):
        return Choice(root, "last named")
    if root := _recorded(_state_file()):
        return Choice(root, "last named in another terminal", lasts=False)
    return None


def _recorded(file: Path) -> Path | None:
    try:
        text = read_text(file, _MOST_BYTES).removesuffix("\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, DlError) as error:
        why = error.why if isinstance(error, DlError) else reason(error)
        say(
            f"Warning: can't read {shown(file)}: {why}. Remove it: it names the dataset last named."
        )
        return None
    return Path(text) if text.startswith("/") and "\0" not in text else None

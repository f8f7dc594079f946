"""Folders of a few small files, and what `dl data` does to them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlcli.data import operations
from dlcli.data.photos import splits
from dlcli.data.photos.organize import organize

Tree = dict[str, bytes]
Act = Callable[[Path], Any]

KAGGLE = {
    **{f"train/cat.{i}.jpg": f"cat {i}".encode() for i in range(2)},
    **{f"train/dog.{i}.jpg": f"dog {i}".encode() for i in range(2)},
    "test1/1.jpg": b"test 1",
    "sample_submission.csv": b"id,label\n1,0.5\n",
}
DATASET = {
    **{f"train/cat/{i}.jpg": f"cat {i}".encode() for i in range(3)},
    **{f"train/dog/{i}.jpg": f"dog {i}".encode() for i in range(3)},
    "dataset.yaml": b"kaggle: {positive: dog}\n",
}
SPLIT = {
    path.replace("train/", "valid/") if path.endswith("/0.jpg") else path: content
    for path, content in DATASET.items()
}


def make(root: Path, *paths: str) -> Path:
    """Files that hold their own names."""
    return plant(root, {path: os.fsencode(path) for path in paths})


def plant(root: Path, files: Tree) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def tree(root: Path, *, hidden: bool = False) -> Tree:
    """Every file below a folder, and its content; hidden ones, as `.dl/`, only when asked for."""
    found = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if hidden or not any(part.startswith(".") for part in Path(name).parts)
    }


def folders(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_dir())


def organize_copy(base: Path) -> Any:
    return organize.organize(base / "kaggle", base / "dogscats")


def organize_move(base: Path) -> Any:
    return organize.organize(base / "kaggle", base / "dogscats", organize.OrganizeOptions("move"))


def organize_in_place(base: Path) -> Any:
    return organize.organize(base / "kaggle", base / "kaggle")


def split(base: Path) -> Any:
    return splits.split(base / "dogscats", 2, 0)


def sample(base: Path) -> Any:
    return splits.sample(base / "dogscats", 3, 2, 0)


def other_sample(base: Path) -> Any:
    return splits.sample(base / "dogscats", 2, 2, 0, replace=True)


def undo(name: str, base: Path) -> Any:
    return operations.undo(base / name)


def under(folder: str, files: Tree) -> Tree:
    return {f"{folder}/{path}": content for path, content in files.items()}


DOWNLOADED = under("kaggle", KAGGLE)
MADE = under("dogscats", DATASET)
MADE_AND_SPLIT = under("dogscats", SPLIT)

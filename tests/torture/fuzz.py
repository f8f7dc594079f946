"""Hostile inputs of all formats, each from its number, and batches of them.

A batch has a process of its own, which may hang, crash or take all memory.

    try_input("status", 7, folder)
"""

from __future__ import annotations

import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Protocol

from support.children import little_memory
from torture import hostile_archives, hostile_models
from torture.formats import FORMATS
from torture.lab import Failed, Lab


class Input(Protocol):
    """What makes hostile inputs of one format, and reads them."""

    def try_one(self, rng: Random, folder: Path) -> None: ...


INPUTS: dict[str, Input] = {**FORMATS, "archives": hostile_archives, "models": hostile_models}
WITH_BACKEND = {"models"}
# More than any reader needs; TensorFlow maps much that it never uses.
MEMORY_BYTES = 8 << 30
MOST_SECONDS = 8


def try_input(name: str, number: int, folder: Path) -> None:
    """Make an input of one format, and read it.

    Args:
        number: the same one always makes the same input.
        folder: empty at first, then for all inputs of this format.

    Raises:
        AssertionError: its reader did not bear it.
    """
    try:
        INPUTS[name].try_one(Random(f"{name} {number}"), folder)
    except AssertionError as error:
        raise AssertionError(f"{name}, input {number}: {error}") from error


def batch(name: str, seed: int, count: int, progress: str) -> None:
    """Try inputs of one format, for some seconds at most, and print how many there were.

    Args:
        progress: a file that holds the seed of the current input, if this process should not end.
    """
    little_memory(MEMORY_BYTES)
    end = time.monotonic() + MOST_SECONDS
    with TemporaryDirectory() as folder:
        for number in range(seed, seed + count):
            Path(progress).write_text(str(number))
            try:
                try_input(name, number, Path(folder))
            except AssertionError as error:
                print(f"{error!s:.2000}")
                return
            if time.monotonic() > end:
                break
    print("tried", number + 1 - seed)


def fuzz(lab: Lab, name: str, seed: int, count: int) -> None:
    """Try so many inputs of one format in a process of its own."""
    lab.clear()
    progress = lab.home / "current-seed"
    first = f"from torture.fuzz import batch; batch({name!r}, {seed}, {count}, {str(progress)!r})"
    try:
        done = lab.dl("--version", first=first, heavy=name in WITH_BACKEND)
    except Failed as error:
        at = progress.read_text() if progress.exists() else "the beginning"
        raise type(error)(f"{name}, input {at}: {error}") from error
    if not done.stdout.startswith("tried "):
        raise Failed(f"{done.stdout}{done.stderr}")
    lab.counts[f"inputs: {name}"] += int(done.stdout.split()[1])

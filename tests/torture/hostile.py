"""Somebody's folder: links, pipes, devices and foreign files where `dl` keeps its own.

A command then does its work or names what is in its way; what the links lead to stays as it is.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from support.small_folders import plant
from torture.kills import Act
from torture.lab import Failed, Lab, Seen
from torture.scenes import FIRST, content

# What others own, which links lead to: a file, a folder, and one that looks like a dataset's.
VICTIM = "victim"
RUN = f"runs/pets/{FIRST}"
OF_DATASET = (
    "data/pets/.dl",
    "data/pets/.dl/lock",
    "data/pets/.dl/0001-split.pending",
    "data/pets/valid",
    "data/pets/.dl-partial",
    "data/.pets-sample.partial",
    "data/.pets-sample.replaced",
    "data/pets-sample",
    "data/pets-sample/.dl",
    "data/pets/train/cat/1.jpg",
)
OF_RUN = (
    f"{RUN}/log.txt",
    f"{RUN}/config.yaml",
    f"{RUN}/status.yaml",
    f"{RUN}/classes.yaml",
    f"{RUN}/history.csv",
    f"{RUN}/metrics.yaml",
    f"{RUN}/report.html",
    f"{RUN}/figures",
    f"{RUN}/figures/curves.png",
    f"{RUN}/predictions",
    f"{RUN}/predictions/valid.csv",
    f"{RUN}/predictions/test.csv",
    f"{RUN}/submission.csv",
    f"{RUN}/submissions",
    f"{RUN}/kaggle.yaml",
    f"{RUN}/models",
    f"{RUN}/lock.yaml",
    RUN,
)
PLACES = {
    "organize": OF_DATASET,
    "organize-move": OF_DATASET,
    "organize-archive": OF_DATASET,
    "split": OF_DATASET,
    "undo-split": OF_DATASET,
    "undo-organize": OF_DATASET,
    "sample": OF_DATASET,
    "sample-replace": OF_DATASET,
    "undo-sample": OF_DATASET,
    "evaluate": OF_RUN,
    "ensemble": OF_RUN,
    "submit": OF_RUN,
    "runs-rm": OF_RUN,
    "config-set": (".local/state/dl/dataset", ".local/state/dl", ".local"),
}


def to_file(path: Path, victim: Path) -> None:
    path.symlink_to(victim / "thesis.txt")


def to_folder(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def to_itself(path: Path, victim: Path) -> None:
    path.symlink_to(path.name)


def to_nothing(path: Path, victim: Path) -> None:
    path.symlink_to(victim / "missing")


def to_device(path: Path, victim: Path) -> None:
    path.symlink_to("/dev/zero")


def pipe(path: Path, victim: Path) -> None:
    os.mkfifo(path)


def at_socket(path: Path, victim: Path) -> None:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as bound:  # the path may be too long
        bound.bind(str(path))


def folder(path: Path, victim: Path) -> None:
    plant(path, {"thesis.txt": b"in a folder", "train/cat/1.jpg": b"mine"})


def file(path: Path, victim: Path) -> None:
    path.write_bytes(b"not what is expected: [\xff\0")


Shape = Callable[[Path, Path], None]
SHAPES: tuple[Shape, ...] = (
    to_file,
    to_folder,
    to_itself,
    to_nothing,
    to_device,
    pipe,
    at_socket,
    folder,
    file,
)


def trap(lab: Lab, name: str, place: str, shape: Shape, seed: int) -> None:
    """Play a scene with something in the place of what is `dl`'s own; then without it."""
    act = Act(lab, name, seed)
    act.set_up()
    victim = lab.home / VICTIM
    tree = {"thesis.txt": b"precious", "train/cat/1.jpg": content(Random(seed)), ".hidden": b"too"}
    plant(victim, tree)
    path = lab.home / place
    if not path.parent.is_dir():
        if os.path.lexists(path.parent):
            return
        path.parent.mkdir(parents=True)
    if os.path.lexists(path):  # what was there is somebody's now
        path.rename(victim / "moved")
    shape(path, victim)
    lab.typed.append(f"# trap, {shape.__name__} at {place}")
    kept = Seen.of(lab.home).without(*act.scene.own)
    mine = Seen.of(victim).files
    for words in (act.words(), *act.scene.reads, act.words()):
        act.run(words)
        if Seen.of(victim).files != mine:
            raise Failed(lab.story(f"changed behind a link: {mine} {Seen.of(victim).files}"))
        lab.require(kept, (*act.scene.changes, place))
    lab.counts["hostile folders"] += 1
    act.close()


TRAPS = [
    (name, place, shape) for name, places in PLACES.items() for place in places for shape in SHAPES
]
Random(0).shuffle(TRAPS)


def any_trap(lab: Lab, seed: int) -> None:
    """One of all that there are; as many seeds reach each."""
    trap(lab, *TRAPS[seed % len(TRAPS)], seed)

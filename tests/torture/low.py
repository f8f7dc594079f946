"""Little of everything: a full disk, closed folders, few descriptors, little memory, small files.

A command then does its work or says what is missing; and nothing is lost.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from support.children import STRUCK
from torture.kills import Act
from torture.lab import Failed, Lab
from torture.scenes import SCENES

# Pillow, matplotlib and NumPy's BLAS do not look at each answer of the system.
ENDED = f"-{signal.SIGSEGV}|-{signal.SIGABRT}"
KINDS = ("no_file_above", "few_descriptors", "little_memory", "closed")


def squeeze(lab: Lab, name: str, kind: str, seed: int) -> None:
    """Play a scene with little of something; then, with enough of it, as one would again.

    Args:
        name: of the scene.
        kind: "no_file_above", "few_descriptors", "little_memory": limits of the process; "closed":
            a folder may not be changed.
    """
    rng = Random(seed)
    act = Act(lab, name, seed)
    start, before = act.set_up(), act.runs()
    lab.typed.append(f"# squeeze, {kind}")
    if kind == "closed":
        roots = [lab.home / each for each in SCENES[name].changes if (lab.home / each).is_dir()]
        folders = [folder for root in roots for folder in (root, *root.rglob("*/"))]
        folders = [folder for folder in folders if folder.is_dir() and not folder.is_symlink()]
        for folder in rng.sample(folders, min(len(folders), rng.randint(1, 3))):
            folder.chmod(0o555)
        first = "drop_rights()"
    else:
        first = f"{kind}({amount(kind, rng)})"
    done = act.run(act.words(), first, ENDED if kind == "little_memory" else "")
    if done.exit_code < 0:
        lab.counts["processes that a library in C ended for lack of memory"] += 1
    for folder in lab.home.rglob("*/"):
        if folder.is_dir() and not folder.is_symlink():
            folder.chmod(0o755)
    if done.exit_code > 0 and STRUCK not in done.stderr and "Error: " not in done.stderr:
        raise Failed(lab.story(f"no sentence says what is missing:\n{done.stderr}"))
    lab.require(start, act.scene.changes)
    act.go_on(before)
    lab.require(start, act.scene.changes)
    lab.counts["low resources"] += 1
    act.close()


def amount(kind: str, rng: Random) -> int:
    """So much of it."""
    if kind == "few_descriptors":
        return rng.randint(5, 40)
    if kind == "little_memory":  # more than it has, in bytes
        return int(2 ** rng.uniform(16, 25))
    return int(2 ** rng.uniform(12, 17))  # what it says has to fit


@contextmanager
def small_disk(folder: Path, n_bytes: int) -> Iterator[None]:
    """Mount a small disk in memory there, in this process's own view of the disks.

    Raises:
        OSError: this user or this container may not mount.
    """
    mount = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "torture", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise OSError(f"no small disk can be mounted: {error}") from error
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(lab: Lab, name: str, seed: int) -> None:
    """Play a scene on a disk that becomes full; then again, with room."""
    rng = Random(seed)
    with small_disk(lab.home, 8 << 20):
        act = Act(lab, name, seed)
        start, before = act.set_up(), act.runs()
        filler = lab.home / ".cache"
        filler.mkdir(exist_ok=True)
        free = os.statvfs(lab.home)
        left = rng.choice([0, 4096, 8192, 20_000, 60_000])
        with (filler / "filler").open("wb") as file:
            file.write(bytes(max(0, free.f_bavail * free.f_frsize - left)))
        done = act.run(act.words())
        (filler / "filler").unlink()
        if done.exit_code and "Error: " not in done.stderr:
            raise Failed(lab.story(f"no sentence says that the disk is full:\n{done.stderr}"))
        lab.require(start, act.scene.changes)
        act.go_on(before)
        lab.require(start, act.scene.changes)
        lab.counts["full disks"] += 1
        act.close()

"""Running `dl` as a user would, timed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DATA = Path(os.environ.get("DL_TEST_DATA", "../shared/data")).resolve()


@contextmanager
def fresh_home() -> Iterator[Path]:
    """A home folder of its own, with nothing cached."""
    with tempfile.TemporaryDirectory(prefix="dl-bench-") as home:
        yield Path(home)


def run(home: Path, *words: str, python: tuple[str, ...] = ("-m", "dlcli")) -> tuple[float, str]:
    """Run a command to its end.

    Returns:
        seconds, and what it printed on stdout.
    """
    environment = os.environ | {
        "HOME": str(home),
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # users' machines keep bytecode
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *python, *words],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"{words} failed:\n{done.stderr}")
    return seconds, done.stdout


def photos() -> Path:
    """The folder of 2,002 labelled and 1,001 unlabelled photos of dogs and cats."""
    folder = DATA / "dogscats-kaggle"
    if not folder.is_dir():
        raise SystemExit(f"No photos at {folder}: set DL_TEST_DATA")
    return folder

"""Ladders that were climbed, and steps that take no time.

Each of those leaves a finished run with scores of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dlcli.config import Config
from dlcli.errors import DlError
from dlcli.experiments import ladder as ladder_module
from dlcli.runs.ladder import Ladder
from dlcli.runs.run import Run

SCORES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "seconds", "parameters")
STEPS = ["linear", "finetune"]  # of a short course


def train_at_once(
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    *,
    failing: tuple[str, ...] = (),
    stopping: tuple[str, ...] = (),
    names: tuple[str, ...] = SCORES,
) -> None:
    """Put such steps in place of training; recipes that are named fail, or end in Ctrl-C.

    Each training that ends well is noted in `~/trained`. The runs have scores of some names.
    """

    def train(config: Config, recipe: str, root: Path) -> Run:
        run = Run.create(config.settings().runs_dir, root.name, recipe, ())
        run.start("cnn", 3)
        if recipe in stopping:
            raise KeyboardInterrupt
        if recipe in failing:
            run.update_status(state="failed")
            raise DlError("It fell", why="of a test", hint="Stand up.")
        finish(run)
        return run

    def finish(run: Run) -> None:
        number = len(Run.all(run.path.parent.parent))
        scores = (0.6 / number, 0.7 / number, 0.5 + 0.04 * number, 0.5 + 0.03 * number)
        diagnosis = {
            "kind": "underfitting",
            "sentence": f"Sentence {number}.",
            "evidence": "Evidence.",
            "next": ["a remedy, `dl train fc`", "another"],
        }
        measured = dict(zip(names, (*scores, 1.26 * number, 12_345 * 10**number), strict=True))
        run.update_status(state="finished", diagnosis=diagnosis, **measured)
        with (home / "trained").open("a") as file:
            file.write(f"{run.name}\n")

    monkeypatch.setattr(ladder_module, "train", train)
    monkeypatch.setattr(ladder_module, "resume", finish)


def ladders(home: Path) -> list[Ladder]:
    return [Ladder(file.parent) for file in sorted(home.glob("runs/*/*/ladder.yaml"))]


def only_ladder(home: Path) -> Ladder:
    (ladder,) = ladders(home)
    return ladder


def run_of(ladder: Ladder, step: str) -> Run:
    run = ladder.run(step)
    assert run is not None
    return run

"""How long until a thousand runs are listed?"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from statistics import median

from bench.commands import fresh_home, run
from bench.digits import DIGITS
from bench.report import Result

COUNTS = (1_000, 10_000)
TIMES = 5
# Read anew for each copy: one file under many names would be read from one place.
READ = (".yaml", ".csv", ".txt")


def measure() -> Result:
    """One real run and copies of it, listed by whole processes."""
    commands = {
        "dl runs": ("runs",),
        "dl runs ls 'val_accuracy>0.9' --sort val_loss": (
            "runs",
            "ls",
            "val_accuracy>0.9",
            "--sort",
            "val_loss",
        ),
        "dl runs ls batch_size=64": ("runs", "ls", "batch_size=64"),
        "dl runs best": ("runs", "best"),
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    with fresh_home() as home:
        run(home, str(home / "data" / "digits"), python=("-c", DIGITS))
        run(home, "data", "split", "digits", "--valid", "500")
        run(home, "train", "finetune", "--schedule", "1e-3x2", "--image-size", "32")
        (first,) = (home / "runs" / "digits").iterdir()
        made = 1
        for count in COUNTS:
            for number in range(made, count):
                _copy(first, first.with_name(f"{first.name}-{number}"))
            made = count
            for name, words in commands.items():
                seconds = [run(home, *words)[0] for _ in range(TIMES)]
                times[name].append(median(seconds))
    header = ["command", *(f"{count:,} runs, s" for count in COUNTS)]
    return Result(
        "Listing runs",
        f"Whole processes, median of {TIMES}. The command checks the files of each run. Only "
        "the filter on the hyperparameter `batch_size` parses every `config.yaml`.",
        header,
        [[f"`{name}`", *(f"{each:.2f}" for each in taken)] for name, taken in times.items()],
        "0.5 s for `dl runs` over 1,000",
        times["dl runs"][0] <= 0.5,
    )


def _copy(run: Path, to: Path) -> None:
    """A copy of a run's folder, whose models and pictures take no room again."""

    def take(source: str, target: str) -> None:
        if source.endswith(READ):
            shutil.copyfile(source, target)
        else:
            os.link(source, target)

    shutil.copytree(run, to, copy_function=take)

"""How long does `dl ladder` take on a sample, and what does it show?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bench.commands import fresh_home, photos, run
from bench.report import Result

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "ladder.png"
SCORES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")


def measure() -> Result:
    """The whole ladder on 1,500 photos, features included; its picture goes to the docs."""
    with fresh_home() as home:
        run(home, "data", "organize", str(photos()), "dogscats")
        run(home, "data", "split", "--valid", "400")
        run(home, "data", "sample")
        seconds, out = run(home, "ladder", "-d", "dogscats", "--json")
        found = json.loads(out)
        shutil.copy(Path(found["ladder"]) / "ladder.png", PICTURE)
    steps = found["steps"]
    return Result(
        "`dl ladder` on the sample",
        "1,500 photos of dogs and cats, judged on 400 others; all at default settings. "
        f"The whole command took {seconds / 60:.1f} minutes, features included.",
        ["step", "train loss", "valid loss", "train acc", "valid acc", "seconds", "params"],
        [
            [
                step["step"],
                *(f"{step[name]:.4f}" for name in SCORES),
                f"{step['seconds']:.1f}",
                f"{step['parameters']:,}",
            ]
            for step in steps
        ],
        "15 minutes, no step worse than chance",
        seconds < 15 * 60 and all(s["val_accuracy"] > 0.5 and s["val_loss"] < 0.693 for s in steps),
    )

"""How long does it take to put a part of 25,000 files aside?"""

from __future__ import annotations

from bench.commands import fresh_home, run
from bench.report import Result

FILES = 25_000


def measure() -> Result:
    """`dl data split` on empty files named as Kaggle's dogs and cats are."""
    rows = []
    with fresh_home() as home:
        for kind in ("cat", "dog"):
            folder = home / "data" / "many" / "train" / kind
            folder.mkdir(parents=True)
            for number in range(FILES // 2):
                (folder / f"{kind}.{number}.jpg").touch()
        for size in ("2000", "12500"):
            seconds, _ = run(home, "data", "split", "many", "--valid", size)
            undo, _ = run(home, "data", "undo", "many")
            rows.append([f"{int(size):,} of {FILES:,}", f"{seconds:.2f}", f"{undo:.2f}"])
    return Result(
        "`dl data split` of 25,000 files",
        "The whole command: listing, plan, journal (synced to disk), moves.",
        ["moved", "split, s", "undo, s"],
        rows,
        "1.0 s, journal included",
        all(float(row[1]) <= 1.0 for row in rows),
    )

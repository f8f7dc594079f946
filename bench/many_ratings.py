"""How long do 20 million ratings take, and how much memory?"""

from __future__ import annotations

from bench.commands import fresh_home, run
from bench.memory import PEAK
from bench.report import Result

RATINGS = 20_000_000
COMMANDS = {
    "dl data organize": ("data", "organize", "ratings.csv", "many"),
    "dl data split": ("data", "split", "many"),
    "dl data split --by user": ("data", "split", "many", "--by", "user", "--again"),
    "dl data split --by time": ("data", "split", "many", "--by", "time", "--again"),
    "dl train collab-dot, one epoch": ("train", "collab-dot", "-d", "many", "--epochs", "1"),
}
TRAINING = "dl train collab-dot, one epoch"
# MiB
MOST_OF_DATA, MOST_OF_TRAINING = 1024, 4096


def measure() -> Result:
    """Generated ratings of 138,888 users and 26,737 items, by whole commands."""
    from bench.generated_ratings import write

    rows, peaks = [], {}
    with fresh_home() as home:
        write(home / "ratings.csv", RATINGS)
        size = (home / "ratings.csv").stat().st_size / 2**20
        for name, words in COMMANDS.items():
            seconds, out = run(home, *words, python=("-c", PEAK))
            peaks[name] = int(out.rsplit("peak ", 1)[1])
            rows.append([f"`{name}`", f"{seconds:.0f}", f"{peaks[name]:,}"])
    trained = peaks.pop(TRAINING)
    return Result(
        f"{RATINGS:,} ratings",
        f"Generated ratings, a CSV of {size:.0f} MiB; each a whole command, with its peak resident "
        "memory, mapped files included. The training also predicts the 4,000,000 ratings of valid, "
        "and writes them.",
        ["command", "s", "peak, MiB"],
        rows,
        "1 GiB for the commands on data, 4 GiB for an epoch",
        max(peaks.values()) <= MOST_OF_DATA and trained <= MOST_OF_TRAINING,
    )

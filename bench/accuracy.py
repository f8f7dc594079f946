"""How good is the default, over many splits?"""

from __future__ import annotations

import json
import shutil
from statistics import mean, stdev

from bench.commands import fresh_home, photos, run
from bench.report import Result

SEEDS = 20


def measure() -> Result:
    """The commands at default settings, the split's seed from 0 to 19."""
    scores: dict[str, list[float]] = {"accuracy": [], "log_loss": []}
    with fresh_home() as home:
        for seed in map(str, range(SEEDS)):
            run(home, "data", "organize", str(photos()), "dogscats")
            shutil.rmtree(home / "data" / "dogscats" / "test")
            run(home, "data", "split", "--valid", "400", "--seed", seed)
            run(home, "features")
            run(home, "train", "finetune", "--seed", seed)
            metrics = json.loads(run(home, "evaluate", "--json")[1])
            for name, values in scores.items():
                values.append(metrics[name])
            shutil.rmtree(home / "data")
            shutil.rmtree(home / "runs")
    rows = [
        [
            name,
            f"{mean(values):.4f}",
            f"{stdev(values):.4f}",
            f"{min(values):.4f}",
            f"{max(values):.4f}",
        ]
        for name, values in scores.items()
    ]
    return Result(
        "Accuracy of `dl train finetune` at default settings",
        f"2,002 photos of dogs and cats, 400 put aside by `dl data split --valid 400`; {SEEDS} "
        "seeds of the split and of training.",
        ["on the 400", "mean", "spread", "least", "most"],
        rows,
        "mean accuracy at least 0.985, mean log loss at most 0.045",
        mean(scores["accuracy"]) >= 0.985 and mean(scores["log_loss"]) <= 0.045,
    )

"""How long does the everyday path take, from features to a submission?"""

from __future__ import annotations

from bench.commands import fresh_home, photos, run
from bench.report import Result

PARTS = """
import time
from pathlib import Path
import sys
begun = time.perf_counter()
from dlcli.config import load_config
from dlcli.dataset import open_dataset
from dlcli.images import read_batches
from dlcli.inference import resolve_forward, start_engine
config = load_config()
dataset = open_dataset(Path(sys.argv[1]))
forward, weights = resolve_forward(config.settings(), "pooled")
print("start", time.perf_counter() - begun)
begun = time.perf_counter()
engine = start_engine(forward, weights)
print("engine", time.perf_counter() - begun)
paths = [path for split in dataset.splits.values() for path in split]
begun = time.perf_counter()
batches = list(read_batches(dataset.root, paths, forward.pixels, engine.batch_size, 2))
print("decode", time.perf_counter() - begun)
begun = time.perf_counter()
for _ in engine.run(batches):
    pass
print("forward", time.perf_counter() - begun)
"""


def measure() -> Result:
    """The commands on 2,002 + 1,001 photos in a fresh home, and the parts of `dl features`."""
    with fresh_home() as home:
        run(home, "data", "organize", str(photos()), "dogscats")
        run(home, "data", "split", "--valid", "400")
        commands = {
            "`dl features`": ("features",),
            "`dl train finetune`": ("train", "finetune"),
            "`dl evaluate`": ("evaluate",),
            "`dl submit --clip 0.05`": ("submit", "--clip", "0.05"),
        }
        seconds = {name: run(home, *words)[0] for name, words in commands.items()}
        backend, _ = run(home, python=("-c", "import tensorflow, keras"))
        _, out = run(home, str(home / "data" / "dogscats"), python=("-c", PARTS))
    parts = dict(line.split() for line in out.splitlines())
    total = sum(seconds.values())
    rows = [[name, f"{each:.1f}"] for name, each in seconds.items()]
    rows += [
        ["**in all**", f"**{total:.1f}**"],
        ["of features: imports, settings, choosing the engine", f"{float(parts['start']):.1f}"],
        ["of features: compiling the network (exported before)", f"{float(parts['engine']):.1f}"],
        ["of features: decoding 3,003 photos alone", f"{float(parts['decode']):.1f}"],
        ["of features: forward passes alone", f"{float(parts['forward']):.1f}"],
        ["of training: importing TensorFlow and Keras", f"{backend:.1f}"],
    ]
    return Result(
        "The everyday path: features to submission",
        "2,002 labelled and 1,001 unlabelled photos, EfficientNet-Lite0, all at default settings, "
        "in a fresh home: `dl features` includes exporting the network once.",
        ["step", "s"],
        rows,
        "60 s (goal: 30 s)",
        total <= 60,
    )

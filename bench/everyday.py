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
from dlcli.data.photos.photos import open_photos
from dlcli.images.pixels import read_batches
from dlcli.models.engines import resolve_forward, start_engine
config = load_config()
dataset = open_photos(Path(sys.argv[1]))
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
TRAINING = """
import sys, time
from pathlib import Path
begun = time.perf_counter()
from dlcli.backend import start_backend
start_backend()
import keras
print("import", time.perf_counter() - begun)
from dlcli.training import fit
from dlcli.config import load_config
from dlcli.training.photos.job import make_job
from dlcli.training.launch import new_run
keep, spent = fit.keep_outcome, []
def timed(*arguments):
    begun = time.perf_counter()
    keep(*arguments)
    spent.append(time.perf_counter() - begun)
fit.keep_outcome = timed
begun = time.perf_counter()
job = make_job(load_config(), "finetune", Path(sys.argv[1]))
samples = job.first_samples()
print("read", time.perf_counter() - begun)
begun = time.perf_counter()
fit.fit(job, new_run(job), samples)
print("fit", time.perf_counter() - begun - spent[0])
print("predict", spent[0])
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
        dataset = str(home / "data" / "dogscats")
        outs = [run(home, dataset, python=("-c", script))[1] for script in (PARTS, TRAINING)]
    parts = {name: float(each) for name, each in (x.split() for x in "".join(outs).splitlines())}
    total = sum(seconds.values())
    rows = [[name, f"{each:.1f}"] for name, each in seconds.items()]
    rows.append(["**in all**", f"**{total:.1f}**"])
    names = {
        "start": "of features: imports, settings, choosing the engine",
        "engine": "of features: compiling the exported network",
        "decode": "of features: decoding 3,003 photos alone",
        "forward": "of features: forward passes alone",
        "import": "of training: importing TensorFlow and Keras",
        "read": "of training: reading the features",
        "fit": "of training: 12 epochs, a checkpoint after each",
        "predict": "of training: whole models saved, valid and test predicted",
    }
    rows += [[name, f"{parts[part]:.1f}"] for part, name in names.items()]
    return Result(
        "The everyday path: features to submission",
        "2,002 labelled and 1,001 unlabelled photos, EfficientNet-Lite0, all at default settings, "
        "in a fresh home, so `dl features` also exports the network. The parts of `dl "
        "features` are measured afterwards, without the export.",
        ["step", "s"],
        rows,
        "60 s (goal: 30 s)",
        total <= 60,
    )

"""What does it cost to train on features that don't fit into memory?"""

from __future__ import annotations

from statistics import median

from bench.commands import fresh_home, photos, run
from bench.report import Result

# An epoch of fc on stored convolutions, in memory or through windows of them.
SCRIPT = """
import sys, time, resource
from pathlib import Path
from dlcli.backend import start_backend
start_backend()
from dlcli.config import load_config
from dlcli.training.fit import epoch_batches
from dlcli.training.kinds import make_job
config = load_config().with_flags({"memory": sys.argv[2]})
job = make_job(config, "fc", Path(sys.argv[1]))
(phase,) = job.recipe.phases()
train, _ = job.read_samples(phase)
network, targets = job.network(phase, train.inputs.shape), job.targets(train)
network.optimizer.learning_rate = 1e-3
seconds = []
for epoch in range(1, 5):
    begun = time.perf_counter()
    for batch, _ in epoch_batches(job, network, train, targets, epoch):
        network.train(*batch)
    seconds.append(time.perf_counter() - begun)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print("found", train.labelled / min(seconds[1:]), peak)
"""
MEMORY = {"in memory": "8", "from disk, 128 MiB held in memory": "0.125"}


def measure() -> Result:
    """Images a second of `dl train fc`, and the process's peak memory, both ways."""
    found: dict[str, list[list[float]]] = {name: [] for name in MEMORY}
    with fresh_home() as home:
        run(home, "data", "organize", str(photos()), "dogscats")
        run(home, "data", "split", "--valid", "100")
        dataset = home / "data" / "dogscats"
        run(home, "features", "--layer", "conv")
        (store,) = (dataset / "features").iterdir()
        size = sum(file.stat().st_size for file in (store / "train.bc").rglob("*"))
        for _ in range(3):
            for name, memory in MEMORY.items():
                _, out = run(home, str(dataset), memory, python=("-c", SCRIPT))
                found[name].append([float(word) for word in out.split("found ")[1].split()])
    rate = {name: median(each[0] for each in tries) for name, tries in found.items()}
    peak = {name: median(each[1] for each in tries) for name, tries in found.items()}
    whole, part = rate.values()
    return Result(
        "`dl train fc` on features read from disk",
        "The output of the convolutions for 1,902 photos (10x10x1280 numbers per image, "
        f"{1902 * 10 * 10 * 1280 * 4 / 2**20:,.0f} MiB; {size / 2**20:,.0f} MiB on disk, in the "
        "system's cache), EfficientNet-Lite0; the best of 3 epochs, median of 3 processes.",
        ["features", "images/s", "times in memory", "peak, MiB"],
        [[n, f"{rate[n]:,.0f}", f"{rate[n] / whole:.3f}", f"{peak[n]:,.0f}"] for n in MEMORY],
        "at least 0.500 times the images/s of training in memory",
        part >= whole / 2,
    )

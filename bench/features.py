"""How fast are features, against what one would write with Keras?"""

from __future__ import annotations

import shutil
from statistics import median

from bench.commands import fresh_home, photos, run
from bench.report import Result

TIMES = 5
# The peer: Keras' own reading, on the same network from the same package, on TensorFlow.
PEER = """
import sys, time
from dlcli.backend import start_backend
start_backend()
import keras
from dlcli.models.backbones import get_backbone, load_cut
network = load_cut(get_backbone("efficientnet-lite0"), "pooled")
images = keras.utils.image_dataset_from_directory(
    sys.argv[1], labels=None, image_size=(224, 224), shuffle=False, batch_size=32, verbose=False
)
network.predict(images.take(2), verbose=0)
begun = time.perf_counter()
found = network.predict(images, verbose=0)
print("rate", len(found) / (time.perf_counter() - begun))
"""
OURS = """
import sys, time
from pathlib import Path
from dlcli import features
from dlcli.config import load_config
from dlcli.dataset import open_dataset
from dlcli.inference import resolve_forward, start_engine
config = load_config().with_flags({"precision": sys.argv[2]})
dataset = open_dataset(Path(sys.argv[1]))
forward, weights = resolve_forward(config.settings(), "pooled")
engine = start_engine(forward, weights)
features.start_engine = lambda *_: engine  # ready before the clock runs, as the peer's is
begun = time.perf_counter()
features.compute_features(dataset, forward, weights, workers=2)
print("rate", len(dataset.splits["train"]) / (time.perf_counter() - begun))
"""


def measure() -> Result:
    """Files to pooled features of 2,002 photos, start-up left out on both sides."""
    rates: dict[str, list[float]] = {}
    with fresh_home() as home:
        dataset = home / "data" / "photos"
        for kind in ("cat", "dog"):
            (dataset / "train" / kind).mkdir(parents=True)
            for file in (photos() / "train").glob(f"{kind}.*"):
                shutil.copy(file, dataset / "train" / kind)
        cases = {
            "Keras: predict(image_dataset_from_directory)": (PEER, dataset / "train"),
            "dl features, f32, exact decoding": (OURS, dataset, "f32"),
            "dl features, bf16, fast decoding (the default here)": (OURS, dataset, "bf16"),
        }
        run(home, str(dataset), "f32", python=("-c", OURS))  # exports the network, once
        for _ in range(TIMES):
            for name, (script, *words) in cases.items():
                shutil.rmtree(dataset / "features", ignore_errors=True)
                _, out = run(home, *map(str, words), python=("-c", script))
                rates.setdefault(name, []).append(float(out.split("rate ")[1]))
    peer = median(rates[next(iter(rates))])
    rows = [
        [name, f"{median(each):.0f}", f"{median(each) / peer:.2f}"] for name, each in rates.items()
    ]
    return Result(
        "`dl features` against Keras",
        f"2,002 JPEG photos to the 1,280 pooled features of EfficientNet-Lite0; median of {TIMES} "
        "runs, interleaved; the network is ready on both sides. Ours counts writing to disk.",
        ["what", "images/s", "times Keras"],
        rows,
        "3 times Keras' images/s (goal: 4)",
        median(rates[list(rates)[-1]]) >= 3 * peer,
    )

"""How fast are features, against what one would write with Keras?"""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import median

from bench.commands import fresh_home, photos, run
from bench.report import Result

PEER_NAME = "Keras: predict(image_dataset_from_directory)"
# The peer: Keras' own reading, on the same network with the same weights, on TensorFlow.
PEER = """
import sys, time
from dlcli.backend import start_backend
start_backend()
import keras
from dlcli.config import load_config
from dlcli.models.backbones import get_backbone
from dlcli.models.network import load_cut
settings = load_config().settings()
backbone = get_backbone(settings.backbone)
size = backbone.features_size
network = load_cut(backbone, "pooled", settings.weights, size)
images = keras.utils.image_dataset_from_directory(
    sys.argv[1] + "/train", labels=None, image_size=(size, size), shuffle=False, batch_size=32,
    verbose=False,
)
network.predict(images.take(2), verbose=0)
begun = time.perf_counter()
found = network.predict(images, verbose=0)
print("rate", len(found) / (time.perf_counter() - begun))
"""
OURS = """
import sys, time
from pathlib import Path
from dlcli.features import compute
from dlcli.config import load_config
from dlcli.data.photos.photos import open_photos
from dlcli.models.engines import resolve_forward, start_engine
config = load_config().with_flags({"precision": sys.argv[2]})
dataset = open_photos(Path(sys.argv[1]))
forward, weights = resolve_forward(config.settings(), "pooled")
engine = start_engine(forward, weights)
compute.start_engine = lambda *_: engine  # ready before the clock runs, as the peer's is
begun = time.perf_counter()
compute.compute_features(dataset, forward, weights, workers=2, on_error="stop")
print("rate", len(dataset.splits["train"]) / (time.perf_counter() - begun))
"""


def measure() -> Result:
    """Files to pooled features of 2,002 photos, start-up left out on both sides."""
    with fresh_home() as home:
        rows, ratio = compare(home, plant(home, 1_001), times=5)
    return Result(
        "`dl features` against Keras",
        "2,002 JPEG photos to the 1,280 pooled features of EfficientNet-Lite0, 320x320 pixels; "
        "median of 5 runs, interleaved. The times exclude loading the network, and those of `dl` "
        "include writing to disk.",
        ["what", "images/s", "times Keras"],
        rows,
        "3 times Keras' images/s (goal: 4)",
        ratio >= 3,
    )


def plant(home: Path, each: int) -> Path:
    """A dataset of that many photos of each class."""
    dataset = home / "data" / "photos"
    for kind in ("cat", "dog"):
        (dataset / "train" / kind).mkdir(parents=True)
        for file in sorted((photos() / "train").glob(f"{kind}.*"))[:each]:
            shutil.copy(file, dataset / "train" / kind)
    return dataset


def compare(home: Path, dataset: Path, times: int) -> tuple[list[list[str]], float]:
    """Rates of both ways, as rows of a table.

    Returns:
        the rows, and how many times Keras' rate the default has.
    """
    cases = {
        PEER_NAME: (PEER,),
        "dl features, f32, exact decoding": (OURS, "f32"),
        "dl features, bf16, scaled decoding (the default here)": (OURS, "bf16"),
    }
    run(home, str(dataset), "f32", python=("-c", OURS))  # exports the network, once
    rates: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(times):
        for name, (script, *words) in cases.items():
            shutil.rmtree(dataset / "features", ignore_errors=True)
            _, out = run(home, str(dataset), *words, python=("-c", script))
            rates[name].append(float(out.split("rate ")[1]))
    middle = {name: median(each) for name, each in rates.items()}
    peer = middle[PEER_NAME]
    rows = [[name, f"{rate:.1f}", f"{rate / peer:.2f}"] for name, rate in middle.items()]
    return rows, middle[list(middle)[-1]] / peer

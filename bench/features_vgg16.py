"""How fast are VGG16's features, against what one would write with Keras?"""

from __future__ import annotations

from bench.commands import fresh_home, run
from bench.features import compare, plant
from bench.report import Result

# The speed does not hang on what the weights are, so they are drawn, not downloaded.
WEIGHTS = """
import sys
from dlcli.backend import start_backend
start_backend()
import keras
keras.utils.set_random_seed(0)
keras.applications.VGG16(weights=None).save_weights(sys.argv[1])
"""


def measure() -> Result:
    """Files to fc2's 4,096 numbers for 256 photos, start-up left out on both sides."""
    with fresh_home() as home:
        dataset, weights = plant(home, 128), home / "vgg16.weights.h5"
        run(home, str(weights), python=("-c", WEIGHTS))
        run(home, "config", "set", "backbone", "vgg16")
        run(home, "config", "set", "weights", str(weights))
        rows, ratio = compare(home, dataset, times=3)
    return Result(
        "`dl features` with VGG16 against Keras",
        "256 JPEG photos to the 4,096 numbers of fc2; median of 3 runs, interleaved. The times "
        "exclude loading the network, and those of `dl` include writing to disk.",
        ["what", "images/s", "times Keras"],
        rows,
        "2 times Keras' images/s",
        ratio >= 2,
    )

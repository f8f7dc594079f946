"""How long until one photo is answered, against what one would write with Keras?"""

from __future__ import annotations

from pathlib import Path
from statistics import median

from bench.commands import fresh_home, run
from bench.features import plant
from bench.features_vgg16 import WEIGHTS
from bench.report import Result

TIMES = 5
PEER = """
import sys
import keras
import numpy as np
model = keras.saving.load_model(sys.argv[1], compile=False)
size = model.input_shape[1]
image = keras.utils.load_img(sys.argv[2], target_size=(size, size), interpolation="bilinear")
print(model.predict(np.asarray(image, np.float32)[None], verbose=0))
"""


def measure() -> Result:
    """Whole processes, from the command to the answer."""
    rows = []
    with fresh_home() as home:
        dataset, weights = plant(home, 32), home / "vgg16.weights.h5"
        run(home, "data", "split", str(dataset), "--valid", "16")
        rows.append(_compared(home, "EfficientNet-Lite0, `finetune`", "finetune"))
        run(home, str(weights), python=("-c", WEIGHTS))
        options = ("vgg-fc", "--weights", str(weights), "--schedule", "1e-4")
        rows.append(_compared(home, "VGG16, `vgg-fc`", *options))
    header = ["model", "`dl predict`, s", "Keras, s", "times as fast"]
    return Result(
        "One photo",
        f"Whole processes, median of {TIMES}, interleaved. Keras loads `models/best.keras`.",
        header,
        [
            [name, f"{ours:.2f}", f"{keras:.1f}", f"{keras / ours:.1f}"]
            for name, ours, keras in rows
        ],
        "2 s with EfficientNet-Lite0",
        rows[0][1] <= 2,
    )


def _compared(home: Path, name: str, *recipe: str) -> tuple[str, float, float]:
    """Seconds of `dl predict` and of the peer."""
    before = set((home / "runs").glob("*/*"))
    run(home, "train", *recipe)
    (made,) = set((home / "runs").glob("*/*")) - before
    photo = str(next((home / "data").glob("*/valid/*/*.jpg")))
    model = str(made / "models" / "best.keras")
    ours, theirs = [], []
    for _ in range(TIMES):
        ours.append(run(home, "predict", str(made), photo)[0])
        theirs.append(run(home, model, photo, python=("-c", PEER))[0])
    return name, median(ours), median(theirs)

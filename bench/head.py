"""How long does a head take to train on features that are there?"""

from __future__ import annotations

from statistics import median

from bench.commands import fresh_home, photos, run
from bench.report import Result

TIMES = 5
BACKEND = "from dlcli.backend import start_backend; start_backend(); import keras"


def measure() -> Result:
    """`dl train finetune` on 2,002 photos with features, against importing the backend alone."""
    with fresh_home() as home:
        run(home, "data", "organize", str(photos()), "dogscats")
        run(home, "data", "split", "--valid", "400")
        run(home, "features")
        alone, whole = [], []
        for _ in range(TIMES):
            alone.append(run(home, python=("-c", BACKEND))[0])
            whole.append(run(home, "train", "finetune")[0])
    imported, trained = median(alone), median(whole)
    return Result(
        "`dl train finetune` on stored features",
        f"1,602 photos to train on, 400 to judge on, 1,001 to predict; 12 epochs; median of "
        f"{TIMES} whole processes.",
        ["what", "s"],
        [
            ["`dl train finetune`", f"{trained:.1f}"],
            ["importing TensorFlow and Keras alone", f"{imported:.1f}"],
            ["**the difference**", f"**{trained - imported:.1f}**"],
        ],
        "importing TensorFlow and Keras, plus 3 s",
        trained - imported <= 3,
    )

"""Pictures for `dl demo`: handwritten digits, laid out as Kaggle lays out a competition.

scikit-learn's 1,797 digits (8x8 pixels, from UCI's "Optical Recognition of Handwritten Digits",
Alpaydin & Kaynak 1998) come with the package, so that nothing has to be downloaded.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from dlcli.errors import DlError
from dlcli.files.formats import write_csv
from dlcli.files.paths import shown, typed
from dlcli.progress import say
from dlcli.runs.run import Run

LABELLED = 1000
PIXELS = 64  # a side: enough to be looked at
MARKER = ".dl-demo"
# 1 July 1998, in seconds: files of one and the same time make a second demo find the same images.
PUBLISHED = 899_251_200


def write_digits(folder: Path) -> None:
    """Write the digits as `train/7.123.png`, `test/1001.png` and `sample_submission.csv`.

    Args:
        folder: the dataset to be; one that an earlier demo wrote is replaced.

    Raises:
        DlError: the folder holds something else.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    if folder.exists():
        if not (folder / MARKER).exists():
            raise DlError(
                f"{shown(folder)} is there already",
                why="and no demo made it",
                hint="Name another data folder: `dl demo --data-dir PATH`.",
            )
        shutil.rmtree(folder)
    (folder / "train").mkdir(parents=True)
    (folder / "test").mkdir()
    (folder / MARKER).touch()
    digits = load_digits()
    test_ids = []
    for number, (values, digit) in enumerate(zip(digits.images, digits.target, strict=True), 1):
        small = Image.fromarray((values * (255 / 16)).astype("uint8"))
        image = small.resize((PIXELS, PIXELS), Image.Resampling.BICUBIC)
        name = f"train/{digit}.{number}.png" if number <= LABELLED else f"test/{number}.png"
        image.save(folder / name)
        os.utime(folder / name, (PUBLISHED, PUBLISHED))
        if number > LABELLED:
            test_ids.append(number)
    rows = [[test_id, *[0.1] * 10] for test_id in test_ids]
    write_csv(folder / "sample_submission.csv", [["id", *range(10)], *rows])


def walk(folder: Path, runs_dir: Path) -> Run:
    """Run the everyday path on the demo's dataset, a process per command, showing each.

    Args:
        folder: the dataset.
        runs_dir: where runs go.

    Returns:
        the run that it trained.

    Raises:
        CalledProcessError: a command failed, and has said why.
    """
    with TemporaryDirectory(prefix="dl-demo-") as elsewhere:
        # no setting of the user's counts, from wherever: it is the demo of the defaults, and must
        # not work on the user's own dataset
        environment = {
            **{k: v for k, v in os.environ.items() if k == "DL_DEBUG" or not k.startswith("DL_")},
            "DL_DATA_DIR": str(folder.parent),
            "DL_RUNS_DIR": str(runs_dir),
            "DL_DATASET": str(folder),
            "XDG_CONFIG_HOME": elsewhere,
            # what it names is not what the user's next command should take
            "XDG_STATE_HOME": elsewhere,
        }
        for words in commands(str(folder)):
            shell = [typed(folder) if word == str(folder) else shlex.quote(word) for word in words]
            say("\n$ dl " + " ".join(shell))
            command = [sys.executable, "-P", "-m", "dlcli", *words]
            subprocess.run(command, env=environment, cwd=elsewhere, check=True)
    runs = Run.all(runs_dir, folder.name)
    return max(runs, key=lambda run: str(run.status().get("started", "")))


def commands(dataset: str) -> list[list[str]]:
    """The everyday path on the demo's dataset, as one would type it.

    Args:
        dataset: its folder.
    """
    return [
        ["data", "organize", dataset],
        ["data", "split", "--valid", "200"],
        ["data", "sample"],
        # 8 pixels enlarged to 64 gain nothing from 224; and 800 images are 13 steps an epoch, so
        # that the default's 12 epochs would underfit (log loss 0.6 instead of 0.14)
        ["features", "--image-size", "96"],
        ["train", "finetune", "--image-size", "96", "--schedule", "3e-3x40,3e-4x10"],
        ["evaluate"],
        ["submit"],
    ]

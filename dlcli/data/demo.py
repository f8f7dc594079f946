"""Images for `dl demo`: handwritten digits, laid out as a Kaggle competition.

scikit-learn's 1,797 digits (8x8 pixels, from UCI's "Optical Recognition of Handwritten Digits",
Alpaydin & Kaynak 1998) come with the package, so that nothing has to be downloaded.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from dlcli.errors import DlError
from dlcli.files.formats import write_csv
from dlcli.files.paths import shown

LABELLED = 1000
PIXELS = 64  # a side: enough to be looked at
MARKER = ".dl-demo"
# 1 July 1998, in seconds: with a fixed file time a second demo finds the same images.
PUBLISHED = 899_251_200


def write_digits(folder: Path) -> None:
    """Write the digits as `train/7.123.png`, `test/1001.png` and `sample_submission.csv`.

    Args:
        folder: the dataset's folder; one that an earlier demo wrote is replaced.

    Raises:
        DlError: the folder holds something else.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    if folder.exists():
        if not (folder / MARKER).exists():
            raise DlError(
                f"{shown(folder)} exists and was not made by `dl demo`",
                hint="Move it, or use another data folder: `dl demo --data-dir PATH`.",
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

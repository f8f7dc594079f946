"""Images for `dl demo`: handwritten digits, laid out as a Kaggle competition.

scikit-learn's 1,797 digits (8x8 pixels, from UCI's "Optical Recognition of Handwritten Digits",
Alpaydin & Kaynak 1998) come with the package, so that nothing has to be downloaded.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from dlcli.data.dataset import FEATURES, SPLITS
from dlcli.errors import DlError
from dlcli.files.atomic import atomic_folder
from dlcli.files.formats import write_csv
from dlcli.files.paths import shown

LABELLED = 1000
PIXELS = 64  # a side: enough to be looked at
MARKER = ".dl-demo"
SAMPLE_SUBMISSION = "sample_submission.csv"
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

    if folder.exists() and not _is_demo(folder):
        raise DlError(
            f"{shown(folder)} exists and was not made by `dl demo`",
            hint="Move it, or use another data folder: `dl demo --data-dir PATH`.",
        )
    digits = load_digits()
    test_ids = []
    with atomic_folder(folder.resolve(), replace=True) as built:  # a link to another disk stays
        (built / "train").mkdir()
        (built / "test").mkdir()
        (built / MARKER).touch()
        for number, (values, digit) in enumerate(zip(digits.images, digits.target, strict=True), 1):
            small = Image.fromarray((values * (255 / 16)).astype("uint8"))
            image = small.resize((PIXELS, PIXELS), Image.Resampling.BICUBIC)
            name = f"train/{digit}.{number}.png" if number <= LABELLED else f"test/{number}.png"
            image.save(built / name)
            os.utime(built / name, (PUBLISHED, PUBLISHED))
            if number > LABELLED:
                test_ids.append(number)
        rows = [[test_id, *[0.1] * 10] for test_id in test_ids]
        write_csv(built / SAMPLE_SUBMISSION, [["id", *range(10)], *rows])


def _is_demo(folder: Path) -> bool:
    """Whether a demo made a folder, or the part that is left of it.

    Up to 0.1.0 the demo wrote its marker after other files, and removed it among the first, so that
    a killed one left a folder without it. The images in such a folder have the demo's names and
    time; one may have been killed before it got its time.
    """
    if not folder.is_dir():
        return False
    if (folder / MARKER).exists():
        return True
    ours = {*SPLITS, FEATURES, SAMPLE_SUBMISSION}
    if any(path.name not in ours and not path.name.startswith(".dl") for path in folder.iterdir()):
        return False
    below = [path for split in SPLITS for path in (folder / split).rglob("*")]
    images = [path for path in below if not path.is_dir()]
    dated = [path for path in images if path.lstat().st_mtime == PUBLISHED]
    named = all(re.fullmatch(r"(\d\.)?\d+\.png", path.name) for path in images)
    return named and len(images) - len(dated) <= 1

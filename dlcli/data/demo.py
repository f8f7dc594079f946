"""Images for `dl demo`: handwritten digits, laid out as a Kaggle competition.

scikit-learn's 1,797 digits (8x8 pixels, from UCI's "Optical Recognition of Handwritten Digits",
Alpaydin & Kaynak 1998) come with the package, so that nothing has to be downloaded.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from dlcli.data.dataset import FEATURES, SPLITS
from dlcli.data.journal import FOLDER as JOURNALS
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

    if stranger := _stranger(folder):
        raise DlError(
            f"{shown(folder)} exists, and not all of it was made by `dl demo`",
            why=f"it has {shown(stranger)}" if stranger != "." else "it is a file",
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


def _stranger(folder: Path) -> str:
    """What a folder holds that no demo made, relative to it; "." for a file; "" if nothing.

    A demo's images have their names and time. Up to 0.1.0, one may have been killed before it got
    its time, and a killed demo may have left a folder without its marker.
    """
    if not folder.exists():
        return ""
    if not folder.is_dir():
        return "."
    ours = {*SPLITS, FEATURES, SAMPLE_SUBMISSION, MARKER, JOURNALS, ".DS_Store"}
    undated = 0
    for path in sorted(folder.iterdir()):
        if path.name not in ours or path.is_symlink():
            return path.name
    for path in sorted(path for split in SPLITS for path in (folder / split).rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        undated += path.lstat().st_mtime != PUBLISHED
        if undated > 1 or path.is_symlink() or not re.fullmatch(r"(\d\.)?\d+\.png", path.name):
            return str(path.relative_to(folder))
    return ""

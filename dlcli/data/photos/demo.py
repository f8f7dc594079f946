"""Images for `dl demo`: handwritten digits, laid out as a Kaggle competition.

scikit-learn's 1,797 digits (8x8 pixels, from UCI's "Optical Recognition of Handwritten Digits",
Alpaydin & Kaynak 1998) come with the package, so that nothing has to be downloaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from dlcli.data.dataset import FEATURES, SPLITS
from dlcli.data.journal import FOLDER as JOURNALS
from dlcli.data.own_files import others_among_own
from dlcli.errors import DlError
from dlcli.files.atomic import atomic_folder
from dlcli.files.formats import write_csv
from dlcli.files.own import is_litter
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

    digits = load_digits()
    if stranger := _stranger(folder, digits.target):
        raise DlError(
            f"{shown(folder)} exists, and not all of it was made by `dl demo`",
            why=f"it has {shown(stranger)}" if stranger != "." else "it is a file",
            hint="Move it, or use another data folder: `dl demo --data-dir PATH`.",
        )
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


def _stranger(folder: Path, labels: Iterable[int]) -> str:
    """What a folder holds that no demo made, relative to it; "." for a file; "" if nothing.

    A demo's images have their names and time. In a copy of its folder none may have the time. Up to
    0.1.0, a killed demo may have left a folder without its marker, or without its last file and
    with one image that had not got its time.
    """
    if not folder.exists():
        return ""
    if not folder.is_dir():
        return "."
    ours = {*SPLITS, FEATURES, SAMPLE_SUBMISSION, MARKER, JOURNALS}
    for path in sorted(folder.iterdir()):
        if (path.name not in ours and not is_litter(path.name)) or path.is_symlink():
            return path.name
    for path in others_among_own(folder):
        return str(path.relative_to(folder))
    names = _names(labels)
    count, undated = 0, []
    for path in sorted(path for split in SPLITS for path in (folder / split).rglob("*")):
        if not path.is_symlink() and (path.is_dir() or is_litter(path.name)):
            continue
        name = str(path.relative_to(folder))
        if path.is_symlink() or name not in names:
            return name
        count += 1
        if path.stat().st_mtime != PUBLISHED:
            undated.append(name)
    is_whole = (folder / MARKER).exists() and (folder / SAMPLE_SUBMISSION).exists()
    allowed = (0, count) if is_whole else (0, 1)
    return "" if len(undated) in allowed else undated[0]


def _names(labels: Iterable[int]) -> set[str]:
    """The paths of all images, as they are written, organised and split."""
    names = set()
    for number, digit in enumerate(labels, 1):
        name = f"{digit}.{number}.png" if number <= LABELLED else f"{number}.png"
        if number <= LABELLED:
            names |= {f"train/{name}", f"train/{digit}/{name}", f"valid/{digit}/{name}"}
        else:
            names.add(f"test/{name}")
    return names

"""CSVs of pixels, drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.archives import zipped
from support.small_folders import Tree, plant, tree

from dlcli.data import operations
from dlcli.data.photos.organize import organize
from dlcli.data.photos.organize.pixel_csv import pixel_table
from dlcli.errors import DlError
from dlcli.files.formats import csv_text

HEADER = [f"pixel{number}" for number in range(16)]


def digits(rows: int, *, labelled: bool, seed: int = 0) -> tuple[np.ndarray, bytes]:
    """Images of 4 x 4, and the CSV that holds them."""
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, 4, 4))
    header, lines = HEADER, [image.ravel().tolist() for image in pixels]
    if labelled:
        header = ["label", *header]
        lines = [[i % 3, *line] for i, line in enumerate(lines)]
    return pixels, csv_text([header, *lines]).encode()


def competition(base: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """digit-recognizer, as it is downloaded; the images to learn from and those to predict."""
    learn, train_csv = digits(7, labelled=True)
    predict, test_csv = digits(3, labelled=False, seed=1)
    files = {
        "train.csv": train_csv,
        "test.csv": test_csv,
        "sample_submission.csv": b"ImageId,Label\n1,0\n2,0\n3,0\n",
    }
    plant(base / "digits", files)
    return zipped(base / "digit-recognizer.zip", files), learn, predict


NAMES = {f"train/{i % 3}/{i + 1}.png" for i in range(7)} | {f"test/{i}.png" for i in (1, 2, 3)}


@pytest.mark.parametrize("source", ["digit-recognizer.zip", "digits"])
def test_digits_are_drawn_and_called_by_the_numbers_of_their_rows(
    tmp_path: Path, source: str
) -> None:
    _, learn, predict = competition(tmp_path)
    before = tree(tmp_path, hidden=True)
    outcome = organize.organize(tmp_path / source, tmp_path / "data" / "digits")
    assert outcome is not None
    (note,) = organize.notes_of(outcome.operation)
    seven, three = "7 images of 4x4 from train.csv", "3 images of 4x4 from test.csv"
    assert note == f"Drew {three} and {seven}, named by row number."
    root = tmp_path / "data" / "digits"
    assert set(tree(root)) == NAMES | {"sample_submission.csv"}
    for number, pixels in enumerate(learn, start=1):
        image = Image.open(root / f"train/{(number - 1) % 3}/{number}.png")
        assert image.mode == "L"
        assert (np.asarray(image) == pixels).all()
    for number, pixels in enumerate(predict, start=1):
        assert (np.asarray(Image.open(root / f"test/{number}.png")) == pixels).all()
    assert organize.organize(tmp_path / source, root) is None
    times = {file.stat().st_mtime for file in root.rglob("*.png")}
    operations.undo(root)
    assert organize.organize(tmp_path / source, root) is not None
    assert {file.stat().st_mtime for file in root.rglob("*.png")} == times
    after = {p: c for p, c in tree(tmp_path, hidden=True).items() if not p.startswith("data/")}
    assert after == before
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["digits"]


def test_digits_in_their_own_folder_are_drawn_in_place(tmp_path: Path) -> None:
    competition(tmp_path)
    source = tmp_path / "digits"
    before = tree(source)
    assert organize.organize(source, source) is not None
    assert set(tree(source)) == NAMES | before.keys()
    operations.undo(source)
    assert tree(source) == before


def test_a_dry_run_draws_nothing(tmp_path: Path) -> None:
    source, _, _ = competition(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    planned = organize.to_organize(source, tmp_path / "digits-made")
    assert planned is not None
    assert {move.target for move in planned.moves} == NAMES | {"sample_submission.csv"}
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("header", "is_one"),
    [
        ("label,pixel0,pixel1,pixel2,pixel3", True),
        ("label,pixel1,pixel2,pixel3,pixel4", True),
        ("pixel0,pixel1,pixel2,pixel3", True),
        ("id,pixel0,pixel1,pixel2,pixel3", True),
        ("pixel0,pixel1,pixel2,pixel3,label", True),
        ("label,pixel0,pixel1,pixel2", False),
        ("label,pixel0,pixel2,pixel1,pixel3", False),
        ("label,other,pixel0,pixel1,pixel2,pixel3", False),
        ("id,breed", False),
        ("", False),
    ],
)
def test_a_csv_of_pixels_is_known_by_its_header(tmp_path: Path, header: str, is_one: bool) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\n")
    assert (pixel_table(tmp_path / "a.csv") is not None) is is_one


def test_fashion_has_labels_in_its_test_images_which_are_left_out(tmp_path: Path) -> None:
    files = {f"fashion_{name}.csv": digits(4, labelled=True)[1] for name in ("train", "test")}
    organize.organize(plant(tmp_path / "fashion", files), tmp_path / "made")
    assert {path.rpartition("/")[0] for path in tree(tmp_path / "made")} == {
        *("train/0", "train/1", "train/2", "test")
    }


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0," + ",".join(["256"] * 16), "row 8"),
        ("0," + ",".join(["-1"] * 16), "row 8"),
        ("0," + ",".join(["0.5"] * 16), "row 8"),
        ("0," + ",".join(["nan"] * 16), "row 8"),
        ("0,1,2,3", "row 8 below the header has 4 values, the header 17"),
        ("0," + ",".join(["x"] * 16), "row 8 below"),
        ("," + ",".join(["1"] * 16), "The label `` of row 8 of train.csv can't name"),
        ("../../evil," + ",".join(["1"] * 16), "`../../evil` of row 8 of train.csv can't name"),
    ],
)
def test_a_row_that_is_no_image_is_named_and_nothing_is_left(
    tmp_path: Path, line: str, says: str
) -> None:
    competition(tmp_path)
    with (tmp_path / "digits" / "train.csv").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DlError) as caught:
        organize.organize(tmp_path / "digits", tmp_path / "data" / "digits")
    assert says in str(caught.value)
    assert not (tmp_path / "data").exists()


def with_ids(*ids: str) -> bytes:
    """A CSV of blank images that are called so, of two classes."""
    lines = [[name, i % 2, *[0] * 16] for i, name in enumerate(ids)]
    return csv_text([["id", "label", *HEADER], *lines]).encode()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (
            {"train.csv": with_ids("a", "b", "c", "b")},
            (
                "train.csv can't be turned into images: the image of row 4 would have the same "
                "name as that of row 2 of train.csv: b.png"
            ),
        ),
        (
            {"train.csv": with_ids("a", "b", "a")},
            (
                "train.csv can't be turned into images: the image of row 3 would have the same "
                "name as that of row 1 of train.csv: a.png"
            ),
        ),
        (
            {"Training.csv": digits(2, labelled=True)[1], "train.csv": digits(4, labelled=True)[1]},
            (
                "train.csv can't be turned into images: the image of row 1 would have the same "
                "name as that of row 1 of Training.csv: 1.png"
            ),
        ),
        (
            {"train.csv": with_ids("a", "../../b")},
            "The id `../../b` of row 2 of train.csv can't name an image: a name can't have a slash",
        ),
        (
            {"train.csv": with_ids("a", "")},
            "The id `` of row 2 of train.csv can't name an image: it is empty",
        ),
        (
            {"train.csv": with_ids("a", "x" * 252)},
            "of row 2 of train.csv can't name an image: it is longer than 255 bytes",
        ),
    ],
)
def test_a_name_that_is_none_or_stands_twice_is_told_before_and_leaves_nothing(
    tmp_path: Path, files: Tree, says: str
) -> None:
    source = plant(tmp_path / "digits", files)
    for act in (organize.to_organize, organize.organize):
        with pytest.raises(DlError) as caught:
            act(source, tmp_path / "data" / "digits")
        assert says in str(caught.value).replace(f"{source}/", "")
        assert ".partial" not in str(caught.value)
        assert "label" not in str(caught.value)
        assert not (tmp_path / "data").exists()


def test_names_may_be_as_long_as_a_disk_takes(tmp_path: Path) -> None:
    source = plant(tmp_path / "digits", {"train.csv": with_ids("a", "x" * 251)})
    assert organize.organize(source, tmp_path / "made") is not None
    assert set(tree(tmp_path / "made")) == {"train/0/a.png", f"train/1/{'x' * 251}.png"}

"""`dl data augment-preview` as it is typed: the sheet, the amounts, what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.command_result import Dl, ok
from support.pictures import picture

from dlcli.data.photos.photos import open_photos

pytestmark = pytest.mark.slow


PREVIEW = ("data", "augment-preview")


@pytest.fixture
def image(home: Path) -> Path:
    """A picture that is not square, and too large for a sheet."""
    path = home / "my cat.jpg"
    picture(2, 0, 100).resize((800, 400)).save(path)
    return path


def tiles(sheet: Path, size: tuple[int, int]) -> np.ndarray:
    """The nine pictures of a sheet, as they stand in it: (9, height, width, 3)."""
    pixels = np.asarray(Image.open(sheet))
    width, height = size
    top = pixels.shape[0] - 16 - 3 * (height + 40)
    places = [(top + r * (height + 40), 32 + c * (width + 16)) for r in range(3) for c in range(3)]
    return np.stack([pixels[y : y + height, x : x + width] for y, x in places])


def table(text: str) -> dict[str, list[str]]:
    """The amounts printed: name -> value and origin."""
    _, *rows = [line.split("  ") for line in text.splitlines()]
    return {row[0]: [cell.strip() for cell in row[1:] if cell.strip()][:2] for row in rows}


def test_an_image_is_drawn_as_it_is_and_eight_ways(dl: Dl, home: Path, image: Path) -> None:
    result = ok(dl(*PREVIEW, image, "--preset", "mnist", "--rotation", "0", "--horizontal-flip"))
    assert result.stderr == (
        "Image ~/my cat.jpg\n"
        "Saved augment-preview.png; next: "
        "`dl train cnn --augment --preset mnist --rotation 0 --horizontal-flip`\n"
    )
    assert table(result.stdout) == {
        "preset": ["mnist", "option"],
        "rotation": ["0", "option"],
        "width_shift": ["0.08", "preset mnist"],
        "height_shift": ["0.08", "preset mnist"],
        "shear": ["0.3", "preset mnist"],
        "zoom": ["0.08", "preset mnist"],
        "horizontal_flip": ["yes", "option"],
        "channel_shift": ["0", "preset mnist"],
    }
    shown = tiles(home / "augment-preview.png", (320, 160))
    original = Image.open(image)
    original.draft("RGB", (320, 320))
    original.thumbnail((320, 320))
    assert (shown[0] == np.asarray(original)).all()
    assert len(np.unique(shown.reshape(9, -1), axis=0)) == 9


def test_the_sheet_is_the_same_for_the_same_seed_and_takes_the_place_of_the_last(
    dl: Dl, home: Path, image: Path
) -> None:
    sheet, sheets = home / "augment-preview.png", []
    for seed in ("1", "1", "2"):
        ok(dl(*PREVIEW, image, "--seed", seed))
        sheets.append(sheet.read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]
    assert sorted(path.name for path in home.iterdir() if path.suffix) == [sheet.name, image.name]


def test_of_a_dataset_a_training_image_is_drawn_chosen_by_the_seed(
    dl: Dl, home: Path, tiny: Path
) -> None:
    train = {f"Image ~/data/tiny/{path}" for path in open_photos(tiny).splits["train"]}
    named, said = [], ""
    for seed in ("0", "1", "2", "0"):
        said = ok(dl(*PREVIEW, "tiny", "--seed", seed, "--output", "a.PNG")).stderr
        choice, image, _ = said.splitlines()
        assert choice == "Dataset ~/data/tiny (named)"
        named.append(image)
    assert set(named) <= train
    assert named[0] == named[3]
    assert len(set(named)) > 1
    assert said.endswith("Saved a.PNG; next: `dl train cnn --augment`\n")
    assert "(last named)" in ok(dl(*PREVIEW)).stderr


def test_a_tiny_picture_is_enlarged_pixel_by_pixel(dl: Dl, home: Path) -> None:
    digit = picture(0, 0, 28)
    digit.save(home / "digit.png")
    ok(dl(*PREVIEW, "digit.png", "--preset", "mnist"))
    first = tiles(home / "augment-preview.png", (28 * 11, 28 * 11))[0]
    assert (first[5::11, 5::11] == np.asarray(digit)).all()


def test_a_preset_without_amounts_changes_nothing_and_says_so(
    dl: Dl, home: Path, image: Path
) -> None:
    said = ok(dl(*PREVIEW, image, "--preset", "none")).stderr
    assert said.endswith(
        "these settings don't change the image: set an amount, such as `--rotation 15`\n"
    )
    shown = tiles(home / "augment-preview.png", (320, 160))
    assert (shown == shown[0]).all()


def test_amounts_of_a_file_of_settings_count_and_are_not_typed_again(
    dl: Dl, home: Path, image: Path
) -> None:
    (home / "dl.yaml").write_text("augmentation: {preset: none, zoom: 0.5}\n")
    result = ok(dl(*PREVIEW, image, "--no-horizontal-flip"))
    assert table(result.stdout)["zoom"] == ["0.5", "~/dl.yaml"]
    assert table(result.stdout)["rotation"] == ["0", "preset none"]
    assert "next: `dl train cnn --augment --no-horizontal-flip`" in result.stderr


# What is refused


def refused(dl: Dl, *words: object, code: int = 1) -> str:
    result = dl(*PREVIEW, *words)
    assert result.exit_code == code
    assert result.stdout == ""
    return result.stderr


def test_an_image_that_cannot_be_read_is_refused(dl: Dl, home: Path) -> None:
    (home / "empty.jpg").touch()
    (home / "text").write_text("no image")
    assert "Error: Can't read ~/empty.jpg: the file is empty\n" in refused(dl, home / "empty.jpg")
    assert "Error: Can't read text: not an image\n" in refused(dl, "text")
    assert "Error: Can't read gone.jpg: No such file" in refused(dl, "gone.jpg")
    assert "No such dataset: gone" in refused(dl, "gone")
    assert not (home / "augment-preview.png").exists()


def test_a_dataset_without_training_images_is_refused(dl: Dl, home: Path) -> None:
    (home / "data" / "empty" / "train" / "cat").mkdir(parents=True)
    assert "Error: No" in refused(dl, "empty")


def test_the_image_itself_is_never_replaced_nor_is_anything_but_a_png_written(
    dl: Dl, home: Path
) -> None:
    own = home / "own.png"
    picture(0, 0).save(own)
    before = own.read_bytes()
    (home / "link.png").symlink_to(own)
    assert "own.png is the image itself" in refused(dl, own, "--output", own, code=2)
    assert "link.png is the image itself" in refused(dl, own, "--output", "link.png", code=2)
    assert "Use `--output sheet.png`." in refused(dl, own, "--output", "sheet.jpg", code=2)
    assert "no/a.png" in refused(dl, own, "--output", "no/a.png")
    assert own.read_bytes() == before


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--rotation", "181"), ("--zoom", "1"), ("--shear", "-0.1"), ("--preset", "x")],
)
def test_amounts_out_of_bounds_are_refused(dl: Dl, image: Path, flag: str, value: str) -> None:
    assert flag in refused(dl, image, flag, value, code=2)

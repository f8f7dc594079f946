"""Augmentation: each amount does what it says and no more, measured on pictures of coordinates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli.backend import start_backend
from dlcli.files.formats import dump_yaml, read_yaml
from dlcli.images.augmentation import Augmenter, View
from dlcli.images.pixels import Batch
from dlcli.settings.augmentation import PRESETS, Augmentation
from dlcli.settings.fields import coerce, settings_of

HEIGHT, WIDTH, COUNT = 60, 90, 64  # not square
MIDDLE = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
UNTURNED = np.stack([np.eye(2)] * COUNT)
SETTINGS = settings_of(Augmentation)
PAGE = Path(__file__).parent.parent.parent / "docs" / "augmentation.md"


@pytest.fixture(autouse=True)
def backend() -> None:
    start_backend()


def only(**amounts: Any) -> Augmentation:
    return Augmentation("none", **amounts)


def changed(
    images: np.ndarray, augmentation: Augmentation, seed: int = 0, place: int = 1
) -> np.ndarray:
    augmenter = Augmenter(augmentation, seed)
    augmenter.start_at(place)
    return augmenter(images)


def coordinates() -> np.ndarray:
    """Pictures whose red is a pixel's column and whose green its row: (COUNT, HEIGHT, WIDTH, 3)."""
    row, column = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    return np.stack([np.stack([column, row, 0 * row], axis=-1)] * COUNT)


def photos(count: int = 4, size: int = 24) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, size, size, 3)).astype(np.float32)


def moved(augmentation: Augmentation) -> tuple[np.ndarray, np.ndarray]:
    """Where the pixels of each picture came from, as an affine map about the picture's middle.

    Returns:
        matrices (COUNT, 2, 2) and shifts (COUNT, 2), in pixels, x before y.
    """
    column, row = coordinates()[0, ..., 0].ravel(), coordinates()[0, ..., 1].ravel()
    here = np.stack([column - MIDDLE[0], row - MIDDLE[1], np.ones_like(row)], axis=1)
    matrices, shifts = [], []
    for picture in changed(coordinates(), augmentation):
        there = picture.reshape(-1, 3)[:, :2].astype(np.float64)
        # what came from beyond the edge shows the edge, and says nothing
        inside = ((there > 0.5) & (there < 2 * MIDDLE - 0.5)).all(axis=1)
        assert inside.sum() > 500
        found, residuals, *_ = np.linalg.lstsq(here[inside], there[inside] - MIDDLE, rcond=None)
        assert (residuals < 0.01).all()
        matrices.append(found[:2].T)
        shifts.append(found[2])
    return np.array(matrices), np.array(shifts)


def assert_spread(values: np.ndarray, most: float) -> None:
    """Values lie on both sides of 0, at most so far from it, and nearly so far."""
    assert np.abs(values).max() <= most * 1.001
    assert values.max() > 0.8 * most
    assert values.min() < -0.8 * most


# What each amount does


@pytest.mark.parametrize("degrees", [5.0, 30.0])
def test_rotation_turns_about_the_middle_by_at_most_so_many_degrees(degrees: float) -> None:
    matrices, shifts = moved(only(rotation=degrees))
    assert_spread(np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])), degrees)
    np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), UNTURNED, atol=1e-3)
    np.testing.assert_allclose(shifts, 0, atol=0.02)


@pytest.mark.parametrize(
    ("name", "axis", "side"), [("width_shift", 0, WIDTH), ("height_shift", 1, HEIGHT)]
)
def test_a_shift_is_at_most_its_share_of_its_own_side(name: str, axis: int, side: int) -> None:
    matrices, shifts = moved(only(**{name: 0.2}))
    assert_spread(shifts[:, axis] / side, 0.2)
    np.testing.assert_allclose(shifts[:, 1 - axis], 0, atol=1e-3)
    np.testing.assert_allclose(matrices, UNTURNED, atol=1e-4)


def test_shear_slants_sideways_and_leaves_the_middle_where_it_is() -> None:
    matrices, shifts = moved(only(shear=0.3))
    assert_spread(matrices[:, 0, 1], 0.3)
    matrices[:, 0, 1] = 0
    np.testing.assert_allclose(matrices, UNTURNED, atol=1e-4)
    np.testing.assert_allclose(shifts, 0, atol=1e-3)


def test_zoom_keeps_the_shape_and_the_middle() -> None:
    matrices, shifts = moved(only(zoom=0.2))
    assert_spread(matrices[:, 0, 0] - 1, 0.2)
    np.testing.assert_allclose(matrices, matrices[:, :1, :1] * np.eye(2), atol=1e-4)
    np.testing.assert_allclose(shifts, 0, atol=1e-3)


def test_horizontal_flip_mirrors_about_half_of_the_images() -> None:
    pictures = coordinates()
    result = changed(pictures, only(horizontal_flip=True))
    mirrored = (result == pictures[:, :, ::-1]).all(axis=(1, 2, 3))
    assert ((result == pictures).all(axis=(1, 2, 3)) ^ mirrored).all()
    assert COUNT / 4 < mirrored.sum() < 3 * COUNT / 4


def test_channel_shift_moves_each_colour_by_itself_and_all_pixels_alike() -> None:
    shifts = changed(np.full((COUNT, 5, 7, 3), 128, np.float32), only(channel_shift=20.0)) - 128
    assert (shifts == shifts[:, :1, :1]).all()
    assert_spread(shifts[:, 0, 0], 20)
    assert len(np.unique(shifts[0, 0, 0])) == 3


def test_none_changes_nothing() -> None:
    assert (changed(photos(), Augmentation("none")) == photos()).all()
    assert Augmentation("none").changes_nothing
    assert not any(Augmentation(preset).changes_nothing for preset in PRESETS if preset != "none")


# Of whichever preset

amounts = pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset != "none"])


@amounts
def test_every_image_of_a_batch_is_changed_in_its_own_way(preset: Any) -> None:
    result = changed(np.stack([photos(1)[0]] * 16), Augmentation(preset))
    assert len(np.unique(result.reshape(16, -1), axis=0)) == 16


@amounts
@pytest.mark.parametrize("value", [0, 255])
def test_values_stay_within_those_of_pixels(preset: Any, value: int) -> None:
    for images in (photos(), np.full_like(photos(), value)):
        result = changed(images, Augmentation(preset))
        assert result.dtype == np.float32
        assert result.shape == images.shape
        assert result.min() >= 0
        assert result.max() <= 255


@amounts
@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_the_place_decides_whatever_was_drawn_before(preset: Any, seed: int) -> None:
    augmenter = Augmenter(Augmentation(preset), seed)

    def at(place: int, images: np.ndarray) -> np.ndarray:
        augmenter.start_at(place)
        return augmenter(images)

    first = at(2**31 - 1, photos())
    assert not (at(5, photos()) == first).all()
    assert not (augmenter(photos()) == at(5, photos())).all()  # drawn on from there
    assert (at(2**31 - 1, photos()) == first).all()
    assert not (changed(photos(), Augmentation(preset), seed + 1, 2**31 - 1) == first).all()


@amounts
def test_no_image_one_image_and_images_of_any_shape_are_changed(preset: Any) -> None:
    augmenter = Augmenter(Augmentation(preset), 0)
    for shape in ((0, 8, 8, 3), (1, 8, 8, 3), (3, 8, 20, 3), (2, 20, 8, 3), (1, 1, 1, 3)):
        result = augmenter.bytes(np.full(shape, 200, np.uint8))
        assert result.shape == shape
        assert result.dtype == np.uint8


# Views


def batches(images: np.ndarray, size: int = 8, start: int = 0) -> list[Batch]:
    """Images as batches, from one of them on, as their paths `PATHS` from there on."""
    rest = images[start:].astype(np.uint8)
    return [Batch(i, rest[i : i + size], (), size) for i in range(0, len(rest), size)]


PATHS = [f"train/cat/{i}.jpg" for i in range(32)]
LIGHT = View(Augmentation("light"), 1)


def seen(view: View, given: list[Batch], paths: list[str]) -> np.ndarray:
    return np.concatenate([batch.pixels for batch in view.of(given, paths)])


def test_a_view_shows_the_same_however_the_batches_come() -> None:
    images = photos(32)
    whole = seen(LIGHT, batches(images), PATHS)
    assert whole.dtype == np.uint8
    backwards = [batch.pixels for batch in LIGHT.of(batches(images)[::-1], PATHS)]
    assert (np.concatenate(backwards[::-1]) == whole).all()
    assert (seen(LIGHT, batches(images, start=16), PATHS[16:]) == whole[16:]).all()


def test_another_view_and_another_image_are_changed_in_other_ways() -> None:
    images = batches(photos(8))
    same = seen(LIGHT, images, PATHS)
    assert not (seen(View(Augmentation("light"), 2), images, PATHS) == same).all()
    assert not (seen(LIGHT, images, PATHS[1:]) == same).all()


def test_a_batch_of_which_nothing_can_be_read_stays_empty() -> None:
    (batch,) = LIGHT.of([Batch(0, np.empty((0, 8, 8, 3), np.uint8), (), 3)], PATHS)
    assert batch.pixels.shape == (0, 8, 8, 3)
    assert batch.count == 3


def test_views_are_equal_where_they_change_images_alike() -> None:
    spelled_out = only(**Augmentation("light").amounts())
    assert View(spelled_out, 1) == LIGHT == View(Augmentation("light").resolved(), 1)
    assert View.from_description(LIGHT.describe()) == LIGHT
    assert View(Augmentation("light", zoom=0.2), 1) != LIGHT


# What is set, and what the preset says


def test_what_is_set_goes_over_the_preset_0_and_false_too() -> None:
    assert str(Augmentation("none", rotation=20.0)) == "rotation 20"
    assert str(Augmentation("light", horizontal_flip=False)) == (
        "rotation 15, width shift 0.1, height shift 0.1, zoom 0.1"
    )
    assert str(Augmentation("statefarm", rotation=0.0, channel_shift=0.0)) == (
        "width shift 0.1, height shift 0.05, shear 0.1"
    )
    assert str(Augmentation("none")) == "nothing"
    assert Augmentation("light", **dict.fromkeys(PRESETS["light"], 0)).changes_nothing


def numbers(name: str) -> st.SearchStrategy[float]:
    most = SETTINGS[name].below
    assert most is not None
    return st.floats(0, most, exclude_max=True)


augmentations = st.builds(
    Augmentation,
    preset=st.sampled_from(list(PRESETS)),
    horizontal_flip=st.none() | st.booleans(),
    **{
        name: st.none() | numbers(name)
        for name, setting in SETTINGS.items()
        if setting.type is float
    },
)


@given(augmentations)
def test_what_is_resolved_resolves_to_itself(augmentation: Augmentation) -> None:
    resolved = augmentation.resolved()
    assert resolved.resolved() == resolved
    assert None not in resolved.describe().values()
    assert resolved.amounts() == augmentation.amounts() == augmentation.by_amounts().amounts()


@given(augmentations)
def test_a_description_can_be_read_back_as_settings(
    tmp_path_factory: pytest.TempPathFactory, augmentation: Augmentation
) -> None:
    file = tmp_path_factory.getbasetemp() / "augmentation.yaml"
    file.write_text(dump_yaml(augmentation.describe()))
    read = {name: coerce(value, SETTINGS[name]) for name, value in read_yaml(file).items()}
    assert Augmentation(**read) == augmentation.resolved()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_holds_what_could_be_typed(preset: str) -> None:
    assert all(coerce(value, SETTINGS[name]) == value for name, value in PRESETS[preset].items())


def test_the_page_shows_the_presets_as_they_are() -> None:
    table = PAGE.read_text().partition("\n| preset | ")[2].partition("\n\n")[0]
    names, _, _, *rows = [
        [cell.strip(" `-") for cell in line.strip("|").split("|")] for line in table.splitlines()
    ]
    assert names == list(PRESETS)
    shown = {name: values for name, *values in rows}
    assert list(shown) == [name.replace("_", "-") for name in Augmentation().amounts()]
    for column, preset in enumerate(PRESETS):
        for name, value in Augmentation(preset).amounts().items():  # type: ignore[arg-type]
            word = "yes" if value is True else f"{value:g}" if value else ""
            assert shown[name.replace("_", "-")][column] == word, (preset, name)

"""One image as training would see it: as it is, and changed at random eight ways."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.backend import start_backend
from dlcli.data.dataset import open_dataset
from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import shown
from dlcli.images.augmentation import Augmenter
from dlcli.images.pixels import UnreadableImage, load_image
from dlcli.settings.augmentation import Augmentation

if TYPE_CHECKING:
    import numpy as np

WAYS = 8
SIDE = 320  # pixels, at most: three in a row fill a screen


def training_image(root: Path, seed: int) -> Path:
    """One image of a dataset's train/, chosen by the seed."""
    import numpy as np

    paths = open_dataset(root).splits["train"]
    return root / paths[np.random.default_rng(seed).integers(len(paths))]


def preview(image: Path, augmentation: Augmentation, seed: int, output: Path) -> None:
    """Draw an image and eight changed ones on one PNG, which replaces a file of that name.

    The changes are made at the image's own size, of which larger ones keep `SIDE` pixels a side;
    training makes them at its own. All amounts but the colours' are shares of that size.

    Args:
        augmentation: how far it is changed.
        output: the PNG to write.

    Raises:
        DlError: the image can't be read; the output is that image, or no PNG.
    """
    from PIL import Image

    from dlcli.report.figures import draw_sheet

    _require_writable(output, image)
    pixels = _decode(image)
    start_backend()
    changed = change(pixels, augmentation, seed)
    draw_sheet(
        output,
        image.name,
        f"changed at random: {augmentation}",
        [Image.fromarray(each) for each in (pixels, *changed)],
        ["as it is", *map(str, range(1, WAYS + 1))],
    )


def change(pixels: np.ndarray, augmentation: Augmentation, seed: int) -> np.ndarray:
    """Change an image eight ways: uint8 (height, width, 3) -> uint8 (8, height, width, 3)."""
    import numpy as np

    augmenter = Augmenter(augmentation, seed)
    augmenter.start_at(0)
    return augmenter.bytes(np.stack([pixels] * WAYS))


def _require_writable(output: Path, image: Path) -> None:
    if output.suffix.lower() != ".png":
        raise DlError(
            f"Can't write {shown(output)}",
            why="the sheet is a PNG",
            hint=f"Call it {shown(output.with_suffix('.png'))}.",
            exit_code=ExitCode.USAGE,
        )
    if output.exists() and output.samefile(image):
        raise DlError(
            f"{shown(output)} is the image itself",
            hint="Name another file: `--output FILE`.",
            exit_code=ExitCode.USAGE,
        )


def _decode(image: Path) -> np.ndarray:
    import numpy as np

    try:
        picture = load_image(image, at_least=SIDE)
    except UnreadableImage as error:
        raise DlError(
            f"Can't read {shown(image)}",
            why=error.reason,
            hint="Name another image, or take another one of the dataset: `--seed N`.",
        ) from error
    picture.thumbnail((SIDE, SIDE))
    return np.asarray(picture)

"""A sheet with one image and eight random augmentations of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.backend import start_backend
from dlcli.data.photos.photos import open_photos
from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import shown
from dlcli.images.augmentation import Augmenter
from dlcli.images.pixels import NEWEST, UnreadableImage, load_image
from dlcli.settings.augmentation import Augmentation

if TYPE_CHECKING:
    import numpy as np

WAYS = 8
SIDE = 320  # pixels, at most; three in a row fill a screen


def training_image(root: Path, seed: int) -> Path:
    """One image of a dataset's train/, chosen by the seed."""
    import numpy as np

    paths = open_photos(root).splits["train"]
    return root / paths[np.random.default_rng(seed).integers(len(paths))]


def preview(image: Path, augmentation: Augmentation, seed: int, output: Path) -> None:
    """Draw an image and eight augmented ones as one PNG; an existing file is replaced.

    The image is augmented at its own size, at most `SIDE` pixels a side; training augments at its
    own size. All amounts except colours are shares of the size.

    Args:
        augmentation: the amounts of change.
        output: the PNG to write.

    Raises:
        DlError: the image can't be read, or the output is that image or not a PNG.
    """
    from PIL import Image

    from dlcli.report.photos.figures import draw_sheet

    _require_writable(output, image)
    pixels = _decode(image)
    start_backend()
    changed = change(pixels, augmentation, seed)
    draw_sheet(
        output,
        image.name,
        f"random augmentation: {augmentation}",
        [Image.fromarray(each) for each in (pixels, *changed)],
        ["original", *map(str, range(1, WAYS + 1))],
    )


def change(pixels: np.ndarray, augmentation: Augmentation, seed: int) -> np.ndarray:
    """Augment an image eight times: uint8 (height, width, 3) -> uint8 (8, height, width, 3)."""
    import numpy as np

    augmenter = Augmenter(augmentation, seed)
    augmenter.start_at(0)
    return augmenter.bytes(np.stack([pixels] * WAYS))


def _require_writable(output: Path, image: Path) -> None:
    if output.suffix.lower() != ".png":
        raise DlError(
            f"Can't write {shown(output)}",
            why="the preview is a PNG file",
            hint=f"Use `--output {shown(output.with_suffix('.png'))}`.",
            exit_code=ExitCode.USAGE,
        )
    if output.exists() and output.samefile(image):
        raise DlError(
            f"The output {shown(output)} is the image itself",
            hint="Choose another file: `--output FILE`.",
            exit_code=ExitCode.USAGE,
        )


def _decode(image: Path) -> np.ndarray:
    import numpy as np

    try:
        picture = load_image(image, NEWEST, at_least=SIDE)
    except UnreadableImage as error:
        raise DlError(
            f"Can't read {shown(image)}",
            why=error.reason,
            hint="Name another image, or choose another one of the dataset with `--seed N`.",
        ) from error
    picture.thumbnail((SIDE, SIDE))
    return np.asarray(picture)

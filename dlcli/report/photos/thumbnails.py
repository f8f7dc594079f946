"""Thumbnails for reports, decoded as the network saw the images."""

from __future__ import annotations

import io
import warnings
from base64 import b64encode
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.images.pixels import NEWEST, RuleVersion, UnreadableImage, load_image

if TYPE_CHECKING:
    from PIL import Image

SIDE = 320  # pixels, at most; shown at half the size, for screens of high resolution
TINY = 64  # pixels; smaller images (digits) keep their size and sharp pixels
WORKERS = 4  # decoding waits for disks and releases Python's lock


@dataclass(frozen=True)
class Thumbnail:
    """An image no larger than `SIDE`.

    Args:
        image: RGB pixels; a placeholder if the file can't be read.
        readable: whether the file could be read.
    """

    image: Image.Image
    readable: bool

    @property
    def tiny(self) -> bool:
        """Whether to show its pixels as sharp squares."""
        return self.readable and max(self.image.size) <= TINY

    @cached_property
    def uri(self) -> str:
        """The image as a `data:` address: JPEG, or PNG if it is tiny."""
        buffer, kind = io.BytesIO(), "png" if self.tiny else "jpeg"
        self.image.save(buffer, kind, quality=80)
        return f"data:image/{kind};base64,{b64encode(buffer.getvalue()).decode()}"


def thumbnails(
    root: Path, paths: Sequence[str], samples: Iterable[int], version: RuleVersion = NEWEST
) -> dict[int, Thumbnail]:
    """Decode the images of some samples on several threads.

    Args:
        root: the folder that `paths` are relative to.
        paths: of all samples.
        samples: indices into `paths`.
        version: of the rule for pixels, so that images are shown as the network saw them.

    Returns:
        one thumbnail per sample; a placeholder if the file is missing or not an image.
    """
    wanted = sorted(set(samples))
    with ThreadPoolExecutor(WORKERS) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about damaged EXIF blocks, which count as none
        pictures = list(pool.map(lambda i: thumbnail(root / paths[i], version), wanted))
    return dict(zip(wanted, pictures, strict=True))


def thumbnail(path: Path, version: RuleVersion = NEWEST) -> Thumbnail:
    """Decode one image as a thumbnail; a placeholder if it can't be read."""
    try:
        image = load_image(path, version, at_least=SIDE)
    except UnreadableImage:
        return Thumbnail(placeholder(), readable=False)
    image.thumbnail((SIDE, SIDE))
    return Thumbnail(image, readable=True)


def placeholder() -> Image.Image:
    """A crossed grey square, for light and dark pages, in place of an unreadable image."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (SIDE, SIDE), "#8d8f94")
    draw, line, inset = ImageDraw.Draw(image), "#b9bbbf", SIDE // 4
    box = (inset, inset, SIDE - inset, SIDE - inset)
    draw.rectangle(box, outline=line, width=4)
    draw.line(box, fill=line, width=4)
    draw.line((inset, SIDE - inset, SIDE - inset, inset), fill=line, width=4)
    return image

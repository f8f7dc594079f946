"""Small pictures for a report: decoded once, as the network saw them."""

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

from dlcli.images.pixels import UnreadableImage, load_image

if TYPE_CHECKING:
    from PIL import Image

SIDE = 320  # pixels, at most; shown at half of it, so that dense screens have enough
TINY = 64  # pixels; smaller pictures (digits) stay as they are, every pixel sharp
WORKERS = 4  # decoding waits for disks and releases Python's lock


@dataclass(frozen=True)
class Thumbnail:
    """A picture no larger than `SIDE`.

    Args:
        image: RGB pixels; a drawn placeholder where the file can't be read.
        readable: whether it is the picture itself.
    """

    image: Image.Image
    readable: bool

    @property
    def tiny(self) -> bool:
        """Whether its pixels should be shown as squares."""
        return self.readable and max(self.image.size) <= TINY

    @cached_property
    def uri(self) -> str:
        """The picture as a `data:` address, JPEG; PNG where it is tiny."""
        buffer, kind = io.BytesIO(), "png" if self.tiny else "jpeg"
        self.image.save(buffer, kind, quality=80)
        return f"data:image/{kind};base64,{b64encode(buffer.getvalue()).decode()}"


def thumbnails(root: Path, paths: Sequence[str], samples: Iterable[int]) -> dict[int, Thumbnail]:
    """Decode the pictures of some samples, side by side on threads.

    Args:
        root: the folder that `paths` are relative to.
        paths: of all samples.
        samples: indices into `paths`.

    Returns:
        one thumbnail per sample; a placeholder where there is no file, or it is no picture.
    """
    wanted = sorted(set(samples))
    with ThreadPoolExecutor(WORKERS) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd EXIF blocks, which are not looked at
        pictures = list(pool.map(lambda i: thumbnail(root / paths[i]), wanted))
    return dict(zip(wanted, pictures, strict=True))


def thumbnail(path: Path) -> Thumbnail:
    """Decode one picture, small; a placeholder where it can't be read.

    Its EXIF orientation is left alone: the network is given the pixels as they are stored, and a
    picture that it saw lying on its side is shown so.
    """
    try:
        image = load_image(path, at_least=SIDE)
    except UnreadableImage:
        return Thumbnail(placeholder(), readable=False)
    image.thumbnail((SIDE, SIDE))
    return Thumbnail(image, readable=True)


def placeholder() -> Image.Image:
    """A grey square, crossed out, which reads as "no picture" on light and on dark."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (SIDE, SIDE), "#8d8f94")
    draw, line, inset = ImageDraw.Draw(image), "#b9bbbf", SIDE // 4
    box = (inset, inset, SIDE - inset, SIDE - inset)
    draw.rectangle(box, outline=line, width=4)
    draw.line(box, fill=line, width=4)
    draw.line((inset, SIDE - inset, SIDE - inset, inset), fill=line, width=4)
    return image

"""The EXIF orientation of an image: find it, and turn pixels upright.

Reference: EXIF 2.32, tag 0x0112: 1 is upright, 2 mirrored, 3 upside down, 4 both, 5 to 8 are the
same with rows and columns exchanged.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

JPEG_MAGIC = b"\xff\xd8\xff"
ORIENTATION = 0x0112
START_OF_SCAN, APP1 = b"\xff\xda", b"\xff\xe1"


def orientation_of(image: Image.Image, data: bytes) -> int:
    """The orientation of an opened image, 1 to 8, as Pillow reads it: in EXIF, else in XMP.

    It loads a PNG that may have its EXIF behind its pixels. Ask before a TIFF is loaded: Pillow
    then turns it.

    Args:
        data: the bytes of its file, or the first of them.
    """
    if is_upright_jpeg(data):
        return 1
    if image.format == "PNG" and "exif" not in image.info:
        image.load()
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, struct.error):  # damaged EXIF
        return 1
    return int(orientation) if orientation in range(2, 9) else 1


def orientation_in(jpeg: bytes) -> int:
    """The orientation of a JPEG file, 1 to 8."""
    import io

    from PIL import Image

    if is_upright_jpeg(jpeg):  # opening it takes Pillow a tenth of a millisecond
        return 1
    try:
        with Image.open(io.BytesIO(jpeg)) as image:
            return orientation_of(image, jpeg)
    except (OSError, ValueError, SyntaxError):
        return 1


def is_upright_jpeg(data: bytes) -> bool:
    """Whether a file is a JPEG without a segment for EXIF or XMP, by its first bytes.

    False if that can't be told: they end before its pixels, or a segment is damaged.
    """
    if not data.startswith(JPEG_MAGIC):
        return False
    place = 2
    while (marker := data[place : place + 2]) != START_OF_SCAN:
        if marker == APP1 or not b"\xff\xc0" <= marker < b"\xff\xff":
            return False
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    return True


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn pixels of an orientation, (height, width, 3), upright."""
    import numpy as np

    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)

"""Pixels of more than 8 bits: tell them by their header, and scale them to 8 bits by one rule.

    declared depth     the upper 8 of the bits that the file declares, such as 12 in a packed TIFF
    unsigned integers  the upper 8 of the fewest bits that hold the image's maximum, an even
                       number: of 16 bits, but of 12 if no value is above 4095
    signed integers    the same if none is negative, of at most 15 or 31 bits; else the image's
                       minimum becomes 0 and its maximum 255
    floats             0 to 1 becomes 0 to 255; other numbers that are all whole and not negative
                       are taken as integers; else the image's minimum becomes 0, its maximum 255

All bands share one scale. The first three are red, green and blue; an alpha band and all others are
dropped. Numbers that are not finite count as the nearest that is, NaN as the minimum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image
    from PIL.ImageFile import ImageFile

GREY = 128
# Tags of TIFF 6.0, and a value.
BITS_PER_SAMPLE, SAMPLE_FORMAT = 258, 339
UNSIGNED = 1


def is_deep(image: ImageFile) -> bool:
    """Whether an image has more than 8 bits a sample; ask before it is loaded."""
    # Pillow opens 16-bit colours as 8-bit ones: only its name of the stored form shows them
    deep_colours = any(";16" in str(tile.args) for tile in image.tile)
    return image.mode == "F" or image.mode.startswith("I") or deep_colours


def to_8_bits(image: Image.Image, data: bytes) -> Image.Image:
    """Scale a deep image to 8-bit grey or RGB.

    Args:
        image: opened, and perhaps loaded.
        data: the bytes of its file.

    Raises:
        OSError, ValueError: as Pillow does for damaged images.
        ImportError: 16-bit colours need OpenCV.
    """
    from PIL import Image

    image.load()  # finds damage, about which OpenCV says little
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(scaled(_samples(image), _declared_bits(image)))
    # OpenCV reads no CMYK of 16 bits, and prints lines of its own about it
    colours = None if image.mode == "CMYK" else _colours(data)
    # of a format that OpenCV does not read, Pillow has kept the upper 8 of 16 bits
    return image if colours is None else Image.fromarray(scaled(colours))


def scaled(values: np.ndarray, declared_bits: int | None = None) -> np.ndarray:
    """Scale numbers to 0-255 by the rule of this module.

    Args:
        values: array of shape (height, width) or (height, width, bands), integers or floats.
        declared_bits: how many bits a value has, if the file declares that; None: by the maximum.

    Returns:
        uint8 array of the same shape.
    """
    import numpy as np

    if values.dtype.kind == "f":
        finite = values[np.isfinite(values)].astype(np.float64)
        if not finite.size:
            return np.full(values.shape, GREY, np.uint8)
        low, high = finite.min(), finite.max()
        values = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
        if low >= 0 and high <= 1:
            return np.round(values * 255).astype(np.uint8)
        if low >= 0 and high < 2**32 and not (values % 1).any():
            values = values.astype(np.uint32)
    if values.dtype.kind == "f" or values.min() < 0:
        return _stretched(values.astype(np.float64))
    bits = declared_bits or _bits_of(int(values.max()), values.dtype)
    eight: np.ndarray = (values >> (bits - 8)).astype(np.uint8)
    return eight


def _bits_of(maximum: int, kind: np.dtype) -> int:
    """The fewest bits, an even number, that hold a maximum; at most those of its type."""
    bits = maximum.bit_length()
    return min(max(bits + bits % 2, 8), 8 * kind.itemsize - (kind.kind == "i"))


def _stretched(values: np.ndarray) -> np.ndarray:
    """Floats with the minimum as 0 and the maximum as 255; a single value becomes grey."""
    import numpy as np

    low, high = values.min(), values.max()
    if low == high:
        return np.full(values.shape, GREY, np.uint8)
    # halves, because the difference of two floats may be too large for a float
    share: np.ndarray = (values / 2 - low / 2) / (high / 2 - low / 2)
    return np.round(share * 255).astype(np.uint8)


def _samples(image: Image.Image) -> np.ndarray:
    """The numbers of an image of one band, in their own type: array of shape (height, width)."""
    import numpy as np

    values: np.ndarray = np.asarray(image)
    if image.format != "TIFF" or image.mode != "I":
        return values
    # Pillow reads int16 and uint32 as int32
    kind = "u" if _tag(image, SAMPLE_FORMAT) == UNSIGNED else "i"
    exact: np.ndarray = values.astype(f"{kind}{_tag(image, BITS_PER_SAMPLE) // 8}")
    return exact


def _declared_bits(image: Image.Image) -> int | None:
    """How many bits a value has by the file's own word; None: it only names a type."""
    if image.mode == "F":
        return None
    if image.format == "TIFF":
        bits = _tag(image, BITS_PER_SAMPLE)
        return None if bits in (16, 32) else bits
    # from the depth that the file declares, Pillow has scaled these to 16 bits
    return 16 if image.format in ("PPM", "JPEG2000") else None


def _tag(image: Image.Image, tag: int) -> int:
    """A TIFF's tag with a number for each band: that of the first."""
    return int(image.tag_v2.get(tag, (1,))[0])  # type: ignore[attr-defined]


def _colours(data: bytes) -> np.ndarray | None:
    """16-bit colours, uint16 (height, width, 3), RGB; None if OpenCV does not read the format."""
    import cv2
    import numpy as np

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim < 3 or pixels.dtype != np.uint16:
        return None
    rgb: np.ndarray = pixels[..., 2::-1]
    return rgb

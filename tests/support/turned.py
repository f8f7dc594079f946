"""Images that version 2 of the rule for pixels turns or scales."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from PIL import Image

EIGHT = range(1, 9)
# What brings an upright image into each orientation.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
# kind -> numbers of 8-bit greys, their bits, and TIFF's sample format
DEEP = {
    "uint16": ("<u2", 257, 16, 1),
    "uint16 big-endian": (">u2", 257, 16, 1),
    "12 bits in uint16": ("<u2", 16, 16, 1),
    "int16": ("<i2", 128, 16, 2),
    "uint32": ("<u4", 16843009, 32, 1),
    "int32 of 16 bits": ("<i4", 257, 32, 2),
    "float of 0 to 1": ("<f4", 1 / 255, 32, 3),
    "float of 0 to 255": ("<f4", 1, 32, 3),
    "float of 0 to 65535": ("<f4", 257, 32, 3),
}


def save_turned(upright: Image.Image, path: Path, orientation: int) -> Path:
    """Save an image turned, with the EXIF orientation that makes it upright."""
    turned = upright if orientation == 1 else upright.transpose(_TURNS[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    # lossless where that can be chosen; a JPEG of full colour resolution
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    sampled = {"quality": 97, "subsampling": 0} if path.suffix == ".jpg" else {}
    turned.save(path, exif=exif, **lossless, **sampled)
    return path


def save_deep(grey: np.ndarray, path: Path, kind: str) -> Path:
    """Save 8-bit greys, (height, width), as a TIFF of deeper numbers."""
    form, factor, bits, sample_format = DEEP[kind]
    order = ">" if form.startswith(">") else "<"
    data = (grey * np.float64(factor)).astype(form).tobytes()
    height, width = grey.shape
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(data)),
        (339, 3, sample_format),
    ]
    entries = b""
    for tag, of_type, value in tags:
        entries += struct.pack(f"{order}HHI", tag, of_type, 1)
        entries += struct.pack(f"{order}H2x" if of_type == 3 else f"{order}I", value)
    magic = b"MM" if order == ">" else b"II"
    head = magic + struct.pack(f"{order}HI", 42, 8 + len(data))
    count = struct.pack(f"{order}H", len(tags))
    path.write_bytes(head + data + count + entries + bytes(4))
    return path

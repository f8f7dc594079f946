"""Which images are turned or scaled by version 2 of the rule for pixels, told by their headers."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from dlcli import words
from dlcli.images.depth import is_deep
from dlcli.images.orientation import is_upright_jpeg, orientation_of
from dlcli.images.pixels import MAX_PIXELS, PixelChange, changes_by

# Bytes that hold the header of most JPEGs, up to their pixels or to their EXIF.
HEAD = 4096
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
PNG_DEPTH = 24  # where a PNG has its number of bits a sample
# What Pillow reads an orientation from: a chunk, or a text by its keyword.
PNG_EXIF, PNG_EXIF_TEXTS = b"eXIf", (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")


def changed_images(root: Path, paths: Iterable[str]) -> dict[str, tuple[PixelChange, ...]]:
    """The images that version 2 of the rule turns or scales: path -> what it does.

    Files that can't be read are left out.

    Args:
        root: the folder that `paths` are relative to.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about damaged EXIF blocks, which count as none
        found = {path: changes_to(root / path) for path in paths}
    return {path: changes for path, changes in found.items() if changes}


def changes_to(path: Path) -> tuple[PixelChange, ...]:
    """What version 2 of the rule does to one image; () if it can't be read."""
    from PIL import Image

    try:
        if not path.is_file():  # a pipe would block
            return ()
        with path.open("rb") as file:
            head = file.read(HEAD)
            if is_upright_jpeg(head):
                return ()
            upright_png = head.startswith(PNG_MAGIC) and not _png_has_exif(file)
            if upright_png and head[PNG_DEPTH : PNG_DEPTH + 1] <= b"\x08":
                return ()
            file.seek(0)
            with Image.open(file) as image:
                if image.width * image.height > MAX_PIXELS:
                    return ()
                deep = is_deep(image)
                return changes_by(1 if upright_png else orientation_of(image, head), deep)
    except (OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError):
        return ()


def _png_has_exif(file: BinaryIO) -> bool:
    """Whether a PNG has EXIF or XMP, before its pixels or behind them."""
    place = len(PNG_MAGIC)
    file.seek(place)
    while len(head := file.read(8 + len(PNG_EXIF_TEXTS[0]))) >= 8:
        if head[4:8] == PNG_EXIF or head[8:].startswith(PNG_EXIF_TEXTS):
            return True
        place += 12 + int.from_bytes(head[:4])  # length, name and checksum
        file.seek(place)
    return False


def changes_sentence(changed: Mapping[str, Iterable[str]]) -> str:
    """How many images are turned and scaled, as a sentence; "" if none is.

    Args:
        changed: path -> what is done to the image.
    """
    every = [list(changes) for changes in changed.values()]
    turned = sum("turned" in changes for changes in every)
    scaled = sum("scaled" in changes for changes in every)
    parts = []
    if turned:
        verb = "is" if turned == 1 else "are"
        parts.append(f"{words.count(turned, 'image')} {verb} turned upright, as EXIF says")
    if scaled:
        verb = "is" if scaled == 1 else "are"
        parts.append(f"{words.count(scaled, 'image')} of more than 8 bits {verb} scaled to 8 bits")
    return f"{'; '.join(parts)}." if parts else ""

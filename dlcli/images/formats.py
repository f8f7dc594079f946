"""Which files are images: files of usual suffixes, and others by their first bytes."""

# A Path costs more than the system call, and these run for every file of a folder.
# ruff: noqa: PTH122, PTH123

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from dlcli.files.paths import shown
from dlcli.process import install_command
from dlcli.words import count

# Files of these suffixes are not opened to be listed. A damaged one is reported by the decoder.
USUAL_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif"),
    *(".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"),
)
# What such files hold. Their first bytes would not tell all of them from images: a camera's raw
# file begins as a TIFF.
_OTHER_KINDS = {
    "BSON": (".bson",),
    "TFRecord": (".tfrec", ".tfrecord", ".tfrecords"),
    "DICOM": (".dcm", ".dicom"),
    "NIfTI": (".nii", ".nii.gz"),
    "NumPy": (".npy", ".npz"),
    "SVG": (".svg", ".svgz"),
    "camera raw": (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"),
    "video": (".avi", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"),
    "PDF or PostScript": (".eps", ".pdf", ".ps"),
}
DATA_KINDS = frozenset(_OTHER_KINDS)
_HEIC = "HEIC"
# Photos that people take for images, and that are not decoded.
_PHOTO_KINDS = (_HEIC, "camera raw", "DICOM")
_KIND_OF = {suffix: kind for kind, suffixes in _OTHER_KINDS.items() for suffix in suffixes}
_MAGIC = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*"),
    *(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"8BPS", b"qoif", b"DDS "),
)
# ISO/IEC 23008-12, annexes B and C: images and sequences of them, coded as HEVC.
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
# DICOM's mark comes after 128 bytes that may hold anything (PS3.10, section 7.1).
_HEAD_BYTES = 132
# Pillow knows these by their headers alone, and does not decode them.
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
# These begin with text.
_TEXT_SUFFIXES = (".im", ".pbm", ".pgm", ".pnm", ".ppm", ".xbm", ".xpm")
_MOST_NAMED = 8

NOT_AN_IMAGE = "not an image"
NOT_A_FILE = "not a regular file"
TEXT = "text"


def has_usual_suffix(name: str) -> bool:
    """Whether a file's suffix is that of a usual image, in upper or lower case."""
    return name.lower().endswith(USUAL_SUFFIXES)


def kind_of(name: str) -> str:
    """What a file of data holds that is not an image, by its suffix: "TFRecord"; "" if unknown."""
    return next((kind for end, kind in _KIND_OF.items() if name.lower().endswith(end)), "")


def is_image(path: str | Path) -> bool:
    """Whether a file is an image: by a usual suffix, else by its first bytes."""
    return has_usual_suffix(os.fspath(path)) or not fault_of(path)


def fault_of(path: str | Path) -> str:
    """Why a file is not an image that can be decoded; "" where its first bytes say it is.

    A pipe or device is not opened, because a read would wait.
    """
    if kind := kind_of(os.fspath(path)):
        return kind
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return NOT_A_FILE
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        return error.strerror or str(error)
    if not head:
        return "empty"
    if head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return ""
    if is_heic(head):
        return heic_fault()
    if head[128:] == b"DICM":
        return "DICOM"
    if _is_text(head) and not os.fspath(path).lower().endswith(_TEXT_SUFFIXES):
        return TEXT
    return "" if _is_known_to_pillow(path) else NOT_AN_IMAGE


def is_unread_photo(path: str | Path) -> bool:
    """Whether a file holds a photo that can't be decoded: HEIC, a camera's raw file, DICOM."""
    return fault_of(path).startswith(_PHOTO_KINDS)


def is_heic(head: bytes) -> bool:
    """Whether a file's first bytes are those of HEIC or another HEIF image coded as HEVC."""
    if head[4:8] != b"ftyp":
        return False
    # `mif1` alone says HEIF; the compatible brands that follow say how it is coded
    return head[8:12] in _HEIC_BRANDS or any(brand in head[16:40] for brand in _HEIC_BRANDS)


@cache
def heic_fault() -> str:
    """Why HEIC can't be decoded here; "" once Pillow has learned it, which this function does."""
    try:
        import pillow_heif
    except ImportError:
        return f"{_HEIC}; to read it: `{install_command('heic')}`"
    pillow_heif.register_heif_opener()
    return ""


def left_out(files: Iterable[str | Path]) -> str:
    """A sentence on files that are not images, by suffix and reason; "" where there are none.

    For example "2 files are not images and were left out: 1 .mp4 (video), 1 .txt (text)."
    """
    reasons = Counter((_suffix(file), fault_of(file) or NOT_AN_IMAGE) for file in files)
    if not reasons:
        return ""
    kinds = []
    total = unnamed = sum(reasons.values())
    for (suffix, reason), number in reasons.most_common(_MOST_NAMED):
        kinds.append(f"{number:,} {suffix}" + ("" if reason == NOT_AN_IMAGE else f" ({reason})"))
        unnamed -= number
    if unnamed:
        kinds.append(f"{unnamed:,} others")
    are = "is not an image and was" if total == 1 else "are not images and were"
    return f"{count(total, 'file')} {are} left out: {', '.join(kinds)}."


def _suffix(file: str | Path) -> str:
    suffix = os.path.splitext(file)[1]
    return shown(suffix.lower()) if 1 < len(suffix) <= 12 else "without suffix"


def _is_text(head: bytes) -> bool:
    # the last character may be cut
    return b"\0" not in head and len(head.decode("utf-8", "ignore").encode()) > len(head) - 4


def _is_known_to_pillow(path: str | Path) -> bool:
    from PIL import Image

    Image.init()
    suffix = os.path.splitext(path)[1].lower()
    # without a check of the first bytes, a format takes almost any file for its own
    formats = [
        name
        for name, (_, accepts) in Image.OPEN.items()
        if name not in _NOT_DECODED and (accepts or Image.EXTENSION.get(suffix) == name)
    ]
    try:
        with Image.open(path, formats=formats):
            return True
    except Image.DecompressionBombError:
        return True
    except (OSError, ValueError, SyntaxError, RuntimeError, EOFError, ArithmeticError):
        return False

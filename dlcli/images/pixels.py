"""Files to pixels: decode, resize, batches, on several threads and in constant memory."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dlcli import words
from dlcli.errors import DlError
from dlcli.files.paths import shown

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

# Pillow warns above 89 million pixels and refuses above twice that; decoders here refuse alike.
MAX_PIXELS = 178_956_970
JPEG_MAGIC = b"\xff\xd8\xff"
MOST_NAMED = 20


@dataclass(frozen=True)
class PixelRule:
    """How a file becomes pixels; part of what a run records.

    Args:
        size: pixels a side; images are resized straight to a square, aspect not kept.
        decode: "exact" decodes every pixel, and Pillow resizes; "scaled" lets the JPEG decoder
            leave out detail that the resizing would drop anyway (scaling in the DCT domain, down
            to no less than `size` a side), and OpenCV resizes the little that is left: 3 times
            quicker, and pixels move by a few of 255.
    """

    size: int
    decode: Literal["exact", "scaled"] = "exact"

    def __str__(self) -> str:
        size = f"{self.size}x{self.size}"
        exact = f"decoded by Pillow, RGB, its bilinear filter straight to {size}"
        if self.decode == "exact":
            return exact
        return f"JPEGs decoded scaled in the DCT, RGB, OpenCV straight to {size}; others {exact}"


class UnreadableImage(Exception):
    """An image that can't be decoded, and why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{shown(path)}: {reason}")
        self.path, self.reason = path, reason


def load_pixels(path: Path, rule: PixelRule) -> np.ndarray:
    """Decode and resize one image.

    Returns:
        array of shape (size, size, 3), uint8, RGB, 0-255.

    Raises:
        UnreadableImage: the file is empty, damaged, no image, or a decompression bomb.
        DlError: the packages for "scaled" can't be imported.
    """
    import numpy as np
    from PIL import Image

    data = _read(path)
    if rule.decode == "scaled" and (pixels := _decode_scaled(data, rule.size)) is not None:
        return pixels
    image = _decode(path, data)
    if image.size != (rule.size, rule.size):
        image = image.resize((rule.size, rule.size), Image.Resampling.BILINEAR)
    return np.asarray(image)


def is_readable(path: Path, rule: PixelRule) -> bool:
    """Whether an image can be decoded."""
    try:
        load_pixels(path, rule)
    except UnreadableImage:
        return False
    return True


def load_image(path: Path, at_least: int | None = None) -> Image.Image:
    """Decode one image whole, as RGB of 8 bits.

    Args:
        at_least: pixels a side that are enough, where the decoder can save work.

    Raises:
        UnreadableImage: the file is empty, damaged, no image, or a decompression bomb.
    """
    return _decode(path, _read(path), at_least)


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImage(path, error.strerror or str(error)) from error
    except ValueError as error:  # a name that no file can have
        raise UnreadableImage(path, str(error)) from error
    if not data:
        raise UnreadableImage(path, "the file is empty")
    return data


def _decode(path: Path, data: bytes, at_least: int | None = None) -> Image.Image:
    import io

    import numpy as np
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableImage(path, f"{image.width}x{image.height} pixels: a bomb")
            if at_least:
                image.draft("RGB", (at_least, at_least))
            if image.mode.startswith("I;16"):  # 16-bit gray: Pillow would cut, not scale
                gray = np.asarray(image) >> 8
                return Image.fromarray(gray.astype(np.uint8)).convert("RGB")
            return image.convert("RGB")
    # SyntaxError: a PNG whose chunks are broken; RuntimeError: damaged AVIF and DDS
    except (OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError) as error:
        reason = "not an image" if "cannot identify" in str(error) else str(error)
        raise UnreadableImage(path, reason) from error


def _decode_scaled(data: bytes, size: int) -> np.ndarray | None:
    """Decode a JPEG at the smallest scale that is no smaller than `size`, and resize it.

    Returns:
        array of shape (size, size, 3), uint8; None where the exact way has to do it: another
        format, CMYK, a side too short, damage (of which Pillow says what it is).
    """
    if not data.startswith(JPEG_MAGIC):
        return None
    try:
        import cv2
        import simplejpeg
    except ImportError as error:
        raise DlError(
            "JPEGs can't be decoded scaled here",
            why=str(error),
            hint="Mend the packages simplejpeg and opencv-python-headless, or compute exactly: "
            "`--precision f32`.",
        ) from error
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        cmyk, small = colorspace in ("CMYK", "YCCK"), min(height, width) < size
        if cmyk or small or height * width > MAX_PIXELS:
            return None
        pixels = simplejpeg.decode_jpeg(
            data, "RGB", fastdct=True, fastupsample=True, min_height=size, min_width=size
        )
    except ValueError:
        return None
    # bilinear looks at 2 pixels a side only: where more become one, all of them are averaged
    near = max(pixels.shape[:2]) <= 1.5 * size
    how = cv2.INTER_LINEAR if near else cv2.INTER_AREA
    resized: np.ndarray = cv2.resize(pixels, (size, size), interpolation=how)
    return resized


@dataclass(frozen=True)
class Batch:
    """Consecutive images of a list.

    Args:
        start: the first one's place in the list.
        pixels: array of shape (n, size, size, 3), uint8.
        unreadable: those that could not be decoded; their rows are left out of `pixels`.
        count: images of the list that the batch stands for, unreadable ones included.
    """

    start: int
    pixels: np.ndarray
    unreadable: tuple[UnreadableImage, ...]
    count: int


def read_batches(
    root: Path, paths: Sequence[str], rule: PixelRule, batch_size: int, workers: int
) -> Generator[Batch, None, None]:
    """Decode images ahead of their use, in order.

    Args:
        root: the folder that `paths` are relative to.
        paths: images, in the order wanted.
        batch_size: images per batch; the last one may be smaller.
        workers: threads. The decoders release Python's lock, so threads do run side by side.

    Yields:
        batches, in order; no more than a few per thread are ever in memory. Closing the generator
        ends the threads.
    """

    def load(start: int) -> Batch:
        import numpy as np

        chunk = paths[start : start + batch_size]
        pixels = np.empty((len(chunk), rule.size, rule.size, 3), np.uint8)
        unreadable, row = [], 0
        for path in chunk:
            try:
                pixels[row] = load_pixels(root / path, rule)
                row += 1
            except UnreadableImage as error:
                unreadable.append(error)
        return Batch(start, pixels[:row], tuple(unreadable), len(chunk))

    # Pillow warns of odd EXIF blocks, which are not looked at. Once and for the whole process:
    # `catch_warnings` is not for threads.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    yield from work_ahead(load, range(0, len(paths), batch_size), workers)


def work_ahead(
    work: Callable[[int], Batch], starts: Iterable[int], workers: int
) -> Generator[Batch, None, None]:
    """Run `work` on threads, a little ahead of whoever takes the results, in order."""
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            for start in starts:
                waiting.append(pool.submit(work, start))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def none_readable(what: str, first: UnreadableImage, count: int = 2) -> DlError:
    """What to raise where nothing is left of a split, or of some photos."""
    why = f"{first}; and so on" if count > 1 else str(first)
    return DlError(f"Not one image of {what} can be read", why=why)


def named(unreadable: Sequence[UnreadableImage]) -> str:
    """Images that can't be read, a line for each; of many the first ones."""
    lines = [f"  {error}" for error in unreadable[:MOST_NAMED]]
    if len(unreadable) > MOST_NAMED:
        lines.append(f"  ... and {len(unreadable) - MOST_NAMED:,} more")
    return "\n".join(lines)


def refuse_unreadable(unreadable: Sequence[UnreadableImage]) -> None:
    """Name all images that can't be read.

    Raises:
        DlError: there is at least one.
    """
    if not unreadable:
        return
    raise DlError(
        f"{words.count(len(unreadable), 'image')} can't be read:\n{named(unreadable)}",
        hint="Remove or replace them, or leave them out with `--on-error skip`.",
    )

"""Decode and resize image files to batches of pixels, on several threads, in constant memory."""

from __future__ import annotations

import stat
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from dlcli import words
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.images.depth import is_deep, to_8_bits
from dlcli.images.formats import NOT_A_FILE, heic_fault, is_heic
from dlcli.images.orientation import JPEG_MAGIC, orientation_in, orientation_of, upright

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

RuleVersion = Literal[1, 2]
NEWEST: RuleVersion = 2
PixelChange = Literal["turned", "scaled"]

# Pillow warns above 89 million pixels and refuses above twice that; the decoders here do too.
MAX_PIXELS = 178_956_970
# As many pixels of six bytes, not packed: a file is read whole.
MAX_BYTES = 6 * MAX_PIXELS
MOST_NAMED = 20


@dataclass(frozen=True)
class PixelRule:
    """How a file becomes pixels; part of what a run records.

    Args:
        size: pixels a side; images are resized to a square without keeping their aspect.
        decode: "exact" decodes every pixel, and Pillow resizes. "scaled" lets the JPEG decoder
            leave out detail that resizing would drop anyway (scaling in the DCT domain, to at
            least `size` a side), and OpenCV resizes the rest: 3 times as fast, and pixels differ by
            a few of 255.
        version: 1 takes images as they are stored, and of deep pixels what Pillow makes of them,
            which may be white or black. 2 turns images upright by their EXIF orientation, and
            scales deep pixels (`images/depth`). A record without a version is of version 1.
    """

    size: int
    decode: Literal["exact", "scaled"] = "exact"
    version: RuleVersion = 1

    def __str__(self) -> str:
        size = f"{self.size}x{self.size}"
        if self.version == 1:
            exact = f"decoded to RGB and resized to {size} (bilinear) by Pillow"
            scaled = "decoded to RGB at a reduced size (DCT scaling)"
        else:
            turned = "turned upright by the EXIF orientation"
            exact = (
                f"decoded to RGB (more than 8 bits scaled to 8), {turned} and resized to {size} "
                "(bilinear) by Pillow"
            )
            scaled = f"decoded to RGB at a reduced size (DCT scaling), {turned}"
        if self.decode == "exact":
            return exact
        return f"JPEGs: {scaled}, then resized to {size} by OpenCV; other images: {exact}"

    def describe(self) -> dict[str, Any]:
        """The fields as plain values, for a record or a hash."""
        described = asdict(self)
        if self.version == 1:  # as it was written, and hashed, before there was another version
            del described["version"]
        return described


class UnreadableImage(Exception):
    """An image that can't be decoded, and why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{shown(path)}: {reason}")
        self.path, self.reason = path, reason


class Decoded(NamedTuple):
    """One decoded image.

    Args:
        pixels: array of shape (size, size, 3), uint8, RGB, 0-255.
        changes: what version 2 of the rule does to it, by whichever version it was decoded.
    """

    pixels: np.ndarray
    changes: tuple[PixelChange, ...]


def load_pixels(path: Path, rule: PixelRule) -> np.ndarray:
    """Decode and resize one image: uint8 (size, size, 3), RGB; raises what `decode` does."""
    return decode(path, rule).pixels


def decode(path: Path, rule: PixelRule) -> Decoded:
    """Decode and resize one image.

    Raises:
        UnreadableImage: the file is empty, damaged, not an image, or a decompression bomb.
        DlError: the packages for "scaled" can't be imported.
    """
    import numpy as np
    from PIL import Image

    data = _read(path)
    if rule.decode == "scaled" and (decoded := _decode_scaled(data, rule)) is not None:
        return decoded
    image, changes = _decode(path, data, rule.version)
    if image.size != (rule.size, rule.size):
        image = image.resize((rule.size, rule.size), Image.Resampling.BILINEAR)
    return Decoded(np.asarray(image), changes)


def is_readable(path: Path, rule: PixelRule) -> bool:
    """Whether an image can be decoded."""
    try:
        load_pixels(path, rule)
    except UnreadableImage:
        return False
    return True


def load_image(path: Path, version: RuleVersion, at_least: int | None = None) -> Image.Image:
    """Decode one image as 8-bit RGB.

    Args:
        version: of the rule for pixels.
        at_least: pixels a side that are enough, which lets the decoder save work.

    Raises:
        UnreadableImage: the file is empty, damaged, not an image, or a decompression bomb.
    """
    return _decode(path, _read(path), version, at_least)[0]


def _read(path: Path) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            raise UnreadableImage(path, NOT_A_FILE)  # reading a pipe would wait
        if found.st_size > MAX_BYTES:
            raise UnreadableImage(path, f"{words.size(found.st_size)}, more than `dl` reads")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImage(path, error.strerror or str(error)) from error
    except ValueError as error:  # the name is not possible for a file
        raise UnreadableImage(path, str(error)) from error
    if not data:
        raise UnreadableImage(path, "the file is empty")
    return data


def _decode(
    path: Path, data: bytes, version: RuleVersion, at_least: int | None = None
) -> tuple[Image.Image, tuple[PixelChange, ...]]:
    import io

    import numpy as np
    from PIL import Image

    if is_heic(data) and (fault := heic_fault()):
        raise UnreadableImage(path, fault)
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                size = f"{image.width}x{image.height}"
                raise UnreadableImage(path, f"{size} pixels, more than `dl` decodes")
            if at_least:
                image.draft("RGB", (at_least, at_least))
            deep, orientation = is_deep(image), orientation_of(image, data)
            if version == 1:
                rgb = _as_stored(image)
            else:
                rgb = (to_8_bits(image, data) if deep else image).convert("RGB")
                if orientation > 1 and image.format != "TIFF":  # Pillow turns a TIFF as it loads it
                    rgb = Image.fromarray(upright(np.asarray(rgb), orientation))
            return rgb, changes_by(orientation, deep)
    # SyntaxError: a PNG whose chunks are broken; RuntimeError: damaged AVIF and DDS
    except (OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError) as error:
        reason = "not an image" if "cannot identify" in str(error) else str(error)
        raise UnreadableImage(path, reason) from error
    except ImportError as error:
        reason = f"16-bit colours need the package opencv-python-headless: {error}"
        raise UnreadableImage(path, reason) from error


def _as_stored(image: Image.Image) -> Image.Image:
    """An image as 8-bit RGB by version 1 of the rule."""
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I;16"):  # 16-bit gray: Pillow would clip, not scale
        gray = np.asarray(image) >> 8
        image = Image.fromarray(gray.astype(np.uint8))
    return image.convert("RGB")


def changes_by(orientation: int, deep: bool) -> tuple[PixelChange, ...]:
    """What version 2 of the rule does to an image of an orientation, and perhaps of deep pixels."""
    changes: list[PixelChange] = []
    if orientation > 1:
        changes.append("turned")
    if deep:
        changes.append("scaled")
    return tuple(changes)


def _decode_scaled(data: bytes, rule: PixelRule) -> Decoded | None:
    """Decode a JPEG at the smallest scale that is no smaller than the rule's size, and resize it.

    Returns:
        None if it must be decoded exactly: another format, CMYK, a side that is too short, or
        damage, which Pillow explains.
    """
    if not data.startswith(JPEG_MAGIC):
        return None
    try:
        import cv2
        import simplejpeg
    except ImportError as error:
        raise DlError(
            "Scaled decoding of JPEGs does not work here",
            why=str(error),
            hint="Reinstall the packages simplejpeg and opencv-python-headless, or decode exactly "
            "with `--precision f32`.",
        ) from error
    size = rule.size
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
    orientation = orientation_in(data)
    if rule.version > 1 and orientation > 1:
        pixels = upright(pixels, orientation)
    # bilinear uses only 2 pixels a side; stronger reduction averages all of them
    near = max(pixels.shape[:2]) <= 1.5 * size
    how = cv2.INTER_LINEAR if near else cv2.INTER_AREA
    resized = cv2.resize(pixels, (size, size), interpolation=how)
    return Decoded(resized, changes_by(orientation, deep=False))


@dataclass(frozen=True)
class Batch:
    """Consecutive images of a list.

    Args:
        start: the first image's place in the list.
        pixels: array of shape (n, size, size, 3), uint8.
        unreadable: images that can't be decoded; `pixels` has no rows for them.
        count: the number of images, unreadable ones included.
        changes: path -> what version 2 of the rule does to the image; the others are left out.
    """

    start: int
    pixels: np.ndarray
    unreadable: tuple[UnreadableImage, ...]
    count: int
    changes: Mapping[str, tuple[PixelChange, ...]] = field(default_factory=dict)


def read_batches(
    root: Path, paths: Sequence[str], rule: PixelRule, batch_size: int, workers: int
) -> Generator[Batch, None, None]:
    """Decode images ahead of their use, in order.

    Args:
        root: the folder that `paths` are relative to.
        paths: the images, in order.
        batch_size: images per batch; the last one may be smaller.
        workers: threads. The decoders release Python's lock, so that threads run in parallel.

    Yields:
        batches, in order; only a few per thread are in memory. Closing the generator ends the
        threads.
    """

    def load(start: int) -> Batch:
        import numpy as np

        chunk = paths[start : start + batch_size]
        pixels = np.empty((len(chunk), rule.size, rule.size, 3), np.uint8)
        unreadable, changed, row = [], {}, 0
        for path in chunk:
            try:
                pixels[row], changes = decode(root / path, rule)
                row += 1
            except UnreadableImage as error:
                unreadable.append(error)
                continue
            if changes:
                changed[path] = changes
        return Batch(start, pixels[:row], tuple(unreadable), len(chunk), changed)

    # Pillow warns about damaged EXIF blocks, which count as none. The filter is for the whole
    # process, because `catch_warnings` does not work with threads.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    yield from work_ahead(load, range(0, len(paths), batch_size), workers)


def work_ahead(
    work: Callable[[int], Batch], starts: Iterable[int], workers: int
) -> Generator[Batch, None, None]:
    """Run `work` on threads, a little ahead of the consumer; yields results in order."""
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
    """The error for a split or photos of which no image can be read."""
    why = f"{first}; and so on" if count > 1 else str(first)
    return DlError(f"No image of {what} can be read", why=why)


def named(unreadable: Sequence[UnreadableImage]) -> str:
    """The images that can't be read, one line each; of many only the first."""
    lines = [f"  {error}" for error in unreadable[:MOST_NAMED]]
    if len(unreadable) > MOST_NAMED:
        lines.append(f"  ... and {len(unreadable) - MOST_NAMED:,} more")
    return "\n".join(lines)


def refuse_unreadable(unreadable: Sequence[UnreadableImage]) -> None:
    """Refuse images that can't be read.

    Raises:
        DlError: there is at least one; names them.
    """
    if not unreadable:
        return
    raise DlError(
        f"{words.count(len(unreadable), 'image')} can't be read:\n{named(unreadable)}",
        hint="Remove or replace them, or leave them out with `--on-error skip`.",
    )

"""Files to pixels: every kind of image, and every kind of damage."""

from __future__ import annotations

import os
import struct
import sys
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.children import become_nobody, forked
from support.pictures import picture

from dlcli.errors import DlError
from dlcli.images.pixels import PixelRule, UnreadableImage, load_pixels, refuse_unreadable

EXACT, SCALED = PixelRule(32), PixelRule(32, "scaled")


@pytest.fixture
def photo(tmp_path: Path) -> Callable[..., Path]:
    """Saves a picture: `photo("x.jpg", size=80, format="JPEG", mode="L")`."""

    def save(name: str, *, size: int = 80, mode: str = "RGB", **options: object) -> Path:
        path = tmp_path / name
        picture(0, 1, size).convert(mode).save(path, **options)  # type: ignore[arg-type]
        return path

    return save


def reason_of(path: Path, rule: PixelRule = SCALED) -> str:
    with pytest.raises(UnreadableImage) as caught:
        load_pixels(path, rule)
    assert caught.value.path == path
    return caught.value.reason


@pytest.mark.parametrize("rule", [EXACT, SCALED], ids=str)
@pytest.mark.parametrize(
    "name", ["a.jpg", "a.JPEG", "a.png", "a.gif", "a.bmp", "a.webp", "a.tif", "a.TIFF"]
)
def test_every_format_becomes_rgb_of_the_size_asked_for(
    photo: Callable[..., Path], name: str, rule: PixelRule
) -> None:
    pixels = load_pixels(photo(name), rule)
    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8
    wanted = np.asarray(picture(0, 1, 80).resize((32, 32), Image.Resampling.BILINEAR), np.int16)
    assert np.abs(pixels - wanted).mean() < 16  # a GIF has 256 colours, a JPEG its blocks


@pytest.mark.parametrize("rule", [EXACT, SCALED], ids=str)
@pytest.mark.parametrize(
    ("mode", "name"),
    [
        *(("1", f"a.{kind}") for kind in ("png", "bmp", "tif")),
        *(("L", f"a.{kind}") for kind in ("jpg", "png", "gif", "webp")),
        *(("P", f"a.{kind}") for kind in ("png", "gif", "bmp")),
        ("LA", "a.png"),
        ("RGBA", "a.png"),
        ("RGBA", "a.webp"),
        ("CMYK", "a.tif"),
        ("CMYK", "a.jpg"),
        ("YCbCr", "a.jpg"),
        ("I;16", "a.png"),
        ("I;16", "a.tif"),
        ("I;16B", "a.tif"),
    ],
)
def test_every_mode_becomes_rgb_that_looks_the_same(
    tmp_path: Path, mode: str, name: str, rule: PixelRule
) -> None:
    left_dark = np.array([[20] * 40 + [230] * 40] * 80, np.uint8)
    path = tmp_path / name
    if mode.startswith("I;16"):
        gray = left_dark.astype(np.uint16) * 257
        order = ">" if mode == "I;16B" else "<"
        Image.frombytes(mode, (80, 80), gray.astype(f"{order}u2").tobytes()).save(path)
    else:
        image = Image.fromarray(left_dark).convert("RGB")
        adaptive = Image.Palette.ADAPTIVE
        image.convert(mode, dither=Image.Dither.NONE, palette=adaptive).save(path)
    pixels = load_pixels(path, rule)
    assert pixels.shape == (32, 32, 3)
    dark, bright = (0, 255) if mode == "1" else (20, 230)
    assert np.abs(pixels[:, :12].astype(int) - dark).max() <= 10
    assert np.abs(pixels[:, -12:].astype(int) - bright).max() <= 10


def test_of_16_bits_the_upper_8_count(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    values = np.array([0, 255, 256, 32768, 65279, 65535], np.uint16)
    Image.fromarray(np.tile(values, (6, 1))).save(path)
    assert load_pixels(path, PixelRule(6))[0, :, 0].tolist() == [0, 0, 1, 128, 254, 255]


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
def test_transparency_is_dropped_not_painted_over(tmp_path: Path) -> None:
    red = np.full((8, 8, 4), (200, 10, 10, 0), np.uint8)
    Image.fromarray(red).save(tmp_path / "rgba.png")
    indexed = Image.fromarray(red[..., :3]).convert("P", palette=Image.Palette.ADAPTIVE)
    indexed.save(tmp_path / "p.png", transparency=bytes([0] * 256))
    for name in ("rgba.png", "p.png"):
        assert load_pixels(tmp_path / name, PixelRule(8))[0, 0].tolist() == [200, 10, 10]


def test_of_an_animation_the_first_frame_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue", "green")]
    for name in ("a.gif", "a.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
        assert load_pixels(tmp_path / name, EXACT)[5, 5].tolist() == [255, 0, 0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2000, 3)])
@pytest.mark.parametrize("rule", [EXACT, SCALED], ids=str)
def test_any_shape_is_made_square(tmp_path: Path, shape: tuple[int, int], rule: PixelRule) -> None:
    for name in ("a.jpg", "a.png"):
        Image.new("RGB", shape, (9, 90, 200)).save(tmp_path / name)
        pixels = load_pixels(tmp_path / name, rule)
        assert pixels.shape == (32, 32, 3)
        assert np.abs(pixels.astype(int) - (9, 90, 200)).max() <= 3


def test_an_image_of_the_size_asked_for_is_not_touched(tmp_path: Path) -> None:
    picture(1, 2, 32).save(tmp_path / "a.png")
    assert np.array_equal(load_pixels(tmp_path / "a.png", EXACT), np.asarray(picture(1, 2, 32)))


@pytest.mark.parametrize("rule", [EXACT, SCALED], ids=str)
@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.jpg", b"", "the file is empty"),
        ("text.jpg", b"This is no picture.\n" * 50, "not an image"),
        ("html.png", b"<!DOCTYPE html><p>404", "not an image"),
        ("zeros.jpg", bytes(5000), "not an image"),
        ("magic.jpg", b"\xff\xd8\xff", "not an image"),
        ("magic.png", b"\x89PNG\r\n\x1a\n", "not an image"),
        ("magic.gif", b"GIF89a", "not an image"),
    ],
)
def test_what_is_no_image_is_unreadable_and_says_why(
    tmp_path: Path, name: str, content: bytes, reason: str, rule: PixelRule
) -> None:
    (tmp_path / name).write_bytes(content)
    assert reason_of(tmp_path / name, rule) == reason


@pytest.mark.parametrize("rule", [EXACT, SCALED], ids=str)
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.bmp", "a.webp", "a.tif"])
def test_an_image_cut_short_is_unreadable(
    photo: Callable[..., Path], name: str, rule: PixelRule
) -> None:
    path = photo(name)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    assert reason_of(path, rule)


def test_broken_chunks_of_a_png_make_it_unreadable(photo: Callable[..., Path]) -> None:
    path = photo("a.png")
    data = path.read_bytes()
    place = data.index(b"IDAT")
    path.write_bytes(data[:place] + b"!\0?\xff" + data[place + 4 :])
    assert reason_of(path) == "not an image"
    path.write_bytes(data[: place + 40] + bytes(40) + data[place + 80 :])
    assert reason_of(path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.webp", "a.tif", "a.avif"])
def test_whatever_bytes_are_damaged_the_image_is_read_or_named(
    photo: Callable[..., Path], name: str
) -> None:
    path = photo(name, size=24)
    data, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(data)
        for place in rng.integers(len(data), size=rng.integers(1, 6)) // rng.choice([1, 1, 10]):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(1, 2 * len(data))])
        for rule in (EXACT, SCALED):
            try:
                assert load_pixels(path, rule).shape == (32, 32, 3)
            except UnreadableImage as error:
                assert error.reason


def bomb_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    zeros = zlib.compress(bytes(1_000_000))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zeros) + chunk(b"IEND", b"")


def bomb_jpeg(photo: bytes, width: int, height: int) -> bytes:
    place = photo.index(b"\xff\xc0") + 5  # the frame's height and width
    return photo[:place] + struct.pack(">HH", height, width) + photo[place + 4 :]


@pytest.mark.parametrize("rule", [EXACT, SCALED], ids=str)
def test_a_decompression_bomb_is_refused_before_it_takes_memory(
    photo: Callable[..., Path], rule: PixelRule
) -> None:
    png, jpeg = photo("a.png"), photo("a.jpg")
    png.write_bytes(bomb_png(100_000, 100_000))
    jpeg.write_bytes(bomb_jpeg(jpeg.read_bytes(), 65_000, 65_000))
    tracemalloc.start()
    try:
        for path in (png, jpeg):
            assert "pixels" in reason_of(path, rule)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_a_file_larger_than_any_image_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "hole.jpg").touch()
    os.truncate(tmp_path / "hole.jpg", 10**13)  # takes no room on the disk
    with pytest.raises(UnreadableImage, match=r"10,000\.0 GB, more than `dl` reads"):
        load_pixels(tmp_path / "hole.jpg", PixelRule(8))


def test_a_folder_or_a_link_to_nowhere_with_an_images_name_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere")
    assert reason_of(tmp_path / "folder.jpg") == "Is a directory"
    assert reason_of(tmp_path / "link.jpg") == "No such file or directory"


@pytest.mark.forks
def test_an_image_that_may_not_be_read_is_unreadable() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        path = Path(folder) / "a.png"
        Image.new("RGB", (8, 8)).save(path)
        Path(folder).chmod(0o755)
        path.chmod(0)

        def look() -> None:
            assert reason_of(path) == "Permission denied"

        assert forked(look, become_nobody) == 0


HOSTILE = ["a b.png", 'it\'s "q".png', "-rf.png", "a\nb.png", "ü 猫.png", "\x1b[31mred.png"]


@pytest.mark.parametrize("name", [*HOSTILE, os.fsdecode(b"caf\xe9.png")])
def test_any_file_name_is_read_and_can_be_shown(photo: Callable[..., Path], name: str) -> None:
    path = photo(name)
    assert load_pixels(path, SCALED).shape == (32, 32, 3)
    path.write_bytes(b"no image")
    with pytest.raises(DlError) as caught:
        refuse_unreadable([UnreadableImage(path, reason_of(path))])
    (line,) = str(caught.value).splitlines()[1:-1]
    assert line.isprintable()
    assert line.endswith(": not an image")


def test_scaled_decoding_moves_pixels_of_a_real_photo_by_little(real_data: Path) -> None:
    folder = real_data / "dogscats-kaggle" / "train"
    rules = PixelRule(224), PixelRule(224, "scaled")
    moved = []
    for path in sorted(folder.iterdir())[:10]:
        exact, scaled = (load_pixels(path, rule).astype(int) for rule in rules)
        moved.append(np.abs(exact - scaled).mean())
    assert 0 < max(moved) < 6


def test_scaled_decoding_never_scales_below_the_size_asked_for(photo: Callable[..., Path]) -> None:
    path = photo("a.jpg", size=600, quality=95)
    for size in (8, 20, 75, 76, 300, 599, 600, 900):
        exact = load_pixels(path, PixelRule(size)).astype(int)
        scaled = load_pixels(path, PixelRule(size, "scaled")).astype(int)
        assert np.abs(exact - scaled).mean() < 8


@pytest.mark.parametrize("case", ["png", "cmyk", "short"])
def test_scaled_decoding_leaves_to_pillow_what_it_can_not_do(
    photo: Callable[..., Path], case: str
) -> None:
    path = photo("a.png" if case == "png" else "a.jpg", mode="CMYK" if case == "cmyk" else "RGB")
    if case == "short":  # one side shorter than what is asked for
        picture(0, 1, 400).crop((0, 0, 400, 31)).save(path)
    assert np.array_equal(load_pixels(path, SCALED), load_pixels(path, EXACT))


@pytest.mark.parametrize("package", ["simplejpeg", "cv2"])
def test_scaled_decoding_never_turns_exact_for_want_of_a_package(
    photo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DlError, match="Scaled decoding of JPEGs does not work here") as caught:
        load_pixels(photo("a.jpg"), SCALED)
    assert package in caught.value.why
    assert "`--precision f32`" in caught.value.hint
    assert load_pixels(photo("b.jpg"), EXACT).shape == (32, 32, 3)

"""Version 2 of the rule for pixels: images upright, and deep pixels neither white nor black."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo
from support.pictures import picture
from support.turned import DEEP, EIGHT, save_deep, save_turned

from dlcli.images.depth import scaled
from dlcli.images.headers import changed_images, changes_sentence, changes_to
from dlcli.images.orientation import is_upright_jpeg
from dlcli.images.pixels import PixelRule, RuleVersion, decode, load_pixels

EXACT, SCALED = PixelRule(32, version=2), PixelRule(32, "scaled", version=2)
OLD = PixelRule(32)
UPRIGHT = picture(1, 3, 90).crop((0, 0, 90, 60))


def pixels_of(path: Path, version: RuleVersion = 2) -> np.ndarray:
    return load_pixels(path, PixelRule(32, version=version))


# Orientation


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_the_eight_orientations_of_an_image_give_the_same_pixels(
    tmp_path: Path, suffix: str
) -> None:
    wanted = np.asarray(UPRIGHT.resize((32, 32), Image.Resampling.BILINEAR))
    for orientation in EIGHT:
        path = save_turned(UPRIGHT, tmp_path / f"{orientation}.{suffix}", orientation)
        assert np.array_equal(pixels_of(path), wanted)
        assert np.array_equal(load_pixels(path, SCALED), wanted)
        changes = ("turned",) if orientation > 1 else ()
        assert decode(path, EXACT).changes == decode(path, OLD).changes == changes
        assert changes_to(path) == changes


@pytest.mark.parametrize("rule", [EXACT, SCALED], ids=["exact", "scaled"])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_the_eight_orientations_of_a_jpeg_look_the_same(
    tmp_path: Path, rule: PixelRule, mode: str
) -> None:
    wanted = np.asarray(UPRIGHT.convert(mode).convert("RGB").resize((32, 32)), np.int16)
    for orientation in EIGHT:
        path = save_turned(UPRIGHT.convert(mode), tmp_path / f"{orientation}.jpg", orientation)
        assert np.abs(load_pixels(path, rule) - wanted).mean() < 12
        changes = ("turned",) if orientation > 1 else ()
        assert decode(path, rule).changes == changes_to(path) == changes


@pytest.mark.parametrize("decoding", ["exact", "scaled"])
def test_by_version_1_an_image_stays_as_it_is_stored(tmp_path: Path, decoding: str) -> None:
    plain = save_turned(UPRIGHT, tmp_path / "plain.jpg", 1)
    marked = tmp_path / "marked.jpg"
    data = plain.read_bytes()
    tag = b"\1\x12\0\3\0\0\0\1\0"  # orientation, a short, one of it
    assert tag + b"\1" in data
    marked.write_bytes(data.replace(tag + b"\1", tag + b"\6"))
    before, now = (PixelRule(32, decoding, version) for version in (1, 2))  # type: ignore[arg-type]
    stored = load_pixels(plain, before)
    assert np.array_equal(load_pixels(marked, before), stored)
    turned = load_pixels(marked, now).astype(int)
    assert np.abs(turned - np.rot90(stored, -1)).max() <= 1


def test_exif_behind_the_pixels_of_a_png_counts(tmp_path: Path) -> None:
    path = save_turned(UPRIGHT, tmp_path / "a.png", 6)
    data = path.read_bytes()
    place = data.index(b"eXIf") - 4
    length = 12 + int.from_bytes(data[place : place + 4])
    end = len(data) - 12
    path.write_bytes(data[:place] + data[place + length : end] + data[place : place + length])
    with path.open("ab") as file:
        file.write(data[end:])
    assert decode(path, EXACT).changes == changes_to(path) == ("turned",)
    assert np.array_equal(pixels_of(path), np.asarray(UPRIGHT.resize((32, 32), 2)))


def test_a_png_with_other_texts_is_not_decoded_to_tell(tmp_path: Path) -> None:
    texts = PngInfo()
    texts.add_text("date:create", "2026-11-29")
    UPRIGHT.save(tmp_path / "plain.png", pnginfo=texts)
    data = (tmp_path / "plain.png").read_bytes()
    place = data.index(b"IDAT") + 20
    (tmp_path / "plain.png").write_bytes(data[:place] + bytes(9) + data[place + 9 :])
    assert changes_to(tmp_path / "plain.png") == ()
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>'
    texts.add_itxt("XML:com.adobe.xmp", xmp)
    UPRIGHT.save(tmp_path / "xmp.png", pnginfo=texts)
    assert decode(tmp_path / "xmp.png", EXACT).changes == ("turned",)
    assert changes_to(tmp_path / "xmp.png") == ("turned",)


def test_a_deep_png_without_exif_is_not_decoded_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(path)
    monkeypatch.setattr(PngImageFile, "load", None)
    assert changes_to(path) == ("scaled",)


@pytest.mark.parametrize("value", [0, 1, 9, 300])
def test_a_value_that_is_no_orientation_turns_nothing(tmp_path: Path, value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    UPRIGHT.save(tmp_path / "a.jpg", exif=exif)
    assert decode(tmp_path / "a.jpg", EXACT).changes == ()
    assert np.array_equal(pixels_of(tmp_path / "a.jpg"), pixels_of(tmp_path / "a.jpg", 1))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_damaged_exif_makes_no_image_unreadable(tmp_path: Path, suffix: str) -> None:
    path = save_turned(UPRIGHT, tmp_path / f"a.{suffix}", 6)
    data, rng = path.read_bytes(), np.random.default_rng(0)
    start = max(data.find(b"Exif\0\0"), data.find(b"eXIf"), data.find(b"EXIF"))
    for _ in range(60):
        damaged = bytearray(data)
        for place in start + rng.integers(4, 30, size=4):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            Image.open(path).load()
        except (OSError, SyntaxError):  # a checksum of a PNG
            continue
        for rule in (EXACT, SCALED):
            assert decode(path, rule).changes == changes_to(path)


def test_a_jpeg_without_a_segment_for_exif_is_not_opened_twice(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    UPRIGHT.save(buffer, "jpeg", icc_profile=b"\xff\xe1" * 400)
    plain = buffer.getvalue()
    assert is_upright_jpeg(plain)
    turned = save_turned(UPRIGHT, tmp_path / "a.jpg", 6).read_bytes()
    assert not is_upright_jpeg(turned)
    for length in (0, 2, 3, 30):  # too short to tell
        assert not is_upright_jpeg(plain[:length])


# Depth


@pytest.mark.parametrize("kind", DEEP)
def test_deep_pixels_look_like_the_same_in_8_bits(tmp_path: Path, kind: str) -> None:
    grey = np.asarray(UPRIGHT.convert("L"))
    path = save_deep(grey, tmp_path / "a.tif", kind)
    wanted = Image.fromarray(grey).resize((32, 32), Image.Resampling.BILINEAR)
    for rule in (EXACT, SCALED):
        pixels, changes = decode(path, rule)
        assert np.abs(pixels[..., 0].astype(int) - np.asarray(wanted)).max() <= 1
        assert changes == changes_to(path) == ("scaled",)
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("bands", [3, 4])
def test_deep_colours_look_like_the_same_in_8_bits(tmp_path: Path, bits: int, bands: int) -> None:
    colours = np.asarray(UPRIGHT)
    deep = colours.astype(np.uint16) * (257 if bits == 16 else 16)
    if bands == 4:
        deep = np.dstack([deep, np.zeros(deep.shape[:2], np.uint16)])  # all of it transparent
    path = tmp_path / "a.png"
    path.write_bytes(png_of_16_bits(deep))
    wanted = np.asarray(UPRIGHT.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(pixels_of(path), wanted)
    assert decode(path, EXACT).changes == changes_to(path) == ("scaled",)


def test_a_deep_image_is_turned_too(tmp_path: Path) -> None:
    turned = np.asarray(UPRIGHT.convert("L").transpose(Image.Transpose.ROTATE_90))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(turned.astype(np.uint16) * 257).save(tmp_path / "a.png", exif=exif)
    assert changes_to(tmp_path / "a.png") == ("turned", "scaled")
    wanted = np.asarray(UPRIGHT.convert("L").resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(pixels_of(tmp_path / "a.png")[..., 0], wanted)


def test_cmyk_of_16_bits_is_cut_to_8_without_a_word_of_opencv(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    eight = np.asarray(UPRIGHT.convert("CMYK"))
    height, width, bands = eight.shape
    data = (eight.astype("<u2") * 257).tobytes()
    bits = struct.pack("<4H", 16, 16, 16, 16)
    # size, bits, no compression, CMYK, place, bands, rows, bytes
    tags = [(256, width), (257, height), (258, 8 + len(data)), (259, 1), (262, 5), (273, 8)]
    tags += [(277, bands), (278, height), (279, len(data))]
    entries = b"".join(
        struct.pack("<HHII", tag, 3 if tag == 258 else 4, 4 if tag == 258 else 1, value)
        for tag, value in tags
    )
    head = struct.pack("<2sHI", b"II", 42, 8 + len(data) + len(bits))
    count = struct.pack("<H", len(tags))
    (tmp_path / "a.tif").write_bytes(head + data + bits + count + entries + bytes(4))
    wanted = Image.fromarray(eight, "CMYK").convert("RGB").resize((32, 32), 2)
    assert np.array_equal(pixels_of(tmp_path / "a.tif"), np.asarray(wanted))
    assert decode(tmp_path / "a.tif", EXACT).changes == ("scaled",)
    assert capfd.readouterr() == ("", "")


def png_of_16_bits(pixels: np.ndarray) -> bytes:
    height, width, bands = pixels.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[bands], 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("values", "kind", "wanted"),
    [
        ([0, 255, 256, 65535], "u2", [0, 0, 1, 255]),
        ([0, 16, 4095], "u2", [0, 1, 255]),  # 12 bits
        ([0, 1, 200], "u2", [0, 1, 200]),  # 8 bits
        ([0, 4, 1000], "u4", [0, 1, 250]),  # 10 bits
        ([0, 2**31, 2**32 - 1], "u4", [0, 128, 255]),
        ([0, 128, 32767], "i2", [0, 1, 255]),  # 15 bits, all that int16 has
        ([-1024, 0, 3072], "i2", [0, 64, 255]),  # from minimum to maximum
        ([-(2**31), 2**31 - 1], "i4", [0, 255]),
        ([0.0, 0.5, 1.0], "f4", [0, 128, 255]),
        ([0.0, 0.1], "f4", [0, 26]),
        ([0.0, 3.0, 200.0], "f4", [0, 3, 200]),
        ([-1.0, 0.0, 1.0], "f4", [0, 128, 255]),
        ([0.5, 5.5, 10.5], "f4", [0, 128, 255]),
        ([-3e38, 3e38], "f4", [0, 255]),
        ([-1e308, 1e308], "f8", [0, 255]),
        ([np.nan, 0.0, 1.0, np.inf, -np.inf], "f4", [0, 0, 255, 255, 0]),
        ([np.nan, np.inf], "f4", [128, 128]),
        ([7.5, 7.5], "f4", [128, 128]),
        ([-5, -5], "i2", [128, 128]),
    ],
    ids=str,
)
def test_numbers_become_bytes_by_the_stated_rule(
    values: list[float], kind: str, wanted: list[int]
) -> None:
    assert scaled(np.array([values], kind)).tolist() == [wanted]


def test_a_declared_depth_counts_whatever_the_maximum(tmp_path: Path) -> None:
    assert scaled(np.array([[0, 16, 100]], np.uint16), 12).tolist() == [[0, 1, 6]]
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 1023\n" + np.array([4, 1023], ">u2").tobytes())
    assert load_pixels(tmp_path / "a.pgm", PixelRule(2, version=2))[0, :, 0].tolist() == [1, 255]


def test_whole_floats_have_no_declared_depth(tmp_path: Path) -> None:
    values = np.array([0, 3, 200], "<f4").tobytes()
    (tmp_path / "a.pfm").write_bytes(b"Pf\n3 1\n-1.0\n" + values)
    assert load_pixels(tmp_path / "a.pfm", PixelRule(3, version=2))[0, :, 0].max() == 200


# What is said, and what is told by headers alone


def test_headers_tell_nothing_of_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0\0")
    names = [path.name for path in tmp_path.iterdir()]
    assert changed_images(tmp_path, [*names, "gone.jpg"]) == {}


def test_it_is_said_how_many_are_turned_and_scaled() -> None:
    assert changes_sentence({}) == ""
    one = {"a": ("turned",)}
    assert changes_sentence(one) == "1 image is turned upright, as EXIF says."
    turned, scaled = changes_sentence(one | {"b": ("turned", "scaled")}).split("; ")
    assert turned == "2 images are turned upright, as EXIF says"
    assert scaled == "1 image of more than 8 bits is scaled to 8 bits."


def test_the_rule_says_in_words_what_it_does_and_version_1_is_described_as_before() -> None:
    assert OLD.describe() == {"size": 32, "decode": "exact"}
    assert EXACT.describe() == {"size": 32, "decode": "exact", "version": 2}
    assert "EXIF" not in str(OLD)
    for rule in (EXACT, SCALED):
        assert "turned upright by the EXIF orientation" in str(rule)
        assert "more than 8 bits scaled to 8" in str(rule)

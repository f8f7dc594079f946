"""Small pictures of whatever lies in a dataset."""

import base64
import io
import os

import pytest
from PIL import Image

from dlcli.report.photos.thumbnails import SIDE, thumbnail, thumbnails


def save(path, size=(400, 300), mode="RGB", colour=None, **options):
    Image.new(mode, size, colour).save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "1", "I;16"])
def test_any_picture_becomes_a_small_rgb_one_with_its_shape(tmp_path, mode):
    path = save(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"), mode=mode)
    picture = thumbnail(path)
    assert picture.readable
    assert (picture.image.mode, picture.image.size) == ("RGB", (SIDE, SIDE * 3 // 4))
    assert picture.uri.startswith("data:image/jpeg;base64,")


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    picture = thumbnail(save(tmp_path / "a.png", mode="I;16", colour=32768))
    assert picture.image.getpixel((0, 0)) == (128, 128, 128)


def test_a_picture_is_shown_as_the_network_saw_it(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me by 90 degrees"
    path = save(tmp_path / "a.jpg", exif=exif)
    assert thumbnail(path, version=1).image.size == (SIDE, SIDE * 3 // 4)
    assert thumbnail(path, version=2).image.size == (SIDE * 3 // 4, SIDE)


def test_a_tiny_picture_keeps_every_pixel(tmp_path):
    path = tmp_path / "digit.png"
    Image.effect_noise((8, 8), 80).save(path)
    picture = thumbnail(path)
    kind, data = picture.uri.split(";base64,")
    assert picture.tiny
    assert kind == "data:image/png"
    decoded = Image.open(io.BytesIO(base64.b64decode(data)))
    assert decoded.tobytes() == Image.open(path).convert("RGB").tobytes()


def no_file(path):
    pass


def empty(path):
    path.touch()


def text(path):
    path.write_text("not a picture")


def folder(path):
    path.mkdir()


def cut(path):
    Image.effect_noise((300, 300), 90).save(path)
    os.truncate(path, 2000)


def broken_png(path):
    Image.effect_noise((30, 30), 90).save(path, "png")
    data = bytearray(path.read_bytes())
    data[40] ^= 255
    path.write_bytes(data)


def bomb(path):
    path.write_bytes(b"BM" + bytes(16) + (30000).to_bytes(4, "little") * 2 + bytes(28))


@pytest.mark.parametrize("spoil", [no_file, empty, text, folder, cut, broken_png, bomb])
def test_what_is_no_picture_gets_a_placeholder(tmp_path, spoil):
    spoil(tmp_path / "a.jpg")
    picture = thumbnail(tmp_path / "a.jpg")
    assert not picture.readable
    assert picture.image.size == (SIDE, SIDE)


def test_a_name_that_no_file_can_have_gets_a_placeholder(tmp_path):
    assert not thumbnail(tmp_path / "a\0b.jpg").readable


def test_each_sample_gets_its_own_picture_once(tmp_path):
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        save(tmp_path / name, (80, 80), colour=colour)
    pictures = thumbnails(tmp_path, ["a.png", "gone.png", "b.png"], [2, 0, 2])
    assert {i: p.image.getpixel((0, 0)) for i, p in pictures.items()} == {
        0: (255, 0, 0),
        2: (0, 0, 255),
    }

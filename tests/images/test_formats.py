"""Which files are images, and why others are not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from PIL import Image
from support.pictures import picture

from dlcli.images import formats
from dlcli.images.formats import fault_of, has_usual_suffix, is_image, left_out
from dlcli.images.pixels import PixelRule, UnreadableImage, load_pixels

# Suffixes whose formats Pillow only writes, or reads with the help of another program.
NOT_READ = {".palm", ".pdf", ".eps", ".ps"}
# Formats whose first bytes may be those of any file: their suffix is needed.
BY_SUFFIX = {"TGA", "IM", "XBM"}


@pytest.fixture(scope="module")
def heic(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    file = tmp_path_factory.mktemp("heic") / "a.heic"
    picture(0, 1).save(file)
    return file.read_bytes()


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.Png", "a.gif", "a.jfif", "a.JPE", "a.TIFF"])
def test_an_image_is_known_by_a_usual_suffix_in_any_case(tmp_path: Path, name: str) -> None:
    assert has_usual_suffix(name)
    assert is_image(tmp_path / name), "without being opened"


@pytest.mark.parametrize("name", ["a.txt", "jpg", "a.jpg.zip", "a", "a.csv", "a.heic"])
def test_other_suffixes_are_not_usual(name: str) -> None:
    assert not has_usual_suffix(name)


def test_what_pillow_reads_is_an_image_under_any_name(tmp_path: Path) -> None:
    Image.init()
    for suffix, kind in sorted(Image.EXTENSION.items()):
        if kind not in Image.SAVE or kind not in Image.OPEN or suffix in NOT_READ:
            continue
        file = tmp_path / f"a{suffix}"
        for mode in ("RGB", "P", "1"):
            try:
                picture(0, 1).convert(mode).save(file, format=kind)
                break
            except (OSError, ValueError):
                continue
        else:
            continue
        assert fault_of(file) == "", suffix
        load_pixels(file, PixelRule(8))
        if kind not in BY_SUFFIX:
            other = file.rename(tmp_path / f"{kind}-{suffix[1:]}")
            assert fault_of(other) == "", suffix


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.heic", b"", "empty"),
        ("notes", b"cats are better", "text"),
        ("caf", "é".encode() * 66, "text"),
        ("bmw.md", b"BMW builds cars", "text"),
        ("a.bin", bytes(range(256)), "not an image"),
        ("zeros", bytes(1000), "not an image"),
        ("a.zip", b"PK\3\4\0\0\0", "not an image"),
        ("x", bytes(128) + b"DICM\2\0", "DICOM"),
        ("x.dcm", b"anything", "DICOM"),
        ("train.tfrec", b"\x10\0\0\0", "TFRecord"),
        ("train.bson", b"\x10\0\0\0", "BSON"),
        ("raw.nef", b"MM\0*\0\0\0\x08", "camera raw"),
        ("a.MP4", b"\0\0\0\x18ftypmp42", "video"),
        ("a.svg", b"<svg/>", "SVG"),
        ("gone", None, "No such file or directory"),
    ],
)
def test_other_files_say_what_they_are(
    tmp_path: Path, name: str, content: bytes | None, fault: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert fault_of(tmp_path / name) == fault


@pytest.mark.parametrize("name", ["a.heic", "a.jpg", "a"])
def test_heic_is_read(tmp_path: Path, heic: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(heic)
    assert fault_of(tmp_path / name) == ""
    pixels = load_pixels(tmp_path / name, PixelRule(48)).astype(int)
    (tmp_path / "a.png").write_bytes(b"")
    picture(0, 1).save(tmp_path / "a.png")
    assert abs(pixels - load_pixels(tmp_path / "a.png", PixelRule(48))).mean() < 12


def test_without_its_package_heic_is_left_out_and_the_package_is_named(
    tmp_path: Path, heic: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    formats.heic_fault.cache_clear()
    try:
        (tmp_path / "a.HEIC").write_bytes(heic)
        (tmp_path / "a.jpg").write_bytes(heic)
        said = left_out([tmp_path / "a.HEIC"])
        assert said.startswith("1 file is not an image and was left out: 1 .heic (HEIC; to read")
        assert "-m pip install 'pillow-heif<2,>=" in said
        with pytest.raises(UnreadableImage, match="pip install 'pillow-heif"):
            load_pixels(tmp_path / "a.jpg", PixelRule(8))
    finally:
        formats.heic_fault.cache_clear()


def test_files_are_counted_by_suffix_and_reason(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.MP4", "c.txt", "d", "e.bin"):
        (tmp_path / name).write_bytes(b"\1\2\0" if name == "e.bin" else b"text")
    assert left_out(tmp_path / name for name in ("a.mp4", "b.MP4", "c.txt", "d", "e.bin")) == (
        "5 files are not images and were left out: 2 .mp4 (video), 1 .txt (text), "
        "1 without suffix (text), 1 .bin."
    )
    assert left_out([]) == ""


@pytest.mark.timeout(20)  # reading the pipe would wait for ever
def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert fault_of(tmp_path / "pipe.jpg") == "not a regular file"
    with pytest.raises(UnreadableImage, match="not a regular file"):
        load_pixels(tmp_path / "pipe.jpg", PixelRule(8))

"""Archives that are damaged, cut, or none: told in words, and nothing of them stays."""

from __future__ import annotations

import gzip
import os
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from support.archives import packed, tarred, with_declared_size, zipped
from support.small_folders import KAGGLE
from support.unpacked import every_kind, refused, unpacked
from torture import hostile_archives

from dlcli.errors import DlError


@pytest.mark.parametrize("size", [3, 40])
def test_a_member_that_declares_another_size_is_damaged(tmp_path: Path, size: int) -> None:
    path = with_declared_size(zipped(tmp_path / "a.zip", {"cat.jpg": b"0123456789"}), size)
    with pytest.raises(DlError, match=r"a.zip is damaged, in `cat.jpg`"):
        unpacked(path, tmp_path / "out")


def test_a_changed_byte_is_found_and_its_file_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:  # stored
        archive.writestr("cat.1.jpg", b"miau")
    path.write_bytes(path.read_bytes().replace(b"miau", b"wuff"))
    with pytest.raises(DlError, match=r"in `cat.1.jpg`: Bad CRC-32") as error:
        unpacked(path, tmp_path / "out")
    assert "Download it again" in error.value.hint


@every_kind
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.999])
def test_a_cut_archive_is_to_be_downloaded_again(tmp_path: Path, name: str, share: float) -> None:
    files = {f"train/{i}.jpg": random.Random(i).randbytes(2000) for i in range(20)}
    path = packed(tmp_path / name, files)
    size = path.stat().st_size
    os.truncate(path, int(size * share) if name != "pets.tar" else int(20 * 2560 * share))
    error = refused(path, tmp_path / "out", "is damaged|is not an archive")
    assert "Download it again." in error.hint


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><title>Sign in", "a web page, perhaps because the download"),
        (b"hello", "not that of a zip or tar"),
        (b"Rar!\x1a\x07\x01\x00", "is a rar archive"),
        (b"7z\xbc\xaf\x27\x1c", "is a 7z archive"),
        pytest.param(gzip.compress(b"id,label\n1,cat\n", mtime=0), "is damaged", id="gzip"),
    ],
)
def test_what_is_no_archive_is_told_apart(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    assert says in str(refused(tmp_path / "a.zip", tmp_path / "out", says.partition(",")[0]))


def test_the_content_decides_what_it_is(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar.gz", KAGGLE).rename(tmp_path / "a.zip")
    assert unpacked(path, tmp_path / "out") == KAGGLE


def test_headers_that_claim_nonsense_end(tmp_path: Path) -> None:
    header = tarfile.TarInfo("a.jpg")
    header.size = -512
    negative = header.tobuf(tarfile.GNU_FORMAT)
    header.size, header.type = 1 << 40, tarfile.GNUTYPE_LONGNAME
    endless = header.tobuf(tarfile.GNU_FORMAT)
    header.size, header.type = 0, tarfile.XHDTYPE
    nested = header.tobuf(tarfile.GNU_FORMAT) * 5000
    for number, content in enumerate((negative, endless, nested)):
        path = tmp_path / f"{number}.tar"
        path.write_bytes(content + bytes(2048))
        refused(path, tmp_path / "out", "is damaged")


@pytest.mark.parametrize("name", ["pets.zip", "pets.tar", "pets.tar.gz"])
def test_damage_of_any_kind_is_told_in_words(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    base = tmp_path_factory.mktemp("fuzz")
    whole = packed(base / name, KAGGLE).read_bytes()

    @examples(max_examples=150)
    @given(changes(len(whole)))
    def damage(change: Callable[[bytearray], Any]) -> None:
        data = bytearray(whole)
        change(data)
        (base / name).write_bytes(data)
        out = base / "out"
        try:
            made = unpacked(base / name, out)
        except DlError as error:
            assert error.hint
        else:
            # times and modes have no checksum in a zip; what a tar holds has none at all
            assert name != "pets.zip" or set(made.values()) <= set(KAGGLE.values())
        for file in sorted(out.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        if out.exists():
            out.rmdir()
        assert {file.name for file in base.iterdir()} == {name}

    damage()


def changes(size: int) -> st.SearchStrategy[Callable[[bytearray], Any]]:
    """A few bytes set to others, or the end cut off."""
    places = st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, 255)), max_size=4)
    cut = st.one_of(st.none(), st.integers(0, size))

    def change(places: list[tuple[int, int]], cut: int | None) -> Callable[[bytearray], Any]:
        def apply(data: bytearray) -> None:
            for place, value in places:
                data[place] = value
            del data[cut if cut is not None else len(data) :]

        return apply

    return st.builds(change, places, cut)


def test_hostile_archives_are_refused_in_words_or_stay_in_their_folder(tmp_path: Path) -> None:
    for seed in range(150):
        hostile_archives.try_one(random.Random(seed), tmp_path)

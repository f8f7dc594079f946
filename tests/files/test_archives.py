"""What archives give, and what they must not do: nothing of an attack is ever written."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from support.archives import (
    SECONDS,
    encrypted,
    packed,
    tar_of,
    tarred,
    times_of,
    twice,
    with_declared_size,
    zip_of_link,
    zipped,
    zipped_as_is,
)
from support.small_folders import KAGGLE, tree
from support.unpacked import every_kind, refused, unpacked

from dlcli.errors import DlError
from dlcli.files import archive_members, archives, atomic
from dlcli.files.archive_members import Budget
from dlcli.files.archives import brief, open_archive, without_suffix


@every_kind
def test_what_was_packed_is_unpacked_with_its_times(tmp_path: Path, name: str) -> None:
    assert unpacked(packed(tmp_path / name, KAGGLE), tmp_path / "out") == KAGGLE
    if name != "pets.zip":
        assert times_of(tmp_path / "out") == {SECONDS}


def test_progress_names_what_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, real = [], archives.track
    monkeypatch.setattr(archives, "track", lambda *what: (seen.append(what), real(*what))[1])
    unpacked(packed(tmp_path / "pets.zip", KAGGLE), tmp_path / "out")
    assert seen == [("unpack pets.zip:", len(KAGGLE), "files")]


def test_a_long_name_is_cut_where_progress_shows_it() -> None:
    assert brief("dogs-vs-cats-redux.zip") == "dogs-vs-cats-redux.zip"
    assert brief("dogs-vs-cats-redux-kernels-edition.zip") == "dogs-vs-cats...edition.zip"


def test_a_zips_times_are_local_or_where_it_says_so_utc(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.jpg": b"a"})
    unpacked(path, tmp_path / "local")
    (local,) = times_of(tmp_path / "local")
    assert abs(local - SECONDS) <= 14 * 3600
    info = zipfile.ZipInfo("a.jpg")
    info.extra = b"UT\x05\x00\x01" + SECONDS.to_bytes(4, "little")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, b"a")
    unpacked(path, tmp_path / "utc")
    assert times_of(tmp_path / "utc") == {SECONDS}


@every_kind
def test_odd_names_survive(tmp_path: Path, name: str) -> None:
    odd = ["a b", "-rf", "'\"", "new\nline", "猫", "#{}%", "a,b", "été", "*?", "x:y"]
    files = {f"train/{each}.{i}.jpg": os.fsencode(each) for i, each in enumerate(odd)}
    assert unpacked(packed(tmp_path / name, files), tmp_path / "out") == files


@pytest.mark.parametrize(
    ("raw", "system", "name"),
    [
        ("été.jpg".encode("cp437"), 0, "été.jpg"),
        ("été.jpg".encode("cp437"), 3, os.fsdecode(b"\x82t\x82.jpg")),
        ("été.jpg".encode(), 3, "été.jpg"),
        (b"\xff\xfe.jpg", 3, os.fsdecode(b"\xff\xfe.jpg")),
        (b"train\\a.jpg", 0, "train/a.jpg"),
    ],
)
def test_names_of_zips_that_tell_no_encoding(
    tmp_path: Path, raw: bytes, system: int, name: str
) -> None:
    path = zipped_as_is(tmp_path / "a.zip", raw, system=system)
    assert unpacked(path, tmp_path / "out") == {name: b"content"}


def test_a_tars_name_that_is_no_utf_8_survives(tmp_path: Path) -> None:
    files = {os.fsdecode(b"\xff\xfe.jpg"): b"odd"}
    assert unpacked(tarred(tmp_path / "a.tar", files), tmp_path / "out") == files


@every_kind
def test_what_is_hidden_or_a_macs_own_is_left_out(tmp_path: Path, name: str) -> None:
    junk = {"__MACOSX/train/._cat.0.jpg": b"m", ".DS_Store": b"d", "train/.x/1.jpg": b"h"}
    assert unpacked(packed(tmp_path / name, KAGGLE | junk), tmp_path / "out") == KAGGLE


@every_kind
def test_a_name_may_begin_with_a_dot_and_slash(tmp_path: Path, name: str) -> None:
    files = {f"./{path}": content for path, content in KAGGLE.items()}
    assert unpacked(packed(tmp_path / name, files), tmp_path / "out") == KAGGLE


ESCAPES = (
    "../evil.jpg",
    "train/../../evil.jpg",
    "/tmp/evil.jpg",
    "//evil.jpg",
    "a/..",
    "C:evil.jpg",
    "c:/evil.jpg",
    "..\\evil.jpg",
    "a\\..\\..\\evil.jpg",
    "../.hidden",
)


@every_kind
@pytest.mark.parametrize("escape", ESCAPES)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str, escape: str) -> None:
    path = packed(tmp_path / "a" / "b" / name, KAGGLE | {escape: b"evil"})
    before = tree(tmp_path, hidden=True)
    error = refused(path, tmp_path / "a" / "b" / "out", "is not unpacked")
    assert "in it would be outside" in error.why or "is not a valid file name" in error.why
    assert tree(tmp_path, hidden=True) == before
    assert not Path("/tmp/evil.jpg").exists()


def test_a_nul_in_a_name_is_refused(tmp_path: Path) -> None:
    refused(
        zipped_as_is(tmp_path / "a.zip", b"a.jpg\0.exe"), tmp_path / "out", "not a valid file name"
    )


@pytest.mark.parametrize("name", ["x" * 300 + ".jpg", "a/" * 2000 + "1.jpg"])
def test_a_name_that_no_disk_takes_is_refused(tmp_path: Path, name: str) -> None:
    refused(zipped(tmp_path / "a.zip", {name: b""}), tmp_path / "out", "is too long")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, b"?"]
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    refused(tar_of(tmp_path / "a.tar", kind), tmp_path / "out", "is a link or a device")


def test_a_zips_links_are_refused(tmp_path: Path) -> None:
    refused(zip_of_link(tmp_path / "a.zip"), tmp_path / "out", "is a link or a device")


@every_kind
def test_a_name_that_is_a_file_and_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / name, {"train": b"file", "train/cat.1.jpg": b"cat"})
    refused(path, tmp_path / "out", "`train` in it is both a file and a folder")


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    refused(twice(tmp_path / "a.zip"), tmp_path / "out", "`a.jpg` is in it twice")


def test_an_encrypted_zip_is_said_to_be_one(tmp_path: Path) -> None:
    error = refused(encrypted(tmp_path / "a.zip"), tmp_path / "out", "can't be unpacked here")
    assert "`cat.1.jpg` in it is encrypted and needs a password" in error.why


@pytest.mark.parametrize("name", ["pets.zip", "pets.tgz"])
def test_what_would_grow_beyond_reason_is_refused(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / name, {f"{i}.jpg": bytes(21_000_000) for i in range(5)})
    assert "more than 200 times its size" in refused(path, tmp_path / "out", "not unpacked").why


def test_a_zip_that_is_said_to_be_huge_is_refused(tmp_path: Path) -> None:
    path = with_declared_size(zipped(tmp_path / "a.zip", {"a.jpg": b"a"}), 4_000_000_000)
    refused(path, tmp_path / "out", "more than 200 times its size")


def test_what_the_disk_has_no_room_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = atomic.shutil.disk_usage(tmp_path)._replace(free=5000)
    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda folder: usage)
    path = zipped(tmp_path / "a.zip", {"a.jpg": b"a" * 5000})
    with pytest.raises(DlError, match=r"No room to unpack .*: it needs 8.2 kB, and the disk at /"):
        unpacked(path, tmp_path / "out")
    assert tree(tmp_path / "out") == {}


def test_there_is_a_bound_on_how_many_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_members, "MOST_MEMBERS", 5)
    refused(zipped(tmp_path / "a.zip", KAGGLE), tmp_path / "out", "more than 5 files")


def test_only_the_names_are_made_of_what_is_not_wanted(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", KAGGLE)
    with open_archive(path, Budget(path.stat().st_size)) as archive:
        archive.unpack(tmp_path / "out", lambda name: name.endswith(".csv"))
    made = tree(tmp_path / "out")
    assert made.keys() == KAGGLE.keys()
    assert [name for name, content in made.items() if content] == ["sample_submission.csv"]


@pytest.mark.parametrize(
    ("name", "without"), [("a.zip", "a"), ("a.b.TAR.GZ", "a.b"), ("x.tgz", "x"), ("dir", "dir")]
)
def test_a_name_without_its_suffix(name: str, without: str) -> None:
    assert without_suffix(name) == without

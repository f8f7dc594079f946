"""Archives of a few small files, and of none that anybody should unpack."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

from support.small_folders import Tree

SECONDS = 1_500_000_000


def zipped(path: Path, files: Tree) -> Path:
    """A zip, as Linux makes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(
                zipfile.ZipInfo(name, (2017, 7, 14, 4, 40, 0)), content, zipfile.ZIP_DEFLATED
            )
    return path


def tarred(path: Path, files: Tree) -> Path:
    """A tar, packed as its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    packing = {".gz": "gz", ".tgz": "gz", ".bz2": "bz2", ".xz": "xz"}.get(path.suffix, "")
    with tarfile.open(path, f"w:{packing}") as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), SECONDS
            archive.addfile(info, io.BytesIO(content))
    return path


def packed(path: Path, files: Tree) -> Path:
    """A zip or a tar, as the name says."""
    return (zipped if path.suffix == ".zip" else tarred)(path, files)


def zipped_as_is(path: Path, name: bytes, *, system: int = 3, mode: int = 0) -> Path:
    """A zip of one file whose name is just these bytes, without a word on their encoding."""
    filler = "x" * len(name)
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(filler)
        info.create_system, info.external_attr = system, mode << 16
        archive.writestr(info, b"content")
    path.write_bytes(path.read_bytes().replace(filler.encode(), name))
    return path


def zip_of_link(path: Path) -> Path:
    return zipped_as_is(path, b"train/a.1.jpg", mode=stat.S_IFLNK | 0o777)


def tar_of(path: Path, kind: bytes, target: str = "/etc/passwd") -> Path:
    """A tar of a link or a device, beside a file."""
    tarred(path, {"train/cat.1.jpg": b"cat"})
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("train/dog.1.jpg")
        info.type, info.linkname = kind, target
        archive.addfile(info)
    return path


def with_declared_size(path: Path, size: int) -> Path:
    """A zip whose only file is said to be of another size, in both places."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        (info,) = archive.infolist()
    place = data.rindex(b"PK\x01\x02")
    for at in (info.header_offset + 22, place + 24):
        data[at : at + 4] = size.to_bytes(4, "little")
    path.write_bytes(data)
    return path


def encrypted(path: Path) -> Path:
    """A zip whose files are marked as encrypted."""
    data = bytearray(zipped(path, {"cat.1.jpg": b"cat"}).read_bytes())
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + flags] |= 1
    path.write_bytes(data)
    return path


def twice(path: Path) -> Path:
    """A zip that holds one name twice."""
    zipped(path, {"a.jpg": b"one", "b.jpg": b"two"})
    path.write_bytes(path.read_bytes().replace(b"b.jpg", b"a.jpg"))
    return path


def times_of(folder: Path) -> set[int]:
    return {int(os.stat(file).st_mtime) for file in folder.rglob("*") if file.is_file()}

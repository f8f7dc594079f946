"""Archives that nobody should unpack: each a small real one with something bad in it.

`try_one` makes one at random and unpacks it. It must unpack to its own folder, or be refused in
words.
"""

from __future__ import annotations

import io
import random
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from support.archives import packed, tar_of, twice, with_declared_size, zip_of_link, zipped

from dlcli.errors import DlError
from dlcli.files.archive_members import Budget
from dlcli.files.archives import open_archive

FILES = {f"train/{name}/{i}.jpg": bytes([i]) * 300 for name in ("cat", "dog") for i in range(3)}
# What leads out of the folder, or is not a name on some system.
NAMES = (
    *("../evil.jpg", "/tmp/evil.jpg", "a/../../evil.jpg", "..\\evil.jpg", "C:evil.jpg", "a\0b.jpg"),
    *("a\nb.jpg", "-rf.jpg", "x" * 300, "a/" * 2000 + "b", ".", "", "train", "train/cat/0.jpg/x"),
)
KINDS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"?")
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz")
MOST_SECONDS = 10.0
MOST_CHARACTERS = 2000


def odd_name(path: Path, rng: random.Random) -> None:
    packed(path, FILES | {rng.choice(NAMES): b"evil"})


def link_or_device(path: Path, rng: random.Random) -> None:
    if path.suffix == ".zip":
        zip_of_link(path)
    else:
        target = rng.choice(["/etc/passwd", "../..", "train", "train/dog.1.jpg"])
        tar_of(path.with_suffix(".tar"), rng.choice(KINDS), target).rename(path)


def wrong_size(path: Path, rng: random.Random) -> None:
    size = rng.choice([0, 1, 299, 301, 4_000_000_000, 0xFFFFFFFF])
    with_declared_size(zipped(path, {"a.jpg": b"a" * 300}), size)


def two_of_a_name(path: Path, rng: random.Random) -> None:
    twice(path)


def overlapping(path: Path, rng: random.Random) -> None:
    """Many names of the same bytes: a bomb without a high ratio (Fifield 2019)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.jpg", bytes(2_000_000))
        (first,) = archive.infolist()
        for number in range(1, 200):
            info = zipfile.ZipInfo(f"{number}.jpg")
            for field in ("CRC", "compress_size", "file_size", "header_offset", "compress_type"):
                setattr(info, field, getattr(first, field))
            archive.filelist.append(info)


def odd_header(path: Path, rng: random.Random) -> None:
    """A tar whose header claims a size that there is not, or a negative one."""
    header = tarfile.TarInfo("train/a.jpg")
    header.size = rng.choice([-1, -512, -(2**62), 2**40, 2**62])
    header.type = rng.choice([tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, b"S"])
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT) * rng.choice([1, 3000]) + bytes(2048))


def sparse(path: Path, rng: random.Random) -> None:
    """A tar with a file that is nearly all hole."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("train/hole.jpg")
        info.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": "train/hole.jpg",
            "GNU.sparse.realsize": str(rng.choice([10**13, 2**63, -1])),
        }
        info.size = 512
        archive.addfile(info, io.BytesIO(b"1\n0\n0\n".ljust(512, b"\0")))
    path.write_bytes(content.getvalue())


def changed_bytes(path: Path, rng: random.Random) -> None:
    data = bytearray(packed(path, FILES).read_bytes())
    for _ in range(rng.randint(1, 12)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])


def spliced(path: Path, rng: random.Random) -> None:
    data = packed(path, FILES).read_bytes()
    start, end = sorted(rng.sample(range(len(data)), 2))
    path.write_bytes(data[:end] + data[start:])


ZIPS: tuple[Callable[[Path, random.Random], None], ...] = (wrong_size, two_of_a_name, overlapping)
TARS: tuple[Callable[[Path, random.Random], None], ...] = (odd_header, sparse)
ANY: tuple[Callable[[Path, random.Random], None], ...] = (
    odd_name,
    link_or_device,
    changed_bytes,
    spliced,
)


def try_one(rng: random.Random, folder: Path) -> None:
    """Unpack one hostile archive.

    Raises:
        AssertionError: it took too long, wrote outside its folder or too much, or the refusal is
            too long.
    """
    suffix = rng.choice(SUFFIXES)
    own = {".zip": ZIPS, ".tar": TARS}.get(suffix, ())
    path, out = folder / f"hostile{suffix}", folder / "out"
    rng.choice((*ANY, *own))(path, rng)
    before = time.monotonic()
    try:
        with open_archive(path, Budget(path.stat().st_size)) as archive:
            archive.unpack(out)
    except DlError as error:
        assert len(str(error)) < MOST_CHARACTERS + len(str(folder))
        assert error.hint
    assert time.monotonic() - before < MOST_SECONDS
    assert {each.name for each in folder.iterdir()} <= {path.name, "out"}
    written = 0
    for file in sorted(out.rglob("*"), reverse=True):
        assert not file.is_symlink()
        written += 0 if file.is_dir() else file.stat().st_size
        file.rmdir() if file.is_dir() else file.unlink()
    assert written <= 100_000_000
    if out.exists():
        out.rmdir()
    path.unlink()

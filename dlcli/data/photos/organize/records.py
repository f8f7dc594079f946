"""Count what data files hold that `dl` does not read: BSON, TFRecord, DICOM, URLs in JSON."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from dlcli.data.photos.folders import walk
from dlcli.images.formats import DATA_KINDS, fault_of
from dlcli.words import count

# About a second of counting; Cdiscount's 58 GB are 7 million documents.
MOST_COUNTED = 1_000_000


class Records(NamedTuple):
    """A format in which each record begins with its length, a little-endian number.

    Args:
        noun: what a record is called.
        width: bytes of the length.
        least: the smallest length that a record has; less is damage.
        around: bytes of a record that its length does not count, those of the length included.
    """

    noun: str
    width: int
    least: int
    around: int


RECORDS = {
    # bsonspec.org, version 1.1: the length counts itself and the zero at the end
    "BSON": Records("document", width=4, least=5, around=0),
    # tensorflow.org/tutorials/load_data/tfrecord: length, its checksum, data, their checksum
    "TFRecord": Records("record", width=8, least=1, around=16),
}


def data_in(source: Path) -> str:
    """Data that may hold images, which `dl` does not read; "" if there is none.

    For example "3 TFRecord files with 1,500 records and JSON with 20 URLs".
    """
    files, pages = defaultdict[str, list[Path]](list), list[Path]()
    for inner, listing in walk(source):
        for file in (source / inner / name for name in listing.others):
            if not file.is_file():  # a pipe would block
                continue
            if (kind := fault_of(file)) in DATA_KINDS:
                files[kind].append(file)
            if file.suffix.lower() == ".json":
                pages.append(file)
    most_first = sorted(files.items(), key=lambda found: -len(found[1]))
    data = [_described(kind, found) for kind, found in most_first]
    if urls := _counted(chain.from_iterable(map(_urls, pages)), "URL"):
        data.append(f"JSON with {urls}")
    return " and ".join(data)


def _described(kind: str, files: Sequence[Path]) -> str:
    what = count(len(files), f"{kind} file")
    if form := RECORDS.get(kind):
        found = chain.from_iterable(_records(file, form) for file in files)
        if number := _counted(found, form.noun):
            what += f" with {number}"
    return what


def _counted(found: Iterable[object], noun: str) -> str:
    """How many things there are, in words, up to `MOST_COUNTED`; "" if there are none."""
    number = sum(1 for _ in islice(found, MOST_COUNTED + 1))
    if number > MOST_COUNTED:
        return f"more than {count(MOST_COUNTED, noun)}"
    return count(number, noun) if number else ""


def _records(file: Path, form: Records) -> Iterator[int]:
    """The ends of a file's whole records, up to where it is damaged."""
    place, end = 0, file.stat().st_size
    with file.open("rb", buffering=0) as data:
        while place < end:
            data.seek(place)
            length = int.from_bytes(data.read(form.width), "little")
            place += form.around + length
            if length < form.least or place > end:
                return
            yield place


def _urls(file: Path) -> Iterator[bytes]:
    """The beginnings of a JSON file's web addresses, whatever its structure."""
    with file.open("rb") as lines:
        for line in lines:
            yield from re.findall(rb'"https?:', line)

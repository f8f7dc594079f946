"""Count what data files hold that `dl` does not read: BSON, TFRecord, DICOM, URLs in JSON."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dlcli.data.folders import walk
from dlcli.images.formats import DATA_KINDS, fault_of
from dlcli.words import count

# About ten seconds of counting; Cdiscount's 58 GB are 7 million documents.
MOST_COUNTED = 10_000_000


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
    files, urls = defaultdict[str, list[Path]](list), 0
    for inner, listing in walk(source):
        for file in (source / inner / name for name in listing.others):
            if not file.is_file():  # a pipe would block
                continue
            if (kind := fault_of(file)) in DATA_KINDS:
                files[kind].append(file)
            if file.suffix.lower() == ".json":
                urls += _count_urls(file)
    most_first = sorted(files.items(), key=lambda found: -len(found[1]))
    data = [_counted(kind, found) for kind, found in most_first]
    if urls:
        data.append(f"JSON with {count(urls, 'URL')}")
    return " and ".join(data)


def _counted(kind: str, files: Sequence[Path]) -> str:
    what = count(len(files), f"{kind} file")
    form = RECORDS.get(kind)
    numbers = [count_records(file, form) for file in files] if form else []
    if form and sum(numbers):
        least = "at least " if MOST_COUNTED in numbers else ""
        what += f" with {least}{count(sum(numbers), form.noun)}"
    return what


def count_records(file: Path, form: Records) -> int:
    """How many whole records a file has, up to where it is damaged; at most `MOST_COUNTED`."""
    number, place, end = 0, 0, file.stat().st_size
    with file.open("rb", buffering=0) as data:
        while place < end and number < MOST_COUNTED:
            data.seek(place)
            length = int.from_bytes(data.read(form.width), "little")
            place += form.around + length
            if length < form.least or place > end:
                break
            number += 1
    return number


def _count_urls(file: Path) -> int:
    """How many web addresses a JSON file has, whatever its structure."""
    with file.open("rb") as lines:
        return sum(len(re.findall(rb'"https?:', line)) for line in lines)

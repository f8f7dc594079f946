"""Images in batches: in order, on threads, in constant memory, the unreadable ones named."""

from __future__ import annotations

import os
import threading
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.pictures import picture

from dlcli.errors import DlError
from dlcli.images import pixels
from dlcli.images.pixels import (
    Batch,
    Decoded,
    PixelRule,
    UnreadableImage,
    read_batches,
    refuse_unreadable,
)


@pytest.fixture(scope="module")
def pile(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Nine images told apart by their colour, two of them damaged."""
    root = tmp_path_factory.mktemp("pile")
    paths = [f"{number}.png" for number in range(9)]
    for number, path in enumerate(paths):
        Image.new("RGB", (8, 8), (number * 20, 0, 0)).save(root / path)
    for bad in (3, 8):
        (root / paths[bad]).write_bytes(b"")
    return SimpleNamespace(root=root, paths=paths, bad={3, 8})


@settings(max_examples=40)
@given(
    order=st.lists(st.integers(0, 8), max_size=30),
    batch_size=st.integers(1, 12),
    workers=st.integers(1, 5),
)
def test_batches_keep_the_order_whatever_their_size_and_the_number_of_threads(
    pile: SimpleNamespace, order: list[int], batch_size: int, workers: int
) -> None:
    paths = [pile.paths[number] for number in order]
    start = 0
    for batch in read_batches(pile.root, paths, PixelRule(8), batch_size, workers):
        chunk = order[start : start + batch_size]
        assert (batch.start, batch.count) == (start, len(chunk))
        good = [number for number in chunk if number not in pile.bad]
        assert batch.pixels[:, 0, 0, 0].tolist() == [number * 20 for number in good]
        named = [error.path.name for error in batch.unreadable]
        assert named == [f"{number}.png" for number in chunk if number in pile.bad]
        start += len(chunk)
    assert start == len(order)


def decoding_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("decode")]


def test_no_more_than_a_few_batches_are_decoded_ahead(
    pile: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Path] = []
    decode = pixels.decode

    def counted(path: Path, rule: PixelRule) -> Decoded:
        decoded.append(path)
        return decode(path, rule)

    monkeypatch.setattr(pixels, "decode", counted)
    workers = 2
    for used, _ in enumerate(read_batches(pile.root, pile.paths * 40, PixelRule(8), 4, workers)):
        assert len(decoded) <= 4 * (used + 1 + 2 * workers)
    assert len(decoded) == 360


def test_a_consumer_that_stops_early_leaves_no_thread_behind(pile: SimpleNamespace) -> None:
    batches = read_batches(pile.root, pile.paths * 40, PixelRule(8), 4, 3)
    next(batches)
    assert decoding_threads()
    batches.close()
    assert not decoding_threads()


def test_an_error_in_the_consumer_leaves_no_thread_behind(pile: SimpleNamespace) -> None:
    def consume() -> None:
        for _ in read_batches(pile.root, pile.paths * 40, PixelRule(8), 4, 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert not decoding_threads()


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    paths = [f"{number}.bmp" for number in range(2000)]
    picture(0, 0, 64).save(tmp_path / paths[0])
    for path in paths[1:]:
        os.link(tmp_path / paths[0], tmp_path / path)

    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in read_batches(tmp_path, paths[:count], PixelRule(64), 8, 2):
            pass
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(20)  # imports
    assert peak(2000) < peak(200) + 500_000  # all of them would be 24,576,000


def test_a_batch_of_nothing_but_damaged_images_is_empty(pile: SimpleNamespace) -> None:
    (batch,) = read_batches(pile.root, ["3.png", "8.png"], PixelRule(8), 4, 1)
    assert isinstance(batch, Batch)
    assert (batch.pixels.shape, batch.count, len(batch.unreadable)) == ((0, 8, 8, 3), 2, 2)


def test_unreadable_images_are_named_all_at_once_up_to_twenty() -> None:
    refuse_unreadable([])

    def refused(count: int) -> list[str]:
        bad = [UnreadableImage(Path(f"/data/{n}.jpg"), "the file is empty") for n in range(count)]
        with pytest.raises(DlError) as caught:
            refuse_unreadable(bad)
        return str(caught.value).splitlines()

    assert refused(1) == [
        "1 image can't be read:",
        "  /data/0.jpg: the file is empty",
        "Remove or replace them, or leave them out with `--on-error skip`.",
    ]
    many = refused(1023)
    assert many[0] == "1,023 images can't be read:"
    assert many[1:21] == [f"  /data/{n}.jpg: the file is empty" for n in range(20)]
    assert many[21] == "  ... and 1,003 more"


def test_pillow_does_not_chatter_about_oddities_of_a_file(tmp_path: Path) -> None:
    indexed = picture(0, 0, 8).convert("P")
    indexed.save(tmp_path / "p.png", transparency=bytes([0] * 256))  # Pillow warns of it
    (batch,) = read_batches(tmp_path, ["p.png"], PixelRule(8), 1, 1)  # a warning would raise here
    assert not batch.unreadable

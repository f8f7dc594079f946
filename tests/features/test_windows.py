"""Rows on disk in an almost random order: each once, in batches, and few chunks at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dlcli.features.windows import read_in_windows, rows_per_window, shares_of, shuffled_by_chunks


@dataclass
class Rows:
    """An array that counts how often each of its chunks is read."""

    count: int
    chunklen: int
    read: list[int] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.count, 2)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.float32)

    def __getitem__(self, rows: slice) -> np.ndarray:
        assert rows.start % self.chunklen == 0
        self.read.append(rows.start // self.chunklen)
        whole = np.arange(2 * self.count, dtype=np.float32).reshape(self.count, 2)
        return whole[rows]


SIZES = st.integers(1, 200), st.integers(1, 32), st.integers(1, 70), st.integers(1, 6)


@given(*SIZES, st.integers(0, 5))
def test_every_row_comes_once_in_whole_batches_and_every_chunk_is_read_once(
    count: int, chunk: int, batch_size: int, chunks_per_window: int, seed: int
) -> None:
    rows, window = Rows(count, chunk), chunk * chunks_per_window
    order = shuffled_by_chunks(rows, window, np.random.default_rng(seed))
    assert sorted(order) == list(range(count))
    batches = list(read_in_windows(rows, order, batch_size, window))
    assert [len(x) for x, _ in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert 1 <= len(batches[-1][0]) <= batch_size
    np.testing.assert_array_equal(np.concatenate([numbers for _, numbers in batches]), order)
    for x, numbers in batches:
        np.testing.assert_array_equal(x[:, 0], 2 * numbers)
    if count % chunk == 0:  # a shorter chunk shifts the windows after it by a few rows
        assert sorted(rows.read) == list(range(count // chunk))
    assert len(rows.read) <= 2 * -(-count // chunk)


@given(*SIZES)
def test_any_order_may_be_asked_for(
    count: int, chunk: int, batch_size: int, chunks_per_window: int
) -> None:
    rows = Rows(count, chunk)
    order = np.random.default_rng(0).integers(0, count, count // 2 + 1)
    batches = list(read_in_windows(rows, order, batch_size, chunk * chunks_per_window))
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches])[:, 0], 2 * order)


def test_the_same_seed_gives_the_same_order_and_another_another() -> None:
    rows = Rows(1000, 64)
    one, same, other = (shuffled_by_chunks(rows, 256, np.random.default_rng(n)) for n in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_window_mixes_rows_of_several_chunks() -> None:
    order = shuffled_by_chunks(Rows(6400, 64), 640, np.random.default_rng(0))
    first_batch = order[:64]
    assert len(set(first_batch // 64)) >= 8


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**6), min_size=1, max_size=5))
def test_memory_is_divided_among_arrays_and_none_is_wasted(memory: int, sizes: list[int]) -> None:
    shares = shares_of(memory, sizes)
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    assert min(memory, sum(sizes)) - len(sizes) < sum(shares) <= memory
    assert shares == sizes or sum(sizes) > memory
    cut = [share for share, size in zip(shares, sizes, strict=True) if share < size]
    assert max(cut, default=0) - min(cut, default=0) <= len(sizes)
    # who gets less than the others has all that it takes
    for share, size in zip(shares, sizes, strict=True):
        assert share == size or share >= max(shares) - len(sizes)


def test_a_window_is_whole_chunks_within_the_memory_and_at_least_one() -> None:
    rows = Rows(10_000, 64)  # of 8 bytes
    assert rows_per_window(rows, 3 * 64 * 8 * 5) == 5 * 64
    assert rows_per_window(rows, 10) == 64

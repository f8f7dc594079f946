"""Read an array on disk in almost random order, one window of rows in memory at a time.

An array is quick to read by chunk and slow to read by row. So an epoch reads the chunks in random
order, several at a time as a window, and shuffles the rows within each window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np


def shares_of(memory_bytes: int, sizes: Sequence[int]) -> list[int]:
    """Divide memory among arrays: each gets its size, or an equal share if that is smaller.

    Args:
        memory_bytes: memory for all arrays together.
        sizes: size of each array in bytes.

    Returns:
        bytes for each array, at most its size, in all at most `memory_bytes`.
    """
    shares, left = [0] * len(sizes), memory_bytes
    smallest_first = sorted(range(len(sizes)), key=sizes.__getitem__)
    for done, i in enumerate(smallest_first):
        shares[i] = min(sizes[i], left // (len(sizes) - done))
        left -= shares[i]
    return shares


class StoredRows(Protocol):
    """An array on disk, of shape (n_rows, ...), in chunks of `chunklen` rows."""

    shape: tuple[int, ...]
    chunklen: int
    dtype: np.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Consecutive rows."""


def rows_per_window(rows: StoredRows, memory_bytes: int) -> int:
    """The number of rows in a window: whole chunks, at least one.

    Args:
        memory_bytes: memory for two windows, one in use and one read ahead, and for a shuffled
            copy of the first.
    """
    import numpy as np

    row_bytes = rows.dtype.itemsize * int(np.prod(rows.shape[1:]))
    chunks = memory_bytes // (3 * rows.chunklen * row_bytes)
    return int(max(chunks, 1)) * rows.chunklen


def shuffled_by_chunks(rows: StoredRows, window_rows: int, rng: np.random.Generator) -> np.ndarray:
    """All row numbers: chunks in random order, rows in random order within each window of them.

    Returns:
        a permutation of 0..n_rows-1, int (n_rows,).
    """
    import numpy as np

    count, size = rows.shape[0], rows.chunklen
    chunks = rng.permutation(-(-count // size))
    order = [np.arange(chunk * size, min((chunk + 1) * size, count)) for chunk in chunks]
    per_window = window_rows // size
    windows = [order[i : i + per_window] for i in range(0, len(order), per_window)]
    return np.concatenate([rng.permutation(np.concatenate(window)) for window in windows])


def read_in_windows(
    rows: StoredRows, order: np.ndarray, batch_size: int, window_rows: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of rows; a thread reads the next window while the current one is used.

    Args:
        order: row numbers; quick if each stretch of `window_rows` is in few chunks, as with
            `shuffled_by_chunks`, or in the order of the array.
        window_rows: rows in memory.

    Yields:
        the rows, float32 (n, ...), and their numbers, int (n,).
    """
    import numpy as np

    windows = [order[i : i + window_rows] for i in range(0, len(order), window_rows)]
    begun = np.empty((0, *rows.shape[1:]), np.float32)  # a batch that the next window completes
    done = 0
    with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
        ahead: Future[np.ndarray] | None = None
        for number, window in enumerate(windows):
            held = ahead.result() if ahead else _read(rows, window)
            following = windows[number + 1 : number + 2]
            ahead = pool.submit(_read, rows, following[0]) if following else None
            while len(held):
                missing = batch_size - len(begun)
                part, held = held[:missing], held[missing:]
                begun = np.concatenate([begun, part]) if len(begun) else part
                if len(begun) == batch_size or done + len(begun) == len(order):
                    yield begun, order[done : done + len(begun)]
                    done += len(begun)
                    begun = begun[:0]


def _read(rows: StoredRows, numbers: np.ndarray) -> np.ndarray:
    """Read some rows, each of their chunks once."""
    import numpy as np

    size = rows.chunklen
    read = np.empty((len(numbers), *rows.shape[1:]), np.float32)
    in_chunk = numbers // size
    for chunk in np.unique(in_chunk):
        places = np.flatnonzero(in_chunk == chunk)
        held = rows[int(chunk) * size : (int(chunk) + 1) * size]
        for place in places:  # row by row: fancy indexing would make another copy
            read[place] = held[numbers[place] - chunk * size]
    return read

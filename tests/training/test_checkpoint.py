"""Checkpoints: whole or not at all, and never a best epoch without its weights."""

from __future__ import annotations

import errno
import json
import os
import signal
import tracemalloc
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from dlcli.errors import DlError
from dlcli.training import checkpoint
from dlcli.training.checkpoint import (
    Progress,
    best_file,
    load_best,
    load_checkpoint,
    save_checkpoint,
)

pytestmark = pytest.mark.forks


def after(epoch: int, best: int) -> Progress:
    rows = [
        {"epoch": n, "phase": "model", "loss": 1 / n, "val_loss": 1 / n, "val_accuracy": 0.5}
        for n in range(1, epoch + 1)
    ]
    return Progress(0, epoch, best, 0, 1 / best, epoch - best, rows)


def weights(epoch: int) -> list[np.ndarray]:
    return [np.full((3, 2), epoch, np.float32), np.full(2, -epoch, np.float32)]


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, after(1, 1), weights(1), [np.arange(3)])
    save_checkpoint(tmp_path, after(2, 1), weights(2), [np.arange(4)])
    progress, found, optimizer = load_checkpoint(tmp_path)
    assert progress == after(2, 1)
    np.testing.assert_array_equal(found[0], weights(2)[0])
    np.testing.assert_array_equal(optimizer[0], np.arange(4))
    np.testing.assert_array_equal(load_best(tmp_path, progress)[1], weights(1)[1])
    assert {f.name for f in tmp_path.iterdir()} == {"state.npz", "best-1.npz"}


@pytest.mark.parametrize("call", range(1, 9))
def test_killed_anywhere_in_a_save_the_older_or_the_newer_pair_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    save_checkpoint(tmp_path, after(1, 1), weights(1), [])
    child = os.fork()
    if child == 0:
        left = [call]

        def count(function):  # type: ignore[no-untyped-def]
            def counted(*arguments, **named):  # type: ignore[no-untyped-def]
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **named)

            return counted

        for name in ("replace", "fsync"):
            monkeypatch.setattr(os, name, count(getattr(os, name)))
        monkeypatch.setattr(Path, "unlink", count(Path.unlink))
        save_checkpoint(tmp_path, after(2, 2), weights(2), [])
        os._exit(0)
    os.waitpid(child, 0)
    progress, found, _ = load_checkpoint(tmp_path)
    epoch = len(progress.history)
    assert epoch in (1, 2)
    np.testing.assert_array_equal(found[0], weights(epoch)[0])
    np.testing.assert_array_equal(load_best(tmp_path, progress)[0], weights(epoch)[0])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"not a checkpoint"])
def test_a_damaged_checkpoint_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / checkpoint.STATE).write_bytes(content)
    with pytest.raises(DlError, match="damaged"):
        load_checkpoint(tmp_path)
    best_file(tmp_path, after(1, 1)).write_bytes(content)
    with pytest.raises(DlError, match="damaged"):
        load_best(tmp_path, after(1, 1))


def saved_as(folder: Path, **members: bytes) -> Path:
    """A checkpoint with other content in some of its members."""
    save_checkpoint(folder, after(1, 1), weights(1), [np.arange(3)])
    with ZipFile(folder / "state.npz") as file:
        held = {name: file.read(name) for name in file.namelist()}
    with ZipFile(folder / "state.npz", "w") as file:
        for name, content in (held | {f"{n}.npy": c for n, c in members.items()}).items():
            file.writestr(name, content)
    return folder


def array_of(value: object) -> bytes:
    file = BytesIO()
    np.save(file, np.array(value))
    return file.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"phase": "x"},
        {"phase": -1},
        {"phase": None},
        {"best_epoch": 7},
        {"history": [{"epoch": 2, "phase": "model", "val_loss": 1.0, "val_accuracy": 0.5}]},
        {"history": [{"epoch": 1}]},
        {"history": 3},
        {"seconds": "long"},
        {"more": 1},
    ],
)
def test_a_progress_that_no_training_had_is_refused(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    progress = array_of(json.dumps(asdict(after(1, 1)) | changes))
    with pytest.raises(DlError, match=r"state\.npz is damaged"):
        load_checkpoint(saved_as(tmp_path, progress=progress))


def test_a_progress_nested_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DlError, match=r"state\.npz is damaged"):
        load_checkpoint(saved_as(tmp_path, progress=array_of("[" * 100_000)))


@pytest.mark.parametrize("shape", ["(10000000000000,)", "(-1,)", "(2, 3", "((((1,))))", "(1.0,)"])
def test_an_array_larger_or_other_than_its_bytes_is_refused(tmp_path: Path, shape: str) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00v\x00" + header.encode() + bytes(24)
    with pytest.raises(DlError, match=r"state\.npz is damaged"):
        load_checkpoint(saved_as(tmp_path, **{"weights-0": content}))


def test_weights_with_a_gap_and_compressed_ones_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, after(1, 1), weights(1), [])
    with ZipFile(tmp_path / "best-1.npz", "w") as file:
        file.writestr("weights-7.npy", array_of([1.0]))
    with pytest.raises(DlError, match=r"best-1\.npz is damaged"):
        load_best(tmp_path, after(1, 1))
    np.savez_compressed(tmp_path / "best-1.npz", **{"weights-0": np.zeros(10_000_000)})
    with pytest.raises(DlError, match="it is compressed"):
        load_best(tmp_path, after(1, 1))


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError(errno.EIO, "I/O error"), OSError(errno.EMFILE, "too many")]
)
def test_a_checkpoint_is_not_damaged_because_memory_or_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    save_checkpoint(tmp_path, after(1, 1), weights(1), [np.arange(3)])

    def fail(self: ZipFile, member: object) -> bytes:
        raise error

    monkeypatch.setattr(ZipFile, "read", fail)
    for read in (lambda: load_checkpoint(tmp_path), lambda: load_best(tmp_path, after(1, 1))):
        with pytest.raises(type(error)) as raised:
            read()
        assert raised.value is error
    if isinstance(error, OSError):
        assert error.filename == str(tmp_path / "best-1.npz")


def test_a_header_too_deep_for_the_parser_is_damaged_and_memory_is_not_blamed(
    tmp_path: Path,
) -> None:
    header = ("-" * 9000 + "1").ljust(9085) + "\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    with pytest.raises(DlError, match=r"state\.npz is damaged"):
        load_checkpoint(saved_as(tmp_path, **{"weights-0": content}))


def test_an_archive_that_begins_before_its_file_is_damaged(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, after(1, 1), weights(1), [])
    file = tmp_path / checkpoint.STATE
    data = bytearray(file.read_bytes())
    end = data.rindex(b"PK\x05\x06")
    data[end + 16 : end + 20] = (1 << 31).to_bytes(4, "little")  # where its directory begins
    file.write_bytes(data)
    with pytest.raises(DlError, match=r"state\.npz is damaged"):
        load_checkpoint(tmp_path)


def test_an_array_is_in_memory_twice_at_most(tmp_path: Path) -> None:
    held = [
        np.ones((1000, 1000), np.float32),
        np.ones((0, 3), np.float32),
        np.asfortranarray([[1, 2], [3, 4]]),
    ]
    save_checkpoint(tmp_path, after(1, 1), held, [])
    load_best(tmp_path, after(1, 1))  # imports
    tracemalloc.start()
    found = load_best(tmp_path, after(1, 1))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2.2 * held[0].nbytes
    for before, array in zip(held, found, strict=True):
        np.testing.assert_array_equal(array, before)
        assert array.flags.writeable
        assert array.flags.f_contiguous == before.flags.f_contiguous

"""Checkpoints: whole or not at all, and never a best epoch without its weights."""

from __future__ import annotations

import os
import signal
from pathlib import Path

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
    rows = [{"epoch": n, "loss": 1 / n} for n in range(1, epoch + 1)]
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

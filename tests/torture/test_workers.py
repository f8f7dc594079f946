"""A worker that dies or hangs does not hide which round it was at."""

from __future__ import annotations

import queue
import sys
import time
from typing import Any

import pytest
from torture import __main__ as runner
from torture.__main__ import Tally, Worker, started, watch

BEGUN = 'print(\'{"kind": "inputs", "seed": 17}\', flush=True)'
LINE = "-m torture --kind inputs --seed 17"


def begun(told: queue.Queue[Any], then: str) -> Worker:
    """A worker that begins a round, and then does something else."""
    return started([sys.executable, "-S", "-c", f"{BEGUN}; {then}"], told)


def test_the_round_of_a_worker_that_dies_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    tally, told = Tally(), queue.Queue[Any]()
    worker = begun(told, "import os; os._exit(3)")
    assert not watch(tally, [worker], told, time.monotonic() + 60)
    assert tally.failed == {("inputs", "other"): 1}
    said = capsys.readouterr().out
    assert "exit code 3" in said
    assert LINE in said


def test_the_round_of_a_worker_that_hangs_is_named_and_the_worker_killed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "PATIENCE_SECONDS", 0.1)
    tally, told = Tally(), queue.Queue[Any]()
    worker = begun(told, "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(99)")
    _, worker.playing = told.get(timeout=60)
    assert not watch(tally, [worker], told, time.monotonic())
    assert tally.failed == {("inputs", "hangs"): 1}
    assert LINE in capsys.readouterr().out
    assert worker.process.poll() is not None

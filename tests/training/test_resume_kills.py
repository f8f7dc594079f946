"""SIGKILL at any moment of a training, and `dl resume` until it is done: as if nothing had been."""

from __future__ import annotations

import io
import os
import signal
import time
import zipfile
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from support.command_result import ok
from support.forked_commands import Forks

from dlcli.inference.predictions import read_predictions
from dlcli.inference.serving import open_engine
from dlcli.process import exists
from dlcli.runs.listing import read_row
from dlcli.runs.run import Run

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

KILLS = 10
# Nothing but the order in which floats are added may differ.
TOLERANCE = 1e-5
SMALLEST = ("--image-size", "32", "--batch-size", "4")
KINDS = {
    "features": ("finetune", "--schedule", "1e-3x40", "--dropout", "0.3", *SMALLEST),
    "images": ("cnn", "--schedule", "1e-2x8", "--image-size", "16", "--batch-size", "4"),
    "unfreeze": (
        "finetune",
        "--schedule",
        "1e-2",
        "--unfreeze",
        "2",
        "--dropout",
        "0.3",
        *SMALLEST,
    ),
}
# In the order in which a training writes them; at last it removes its checkpoint.
FILES = (
    "best-1.npz",
    "state.npz",
    "history.csv",
    "last.keras",
    "best.keras",
    "engine",
    "valid.csv",
    "checkpoint",
)


@pytest.fixture
def runs(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for runs, in memory: what a kill leaves is the same there, and a disk is slow."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        monkeypatch.setenv("DL_RUNS_DIR", folder)
        yield Path(folder)


def wait_until(true: Callable[[], bool], pid: int) -> None:
    """Wait for what comes true while a process is there, or with its end."""
    while exists(pid) and not true():
        time.sleep(0.02)
    assert true()


def run_of(pid: int, runs: Path) -> Run:
    """The run that a process works on."""
    found: list[Run] = []

    def is_there() -> bool:
        found[:] = [run for run in Run.all(runs) if run.status.get("pid") == pid]
        return bool(found)

    wait_until(is_there, pid)
    return found[0]


def watched(run: Run, pid: int) -> list[float]:
    """After how many seconds 0, 1, 2... epochs were done, and at last the whole training."""
    begun, ends = time.monotonic(), [0.0]

    def is_done() -> bool:
        status = run.status
        seconds = time.monotonic() - begun
        ends.extend([seconds] * (status.get("epoch", 0) + 1 - len(ends)))
        if status["state"] != "running":
            ends.append(seconds)
        return status["state"] != "running"

    wait_until(is_done, pid)
    return ends


def kill(pid: int, run: Run, moment: float, ends: list[float]) -> None:
    """Kill a process where the training that was watched stood after so many seconds."""
    epochs = bisect_right(ends[:-1], moment) - 1

    def stands_there() -> bool:
        status = run.status
        return status["state"] != "running" or status.get("epoch", 0) >= epochs

    wait_until(stands_there, pid)
    time.sleep(moment - ends[epochs])
    with suppress(ProcessLookupError):  # it was quicker this time
        os.kill(pid, signal.SIGKILL)


def killed_and_resumed(
    dl: Forks, words: tuple[str, ...], moments: list[float], ends: list[float], runs: Path
) -> tuple[Run, int]:
    """A finished run that was killed at some moments of its training; and how often it was."""
    pid = dl.start(*words)
    run = run_of(pid, runs)
    for number, moment in enumerate(sorted(moments)):
        kill(pid, run, moment, ends)
        if (done := dl.end()).exit_code == 0:
            return run, number
        assert done.exit_code == -signal.SIGKILL, done.stderr
        assert read_row(run).problem == ""
        if run.state == "finished":  # only tidying up was cut short
            return run, number + 1
        assert run.state == "interrupted"
        pid = dl.start("resume", run.name)
        run_of(pid, runs)
    ok(dl.end())
    return run, len(moments)


def weights(model: Path) -> dict[str, np.ndarray]:
    """All that a saved model holds, read without a backend."""
    import h5py

    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(model) as archive:
        file = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
        file.visititems(
            lambda name, held: found.update({name: held[()]} if hasattr(held, "dtype") else {})
        )
    return found


def assert_same(run: Run, whole: Run) -> None:
    """Epoch by epoch, weight by weight, image by image; and nothing half-written is left."""
    assert list(run.path.rglob(".*")) == []
    assert run.history == whole.history
    for ours, theirs in ((run.best_model, whole.best_model), (run.last_model, whole.last_model)):
        one, other = weights(ours), weights(theirs)
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=0, atol=TOLERANCE)
    one_status, other_status = run.status, whole.status
    for name in ("state", "epoch", "best_epoch", "predicts_from", "parameters"):
        assert one_status[name] == other_status[name]
    on_valid, expected = (read_predictions(each.predictions_file("valid")) for each in (run, whole))
    assert (on_valid.paths, on_valid.true_classes) == (expected.paths, expected.true_classes)
    np.testing.assert_allclose(on_valid.y_prob, expected.y_prob, rtol=0, atol=TOLERANCE)
    assert open_engine(run, 1) is not None  # of this very model, whatever stood there before


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_killed_at_any_moment_and_resumed_is_the_same_as_one_never_stopped(
    forks: Forks, runs: Path, tiny: Path, kind: str
) -> None:
    words = ("train", *KINDS[kind], "-d", str(tiny))
    rng = np.random.default_rng([list(KINDS).index(kind), 4])
    pid = forks.start(*words)
    whole = run_of(pid, runs)
    ends = watched(whole, pid)
    ok(forks.end())
    kills = 0
    while kills < KILLS:
        moments = rng.uniform(0, ends[-1], KILLS - kills).tolist()
        run, killed = killed_and_resumed(forks, words, moments, ends, runs)
        kills += killed
        assert_same(run, whole)


def test_a_training_killed_right_before_any_of_its_files_is_there_is_the_same_too(
    forks: Forks, runs: Path, tiny: Path
) -> None:
    words = ("train", "finetune", "--schedule", "1e-3x2", "-d", str(tiny), *SMALLEST)
    whole = run_of(forks.start(*words), runs)
    ok(forks.end())
    run, next_words = None, words
    for name in FILES:
        pid = forks.start(*next_words, first=f"die_before({name!r})")
        run = run_of(pid, runs)
        done = forks.end()
        assert done.exit_code == -signal.SIGKILL, done.stderr
        assert read_row(run).problem == ""
        assert run.state == ("finished" if name == "checkpoint" else "interrupted")
        next_words = ("resume", run.name)
    assert run is not None
    assert_same(run, whole)


@pytest.mark.parametrize("name", ["predictions", "metrics.yaml", "figures"])
def test_what_a_kill_left_of_the_model_before_is_set_aside_by_the_next_resume(
    forks: Forks, runs: Path, tiny: Path, name: str
) -> None:
    words = ("train", "finetune", "--schedule", "1e-3x2", "-d", str(tiny), *SMALLEST)
    run = run_of(forks.start(*words), runs)
    ok(forks.end())
    ok(forks.run("evaluate", run.name))
    more = ("resume", run.name, "--epochs", "3")
    killed = forks.run(*more, first=f"die_before('before-epoch-3/{name}')")
    assert killed.exit_code == -signal.SIGKILL, killed.stderr
    assert run.state == "interrupted"
    ok(forks.run(*more))
    aside = sorted(file.name for file in run.path.glob("before-epoch-3*/*"))
    assert aside == ["figures", "metrics.yaml", "predictions", "report.html"]
    assert not run.report_file.exists()
    assert not run.metrics_file.exists()
    assert list(run.path.glob("before-epoch-4*")) == []

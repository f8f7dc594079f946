"""`dl runs tensorboard` as it is typed: the real server, asked as its own page asks it."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from support.command_result import Dl
from support.listed_runs import last_named_dataset, listed_run
from support.missing_tools import missing

from dlcli.process import install_command
from dlcli.runs.run import Run

pytestmark = pytest.mark.slow


SIDES = ("train", "validation")
COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


@pytest.fixture(autouse=True)
def installed() -> None:
    if importlib.util.find_spec("tensorboard") is None:
        missing(f"TensorBoard is not installed: {install_command('tensorboard')}")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "dl"


def trained(name: str, epochs: int, dataset: str = "tiny") -> Run:
    """A run with a history of random numbers."""
    run = listed_run(name, dataset)
    run.write_history(
        [
            {"epoch": n, "phase": "head", **{c: (n + i) / 7 for i, c in enumerate(COLUMNS)}}
            for n in range(1, epochs + 1)
        ]
    )
    return run


@contextmanager
def served(*arguments: object) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The server's address, and its process."""
    command = [sys.executable, "-m", "dlcli", "runs", "tensorboard", *map(str, arguments)]
    with subprocess.Popen(
        command,
        # whoever runs the tests may have told them to outlive their terminal
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = process.stdout.readline().strip()
        try:
            assert address.startswith("http://127.0.0.1:"), process.stderr.read()
            yield address, process
        finally:
            process.kill()


def ask(address: str, path: str, **query: str) -> Any:
    with urlopen(f"{address}{path}?{urlencode(query)}") as answer:
        return json.load(answer)


def ask_for(count: int, address: str, path: str, **query: str) -> Any:
    """An answer with so many entries: the server reads the files while it answers."""
    for _ in range(400):
        found = ask(address, path, **query)
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def tags(address: str, runs: int) -> dict[str, set[str]]:
    """The tags of each run, once the server has read so many."""
    found = ask_for(runs, address, "data/plugin/scalars/tags")
    return {run: set(of) for run, of in found.items()}


def test_every_point_of_the_history_is_served(cache: Path) -> None:
    last_named_dataset()
    runs = [trained("202611231409-finetune-e3", 3), trained("202611231410-cnn-e1200", 1200)]
    with served() as (address, _):
        found = tags(address, 4)
        assert found == {
            f"{run.name}/{side}": {"loss", "accuracy"} | more
            for run in runs
            for side, more in (("train", {"learning_rate"}), ("validation", set()))
        }
        for run in runs:
            for column in COLUMNS:
                side = "validation" if column.startswith("val_") else "train"
                query = {"run": f"{run.name}/{side}", "tag": column.removeprefix("val_")}
                count = len(run.history)
                points = ask_for(count, address, "data/plugin/scalars/scalars", **query)
                assert [(step, value) for _, step, value in points] == [
                    (row["epoch"], pytest.approx(row[column], rel=1e-6)) for row in run.history
                ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_as_other_commands_do_and_leaves_nothing(cache: Path, number: int) -> None:
    last_named_dataset()
    trained("202611231409-finetune-e3", 3)
    with served() as (address, process):
        tags(address, 2)
        assert len(list(cache.iterdir())) == 1
        os.kill(process.pid, number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines() == [
        "Dataset ~/data/tiny (last named)",
        "TensorBoard shows 1 run; Ctrl-C ends it.",
        "",
        "Interrupted.",
    ]
    assert list(cache.iterdir()) == []


def test_runs_that_are_named_are_shown_alone_and_damaged_ones_are_left_out(cache: Path) -> None:
    first = trained("202611231409-finetune-e3", 3)
    trained("202611231410-finetune-e3", 3)
    other = trained("202611231409-finetune-e3", 3, dataset="fish")
    damaged = trained("202611231411-finetune-e3", 3)
    damaged.history_file.write_text("epoch,loss\n1\n")
    ensemble = listed_run("202611231412-ensemble-m2", epoch=None)
    ensemble.history_file.unlink()
    named = [f"tiny/{first.name}", other.path, other.path, damaged.name, ensemble.name]
    with served(*named) as (address, process):
        found = tags(address, 4)
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    sides = [f"{run.dataset}/{run.name}/{side}" for run in (first, other) for side in SIDES]
    assert sorted(found) == sorted(sides)
    assert said.splitlines()[:3] == [
        f"Left out {damaged.name}, which is damaged: history.csv has rows of different lengths.",
        f"Left out {ensemble.name}, which has no history.",
        "TensorBoard shows 2 runs; Ctrl-C ends it.",
    ]


def test_without_any_curve_it_says_so(dl: Dl, cache: Path) -> None:
    last_named_dataset()
    said = dl("runs", "tensorboard")
    assert said.exit_code == 1
    assert "There are no curves to show: none of the runs has a history" in said.stderr


def test_a_port_that_is_taken_is_refused(dl: Dl, cache: Path) -> None:
    last_named_dataset()
    trained("202611231409-finetune-e3", 3)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "dlcli", "runs", "tensorboard", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"could not bind to port {port}, it was already in use" in done.stderr
    assert "`--port N`" in done.stderr
    assert list(cache.iterdir()) == []


def test_a_port_of_ones_own_is_taken(cache: Path) -> None:
    last_named_dataset()
    trained("202611231409-finetune-e3", 3)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with served("--port", port) as (address, _):
        assert address == f"http://127.0.0.1:{port}/"


def test_no_backend_is_loaded_for_it(cache: Path) -> None:
    last_named_dataset()
    trained("202611231409-finetune-e3", 3)
    code = (
        "import sys\n"
        "from dlcli.cli import main\n"
        "assert main(['runs', 'tensorboard']) == 130\n"
        "heavy = {'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        tags(process.stdout.readline().strip(), 2)
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0

"""Event files of a training: a point for each epoch, whatever happened in between."""

from __future__ import annotations

import importlib.util
import struct
from itertools import pairwise
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.missing_tools import missing
from support.pictures import make_dataset
from support.small_run import SMALL, only_run

from dlcli.files.formats import write_yaml
from dlcli.process import install_command
from dlcli.runs import tensorboard
from dlcli.runs.run import Run
from dlcli.runs.tensorboard import SIDES, add_events, begin_events
from dlcli.training import fit

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

LINEAR = ("linear", "--schedule", "1e-3x3", *SMALL)


@pytest.fixture
def installed() -> None:
    if importlib.util.find_spec("tensorboard") is None:
        missing(f"TensorBoard is not installed: {install_command('tensorboard')}")


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of every event in a training's folder, by "train/loss"."""
    from tensorboard.compat.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.glob("*/events.out.tfevents.*")):
        data = file.read_bytes()
        while data:  # TFRecord: length, its checksum, as many bytes, their checksum
            (length,) = struct.unpack("<Q", data[:8])
            event, data = Event.FromString(data[12 : 12 + length]), data[16 + length :]
            for value in event.summary.value:
                key = f"{file.parent.name}/{value.tag}"
                found.setdefault(key, []).append((event.step, value.simple_value))
    return found


def of_history(run: Run) -> dict[str, list[tuple[int, float]]]:
    """What `points` is to be, by the run's history; numbers of 32 bits."""
    return {
        f"{side}/{tag}": [
            (row["epoch"], pytest.approx(row[column], rel=1e-6)) for row in run.history
        ]
        for side, tags in SIDES.items()
        for tag, column in tags.items()
        if column in run.history[0]  # others are scores of other kinds of datasets
    }


@pytest.mark.usefixtures("installed")
def test_each_epoch_is_a_point_of_train_and_validation(dl: Dl, home: Path, tiny: Path) -> None:
    ok(dl("train", *LINEAR, "-d", tiny, "--tensorboard"))
    run = only_run(home)
    assert run.config["tensorboard"] is True
    assert points(run.tensorboard) == of_history(run)
    assert len(run.history) == 3


def test_without_the_option_there_are_no_events(dl: Dl, home: Path, tiny: Path) -> None:
    ok(dl("train", "linear", "--schedule", "1e-3", *SMALL, "-d", tiny))
    assert not only_run(home).tensorboard.exists()


@pytest.mark.usefixtures("installed")
def test_a_resumed_run_has_neither_gap_nor_double_point(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before the events of an epoch are written, after them, and in the middle of it."""
    write_yaml(home / "dl.yaml", {"tensorboard": True})
    added = tensorboard.add_events

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    def add_then_stop(folder: Path, row: dict[str, object]) -> None:
        added(folder, row)
        raise KeyboardInterrupt

    monkeypatch.setattr(fit, "add_events", stop)
    assert dl("train", *LINEAR, "-d", tiny).exit_code == 130
    run = only_run(home)
    monkeypatch.setattr(fit, "add_events", add_then_stop)
    assert dl("resume", run.name).exit_code == 130
    assert points(run.tensorboard) == of_history(run)
    for file in run.tensorboard.glob("*/*"):
        file.write_bytes(file.read_bytes()[:-5])
    monkeypatch.setattr(fit, "add_events", added)
    (home / "dl.yaml").unlink()  # the run's own settings count
    ok(dl("resume", run.name))
    assert len(run.history) == 3
    assert points(run.tensorboard) == of_history(run)
    ok(dl("resume", run.name, "--epochs", "4"))
    assert len(run.history) == 4
    assert points(run.tensorboard) == of_history(run)


def test_where_it_is_not_installed_it_is_said_before_training(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    said = dl("train", *LINEAR, "-d", tiny, "--tensorboard")
    assert said.exit_code == 1
    assert "TensorBoard is not installed" in said.stderr
    assert f"`{install_command('tensorboard')}`" in said.stderr
    assert not (home / "runs").exists()
    assert dl("runs", "tensorboard", "-d", tiny).exit_code == 1


@pytest.mark.usefixtures("installed")
def test_epochs_of_before_are_spread_over_the_time_that_they_took(tmp_path: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event

    history = [{"epoch": n, "loss": 1 / n} for n in (1, 2, 3, 4)]
    begin_events(tmp_path, history, "2026-11-23T14:09:31.000000Z", 8.0)
    (file,) = (tmp_path / "train").iterdir()
    data, times = file.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        times.append(Event.FromString(data[12 : 12 + length]).wall_time)
        data = data[16 + length :]
    assert [after - before for before, after in pairwise(times[1:])] == [2, 2, 2]


@pytest.mark.usefixtures("installed")
def test_events_that_were_removed_under_way_break_nothing(tmp_path: Path) -> None:
    add_events(tmp_path / "gone", {"epoch": 3, "phase": "head", "loss": 0.5, "val_loss": ""})
    assert points(tmp_path / "gone") == {"train/loss": [(3, 0.5)]}


@pytest.mark.usefixtures("installed")
def test_a_history_that_somebody_edited_leaves_gaps(tmp_path: Path) -> None:
    begin_events(tmp_path, [{"epoch": "x", "loss": 1.0}, {"epoch": 2, "loss": "?"}], "then", 0.0)
    assert points(tmp_path) == {}


@pytest.mark.usefixtures("installed")
def test_a_run_made_again_writes_events_too(dl: Dl, home: Path) -> None:
    root = make_dataset(home / "data" / "again", train=4, valid=2)
    ok(dl("train", "linear", "--schedule", "1e-3", *SMALL, "-d", root, "--tensorboard"))
    (first,) = Run.all(home / "runs")
    ok(dl("rerun", first.name))
    for run in Run.all(home / "runs"):
        assert points(run.tensorboard) == of_history(run)
    assert len(Run.all(home / "runs")) == 2

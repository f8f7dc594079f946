"""TensorBoard: write event files from a training's history, and run its server.

Training and validation are two folders with the same tags, so that TensorBoard draws their curves
in one chart. The `tensorboard` package writes the event files; it doesn't need TensorFlow.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dlcli.errors import DlError
from dlcli.evaluation.scores import NAMES
from dlcli.process import install_command

# The tags of each folder, and their columns in `history.csv`.
SIDES = {
    "train": {name: name for name in (*NAMES, "learning_rate")},
    "validation": {name: f"val_{name}" for name in NAMES},
}
FILE = "events.out.tfevents."
HOST = "127.0.0.1"
# By default TensorBoard draws 1,000 random points of a curve.
EVERY_POINT = {"scalars": 1_000_000}

Row = Mapping[str, Any]


def require_tensorboard() -> None:
    """Refuse if TensorBoard isn't installed.

    Raises:
        DlError: says how to install it.
    """
    spec = find_spec("tensorboard")
    if spec is None or spec.origin is None:  # without an origin it is a folder, such as a run's
        raise DlError(
            "TensorBoard is not installed",
            why="it is an optional package",
            hint=f"Install it: `{install_command('tensorboard')}`.",
        )


def begin_events(folder: Path, history: Sequence[Row], started: str, seconds: float) -> None:
    """Write the events of all epochs so far, and remove earlier ones in the folder.

    Args:
        folder: the training's folder; made if missing.
        history: one mapping per epoch, as in `history.csv`.
        started: when the training began, ISO 8601.
        seconds: total duration of these epochs, which is spread evenly over them.
    """
    began = _timestamp(started)
    times = [began + seconds * number / len(history) for number in range(1, len(history) + 1)]
    for side in SIDES:
        place = folder / side
        place.mkdir(parents=True, exist_ok=True)
        before = list(place.glob(f"{FILE}*"))
        # a new name: a running TensorBoard would not notice a replaced file
        _append(place / _new_name(), side, zip(history, times, strict=True))
        for file in before:
            file.unlink()


def add_events(folder: Path, row: Row) -> None:
    """Add the events of one more epoch, after `begin_events`."""
    for side in SIDES:
        place = folder / side
        place.mkdir(parents=True, exist_ok=True)  # it may have been removed meanwhile
        newest = max(place.glob(f"{FILE}*"), default=place / _new_name())
        _append(newest, side, [(row, time.time())])


def serve(folder: Path, port: int | None) -> str:
    """Start TensorBoard's server in the background, until this process ends.

    Args:
        folder: the folder of event files; runs are named by their paths in it.
        port: its port; None: the first free one from 6006 on.

    Returns:
        its address.

    Raises:
        DlError: the port is in use or forbidden.
    """
    from tensorboard import program

    server = program.TensorBoard()
    server.configure(
        argv=("",), logdir=str(folder), host=HOST, port=port, samples_per_plugin=EVERY_POINT
    )
    try:
        with redirect_stderr(io.StringIO()):  # it reports how it reads files
            url: str = server.launch()
    except program.TensorBoardServerException as error:
        raise DlError(
            "TensorBoard can't be started",
            why=error.msg.removeprefix("TensorBoard "),
            hint="Use another port: `--port N`.",
        ) from error
    return url


def _append(file: Path, side: str, rows: Iterable[tuple[Row, float]]) -> None:
    """Append a record per epoch to a file, in one write; a new file begins with its version."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    records = io.BytesIO()
    writer = RecordWriter(records)
    if not file.exists():
        event = Event(wall_time=time.time(), file_version="brain.Event:2")
        writer.write(event.SerializeToString())
    for row, when in rows:
        if not isinstance(row.get("epoch"), int):  # an edited file
            continue
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in _values(row, side)]
        event = Event(wall_time=when, step=row["epoch"], summary=Summary(value=values))
        writer.write(event.SerializeToString())
    with file.open("ab") as end:
        end.write(records.getvalue())


def _values(row: Row, side: str) -> Iterator[tuple[str, float]]:
    for tag, column in SIDES[side].items():
        if isinstance(value := row.get(column), int | float):
            yield tag, value


def _new_name() -> str:
    # TensorBoard reads files by name, so the time in it keeps the order of writing
    return f"{FILE}{time.time():.6f}.dl"


def _timestamp(started: str) -> float:
    try:
        return datetime.fromisoformat(started).timestamp()
    except ValueError:  # an edited file
        return time.time()

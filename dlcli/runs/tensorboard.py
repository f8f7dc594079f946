"""TensorBoard: event files of a training, made from the rows of its history, and its server.

Training and validation are two folders with the same tags, so that TensorBoard draws their curves
in one chart. The event files come from the `tensorboard` package, which doesn't need TensorFlow.
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

# Of each folder its tags, and the columns of `history.csv` behind them.
SIDES = {
    "train": {"loss": "loss", "accuracy": "accuracy", "learning_rate": "learning_rate"},
    "validation": {"loss": "val_loss", "accuracy": "val_accuracy"},
}
FILE = "events.out.tfevents."
HOST = "127.0.0.1"
# TensorBoard draws 1,000 points of a curve, chosen at random, unless it is told to draw more.
EVERY_POINT = {"scalars": 1_000_000}

Row = Mapping[str, Any]


def require_tensorboard() -> None:
    """Refuse where TensorBoard isn't installed.

    Raises:
        DlError: says how to install it.
    """
    spec = find_spec("tensorboard")
    if spec is None or spec.origin is None:  # the latter is any folder of that name, a run's too
        raise DlError(
            "TensorBoard is not installed",
            why="it is no part of what `dl` needs",
            hint="Install it: `pip install 'dlcli[tensorboard]'`.",
        )


def begin_events(folder: Path, history: Sequence[Row], started: str, seconds: float) -> None:
    """Write the events of all epochs there are, anew: what was in the folder before is removed.

    Args:
        folder: of the training; made if need be.
        history: one mapping per epoch, as in `history.csv`.
        started: when the training began, ISO 8601.
        seconds: that these epochs took; which of them took how much of it is not known, so they
            are spread evenly.
    """
    began = _timestamp(started)
    times = [began + seconds * number / len(history) for number in range(1, len(history) + 1)]
    for side in SIDES:
        place = folder / side
        place.mkdir(parents=True, exist_ok=True)
        before = list(place.glob(f"{FILE}*"))
        # a new name: a TensorBoard that is looking on would not see that a file was replaced
        _append(place / _new_name(), side, zip(history, times, strict=True))
        for file in before:
            file.unlink()


def add_events(folder: Path, row: Row) -> None:
    """Add those of an epoch that has just ended, after `begin_events`."""
    for side in SIDES:
        place = folder / side
        place.mkdir(parents=True, exist_ok=True)  # somebody may have removed it meanwhile
        newest = max(place.glob(f"{FILE}*"), default=place / _new_name())
        _append(newest, side, [(row, time.time())])


def serve(folder: Path, port: int | None) -> str:
    """Start TensorBoard's server in the background, for as long as this process lives.

    Args:
        folder: in which it looks for event files; a run is named by its path below.
        port: to answer on; None: the first free one from 6006 on.

    Returns:
        its address.

    Raises:
        DlError: the port is taken or forbidden.
    """
    from tensorboard import program

    server = program.TensorBoard()
    server.configure(
        argv=("",), logdir=str(folder), host=HOST, port=port, samples_per_plugin=EVERY_POINT
    )
    try:
        with redirect_stderr(io.StringIO()):  # it tells how it reads files
            url: str = server.launch()
    except program.TensorBoardServerException as error:
        raise DlError(
            "TensorBoard can't be started",
            why=error.msg.removeprefix("TensorBoard "),
            hint="Name another: `--port N`.",
        ) from error
    return url


def _append(file: Path, side: str, rows: Iterable[tuple[Row, float]]) -> None:
    """Add a record for each epoch to a file, in one piece; a new one begins with its version."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    records = io.BytesIO()
    writer = RecordWriter(records)
    if not file.exists():
        event = Event(wall_time=time.time(), file_version="brain.Event:2")
        writer.write(event.SerializeToString())
    for row, when in rows:
        if not isinstance(row.get("epoch"), int):  # of a file that somebody has edited
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
    # TensorBoard reads a folder's files by name: the time makes that the order of writing
    return f"{FILE}{time.time():.6f}.dl"


def _timestamp(started: str) -> float:
    try:
        return datetime.fromisoformat(started).timestamp()
    except ValueError:  # of a file that somebody has edited
        return time.time()

"""One run directory: the only place where its file names live.

~/runs/<dataset>/202611231409-finetune-e12-lr0.001-t1/
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dlcli.errors import DlError
from dlcli.files import read_csv, read_yaml, write_csv, write_yaml
from dlcli.folders import make_numbered
from dlcli.places import shown
from dlcli.processes import at_work, this_process

STATES = ("running", "finished", "failed", "interrupted")


@dataclass(frozen=True)
class Run:
    """A run's folder and what stands in it.

    Args:
        path: the folder.
    """

    path: Path

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    @property
    def dataset(self) -> str:
        """The name of the dataset it belongs to: the folder above."""
        return self.path.parent.name

    @property
    def config_file(self) -> Path:
        """Every resolved value, and where, when and with what it ran."""
        return self.path / "config.yaml"

    @property
    def status_file(self) -> Path:
        """State, process, epoch and headline scores."""
        return self.path / "status.yaml"

    @property
    def log_file(self) -> Path:
        """All that was said in training."""
        return self.path / "log.txt"

    @property
    def history_file(self) -> Path:
        """One row per epoch."""
        return self.path / "history.csv"

    @property
    def classes_file(self) -> Path:
        """Class names in order."""
        return self.path / "classes.yaml"

    @property
    def best_model(self) -> Path:
        """The model of the best epoch, preprocessing inside."""
        return self.path / "models" / "best.keras"

    @property
    def last_model(self) -> Path:
        """The model of the last epoch, preprocessing inside."""
        return self.path / "models" / "last.keras"

    @property
    def checkpoint(self) -> Path:
        """What going on after a stop needs; gone once the run is finished."""
        return self.path / "checkpoint"

    @property
    def tensorboard(self) -> Path:
        """Event files of each epoch, where they were asked for."""
        return self.path / "tensorboard"

    def predictions(self, split: str, views: int = 0) -> Path:
        """Path, true class, probabilities, of "valid" or "test"; by the mean of so many views."""
        return self.path / "predictions" / (f"{split}-tta{views}.csv" if views else f"{split}.csv")

    @property
    def metrics_file(self) -> Path:
        """Evaluation as numbers."""
        return self.path / "metrics.yaml"

    @property
    def report_file(self) -> Path:
        """Evaluation as a page."""
        return self.path / "report.html"

    @property
    def figures(self) -> Path:
        """The report's pictures as PNGs."""
        return self.path / "figures"

    @property
    def submission_file(self) -> Path:
        """The newest submission."""
        return self.path / "submission.csv"

    @classmethod
    def create(
        cls,
        runs_dir: Path,
        dataset: str,
        recipe: str,
        telling: Iterable[str],
        now: datetime | None = None,
    ) -> Run:
        """Make a new run's folder, `YYYYMMDDHHMM-recipe-p1-p2-p3-p4` in UTC.

        Raises:
            DlError: a hundred runs of that name in that minute.
        """
        stamp = (now or datetime.now(UTC)).strftime("%Y%m%d%H%M")
        name = "-".join([stamp, recipe, *telling])
        run = cls(make_numbered(runs_dir / dataset / name))
        (run.path / "models").mkdir()
        (run.path / "predictions").mkdir()
        return run

    @classmethod
    def all(cls, runs_dir: Path, dataset: str | None = None) -> list[Run]:
        """Every run under the runs folder, or of one dataset, by name."""
        pattern = f"{_escaped(dataset)}/*" if dataset is not None else "*/*"
        return [run for run in map(cls, sorted(runs_dir.glob(pattern))) if run.is_run()]

    def is_run(self) -> bool:
        """Whether the folder is a run's."""
        return self.status_file.is_file()

    def status(self) -> dict[str, Any]:
        """What `status.yaml` holds, with a state that is true now.

        A run that says it is running, and whose process is gone, is interrupted.
        """
        status = self._written_status()
        if status.get("state") not in STATES:
            return status | {"state": "failed"}
        if status["state"] == "running" and not at_work(status):
            return status | {"state": "interrupted"}
        return status

    def _written_status(self) -> dict[str, Any]:
        """What `status.yaml` holds; nothing where it is missing or damaged."""
        try:
            status = read_yaml(self.status_file) if self.status_file.is_file() else None
        except DlError:  # one damaged file must not hide all other runs
            return {}
        return status if isinstance(status, dict) else {}

    @property
    def state(self) -> str:
        """running, finished, failed or interrupted."""
        return str(self.status()["state"])

    def update_status(self, **changes: Any) -> None:
        """Change some of `status.yaml`; the rest stays."""
        write_yaml(self.status_file, self._written_status() | changes)

    def start(self) -> None:
        """Say that this process works on the run."""
        status = self._written_status()
        status.pop("reason", None)  # why it failed before
        started = status.get("started") or utc_now()
        owner = {"state": "running", "started": started, **this_process()}
        write_yaml(self.status_file, status | owner)

    def config(self) -> dict[str, Any]:
        """What `config.yaml` holds.

        Raises:
            DlError: the file is missing or damaged.
        """
        config = read_yaml(self.config_file) if self.config_file.is_file() else None
        if not isinstance(config, dict) or not isinstance(config.get("run"), dict):
            raise DlError(
                f"{shown(self.config_file)} is missing or damaged",
                why="it says how the run was made",
                hint="Take another run, or restore the file.",
            )
        return config

    def record(self) -> dict[str, Any]:
        """The `run` block of `config.yaml`: recipe, dataset, input, versions, command."""
        record: dict[str, Any] = self.config()["run"]
        return record

    def dataset_path(self) -> Path | None:
        """Where the dataset was at training; None where the record is missing or damaged."""
        try:
            return Path(self.record()["dataset"]["path"])
        except (DlError, KeyError, TypeError):  # one damaged file must not hide all other runs
            return None

    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the model's outputs.

        Raises:
            DlError: the file is missing or damaged.
        """
        classes = read_yaml(self.classes_file) if self.classes_file.is_file() else None
        if not isinstance(classes, list) or not classes:
            raise DlError(
                f"{shown(self.classes_file)} is missing or damaged",
                why="without it nobody can say which output is which class",
                hint="Take another run, or restore the file.",
            )
        return tuple(str(name) for name in classes)

    def history(self) -> list[dict[str, float | str]]:
        """The rows of `history.csv`, numbers as numbers; [] before the first epoch.

        Raises:
            DlError: the file is damaged.
        """
        if not self.history_file.is_file():
            return []
        header, *rows = read_csv(self.history_file) or [[]]
        if not header or any(len(row) != len(header) for row in rows):
            raise DlError(
                f"{shown(self.history_file)} is damaged",
                why="expected a header and as many values in each row",
                hint="Take another run, or restore the file.",
            )
        return [dict(zip(header, map(_number, row), strict=True)) for row in rows]

    def write_history(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Write `history.csv` whole; all rows have the same keys."""
        if rows:
            header = list(rows[0])
            write_csv(self.history_file, [header, *([row[key] for key in header] for row in rows)])

    @contextmanager
    def held(self) -> Iterator[None]:
        """Go on with the run alone; the kernel drops the lock of a process that dies.

        Raises:
            DlError: another process goes on with it.
        """
        with self.log_file.open("a", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DlError(
                    f"{self.name} is being trained",
                    why="another `dl resume` goes on with it",
                    hint="Wait for it, or stop that process first.",
                ) from error
            yield

    def log(self, text: str) -> None:
        """Add a line to `log.txt`, or several, with the time."""
        with self.log_file.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(f"{utc_now()} {line}\n" for line in text.split("\n"))


def utc_now() -> str:
    """The time in UTC, ISO 8601, to the microsecond: `2026-11-23T14:09:31.123456Z`."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _escaped(name: str) -> str:
    from glob import escape

    return escape(name)


def _number(text: str) -> float | str:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text

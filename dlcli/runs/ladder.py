"""The folder of a ladder: its plan, the run of each step, and its state.

~/runs/dogscats-sample/202611231409-ladder/  ladder.yaml ladder.csv ladder.md ladder.png

`ladder.yaml` is written at every step, so that a ladder killed at any moment can be resumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dlcli.errors import DlError
from dlcli.files.formats import read_yaml, write_yaml
from dlcli.files.locks import held
from dlcli.files.paths import make_numbered
from dlcli.files.typed import read_as
from dlcli.process import this_process, utc_now
from dlcli.runs.run import Run


@dataclass(frozen=True)
class _Plan:
    """What is read of a plan; all of it is compared with another."""

    steps: Mapping[str, Any]


@dataclass(frozen=True)
class _Begun:
    """The step that was begun last, when, and by which process."""

    step: str
    since: str


@dataclass(frozen=True)
class _Record:
    """What is read of `ladder.yaml`."""

    started: str
    plan: Mapping[str, Any]
    runs: Mapping[str, str]
    failed: Mapping[str, str]
    at: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Ladder:
    """A ladder's folder and its content."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    @property
    def file(self) -> Path:
        """Its plan, the run of each step, and whether it is finished."""
        return self.path / "ladder.yaml"

    @classmethod
    def create(cls, runs_dir: Path, dataset: str, plan: Mapping[str, Any]) -> Ladder:
        """Make a new ladder's folder, `YYYYMMDDHHMM-ladder` in UTC.

        Raises:
            DlError: a hundred ladders in that minute.
        """
        name = datetime.now(UTC).strftime("%Y%m%d%H%M-ladder")
        ladder = cls(make_numbered(runs_dir / dataset / name))
        write_yaml(
            ladder.file,
            {"state": "unfinished", "started": utc_now(), "plan": plan, "runs": {}, "failed": {}},
        )
        return ladder

    @classmethod
    def all(cls, runs_dir: Path, dataset: str) -> list[Ladder]:
        """Every ladder of a dataset, the newest first."""
        files = (runs_dir / dataset).glob("*-ladder*/ladder.yaml")
        ladders = [ladder for ladder in (cls(file.parent) for file in files) if ladder._is_whole()]
        return sorted(ladders, key=lambda ladder: (ladder.record()["started"], ladder.name))[::-1]

    @property
    def is_finished(self) -> bool:
        """Whether every step is still done, and the comparison is written."""
        record = self.record()
        return record.get("state") == "finished" and all(map(self.is_done, record["plan"]["steps"]))

    def _is_whole(self) -> bool:
        try:
            _require_whole(self.record())
        except (DlError, OSError, ValueError):  # a damaged ladder must not prevent a new one
            return False
        return True

    def record(self) -> dict[str, Any]:
        """The content of `ladder.yaml`."""
        record: dict[str, Any] = read_yaml(self.file)
        return record

    def update(self, **changes: Any) -> None:
        """Change some values of `ladder.yaml`; the rest stays."""
        write_yaml(self.file, self.record() | changes)

    def run(self, step: str) -> Run | None:
        """The run of a step; None if there is none, or it was removed."""
        name = self.record()["runs"].get(step)
        run = Run(self.path.parent / name) if name else None
        return run if run and run.is_run else None

    def is_done(self, step: str) -> bool:
        """Whether a step is finished, or has failed for good."""
        run = self.run(step)
        return run is not None and (run.state == "finished" or step in self.record()["failed"])

    def begin(self, step: str) -> None:
        """Record that this process begins to train a step."""
        failed = {name: why for name, why in self.record()["failed"].items() if name != step}
        self.update(at={"step": step, "since": utc_now(), **this_process()}, failed=failed)

    def adopt(self) -> None:
        """Record the run of the step that was begun last, if it isn't recorded yet.

        A process may die before it records the name. Its run is the one that the same process began
        after it began the step.
        """
        record = self.record()
        at = record.get("at")
        if not at or self.run(at["step"]):
            return
        begun = [
            run.name
            for run in Run.all(self.path.parent.parent, self.path.parent.name)
            if (status := run.status).get("started", "") >= at["since"]
            and all(status.get(name) == at[name] for name in this_process())
        ]
        if begun:
            self.update(runs=record["runs"] | {at["step"]: begun[-1]})

    def held(self) -> AbstractContextManager[None]:
        """Lock the ladder.

        Raises:
            DlError: another process works on it; names it.
        """
        hint = "Wait for it, or start another one: `dl ladder --again`."
        return held(self.path / "lock.yaml", f"{self.name} is being trained", hint)


def _require_whole(record: Any) -> None:
    """Refuse what a ladder has not written.

    Raises:
        ValueError: says what is wrong.
    """
    known = record if isinstance(record, dict) else {}
    read: _Record = read_as(_Record, _some_of(_Record, known), "ladder")
    read_as(_Plan, _some_of(_Plan, read.plan), "plan")
    if read.at:
        read_as(_Begun, _some_of(_Begun, read.at), "at")
        if missing := this_process().keys() - read.at.keys():
            raise ValueError(f"`at.{min(missing)}` is missing")
    for name in read.runs.values():
        if Path(name).name != name:
            raise ValueError(f"{name!r:.40} is not a run of this dataset")


def _some_of(kind: Any, held: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some values that are fields of a dataclass."""
    return {field.name: held[field.name] for field in fields(kind) if field.name in held}

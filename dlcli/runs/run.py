"""One run directory. Only this module knows its file names.

~/runs/<dataset>/202611231409-finetune-e12-lr0.001-t1/
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.errors import DlError
from dlcli.files.atomic import atomic_folder, remove_leftovers
from dlcli.files.formats import (
    below,
    damaged,
    read_csv,
    read_yaml,
    write_csv,
    write_yaml,
)
from dlcli.files.locks import alone_in, held, in_use
from dlcli.files.own import is_own_file, open_own, others_in, own_folder, require_own
from dlcli.files.paths import make_numbered, shown
from dlcli.process import this_owner, utc_now
from dlcli.runs.status import is_damaged, true_status, written_status

if TYPE_CHECKING:
    from dlcli.evaluation.diagnosis import Diagnosis
    from dlcli.models.forward import Forward
    from dlcli.runs.record import RecordedMember, RunRecord

# For each kind of dataset the files of what the numbers of a model's inputs or outputs stand for.
LABELS: Mapping[str, tuple[str, ...]] = {
    "photos": ("classes.yaml",),
    "ratings": ("users.csv", "items.csv"),
}

# The paths of what `dl` makes in a run's folder; all else there is somebody else's. Folders first.
_EXPORTS = "exports(/(onnx|openvino|litert|tflite|tf)|/tf/saved_model(/(assets|variables))?)?"
_FOLDERS = (
    f"models|models/engine|{_EXPORTS}|checkpoint|tensorboard|tensorboard/(train|validation)"
    r"|predictions|figures|submissions|before-epoch-\d+(-\d+)?"
)
_FIGURES = "curves|residuals|items|confusion|(in)?correct-at-random|most-((in)?correct|uncertain)"
_EXPORTED = (
    r"(onnx|openvino|litert|tflite|tf)/(model\.(onnx|xml|bin|tflite|yaml)|example\.py|(users|items)\.csv)"
    r"|tf/saved_model/(\w+\.pb|variables/variables\.(index|data-\d+-of-\d+))"
)
_RESULTS = (
    rf"predictions/[\w-]+\.csv|metrics\.yaml|report\.html|figures/({_FIGURES})\.png"
    rf"|submission\.csv|exports/({_EXPORTED})"
)
CHECKPOINT = r"state\.npz|best-\d+\.npz"
OWN = re.compile(
    rf"{_FOLDERS}|{_RESULTS}|(config|status|lock|classes|kaggle)\.yaml|(users|items)\.csv|log\.txt|history\.csv"
    rf"|models/(best|last)\.keras|models/engine/\w+\.\w+|checkpoint/({CHECKPOINT})"
    r"|tensorboard/(train|validation)/events\.out\.tfevents\..+|submissions/[0-9a-f]{8}\.csv"
    rf"|before-epoch-\d+(-\d+)?/(predictions|figures|{_EXPORTS}|{_RESULTS})"
)

_BUSY_HINT = "Wait for it, or stop that process first."


@dataclass(frozen=True)
class Run:
    """A run's folder and its files."""

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
        """Every resolved setting, and when, where and with which software it ran."""
        return self.path / "config.yaml"

    @property
    def status_file(self) -> Path:
        """State, process, epoch and headline scores."""
        return self.path / "status.yaml"

    @property
    def lock_file(self) -> Path:
        """The process that works on it; exists only meanwhile."""
        return self.path / "lock.yaml"

    @property
    def log_file(self) -> Path:
        """All messages of the training."""
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
    def users_file(self) -> Path:
        """The users' ids in order, of a run on ratings."""
        return self.path / "users.csv"

    @property
    def items_file(self) -> Path:
        """The items' ids and titles in order, of a run on ratings."""
        return self.path / "items.csv"

    @property
    def best_model(self) -> Path:
        """The model of the best epoch, with preprocessing."""
        return self.path / "models" / "best.keras"

    @property
    def last_model(self) -> Path:
        """The model of the last epoch, with preprocessing."""
        return self.path / "models" / "last.keras"

    @property
    def engine(self) -> Path:
        """The best model as files that predict without a Keras backend."""
        return self.path / "models" / "engine"

    @property
    def exports(self) -> Path:
        """The best model in other formats."""
        return self.path / "exports"

    @property
    def checkpoint(self) -> Path:
        """The checkpoint for a resume; removed once the run is finished."""
        return self.path / "checkpoint"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files, if enabled."""
        return self.path / "tensorboard"

    def predictions_file(self, split: str, views: int = 0) -> Path:
        """Predictions of "valid" or "test"; with `views`, the mean of that many views."""
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
        """The report's figures as PNGs."""
        return self.path / "figures"

    @property
    def submission_file(self) -> Path:
        """The newest submission."""
        return self.path / "submission.csv"

    def sent_file(self, digest: str) -> Path:
        """A submission that was sent, by the first eight hex digits of its sha256."""
        return self.path / "submissions" / f"{digest}.csv"

    @property
    def kaggle_file(self) -> Path:
        """Submissions to Kaggle: what was sent, when, and the score."""
        return self.path / "kaggle.yaml"

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
            DlError: there are a hundred runs of that name in that minute.
        """
        run = cls(make_numbered(runs_dir / dataset / _named(recipe, telling, now)))
        run.make_folders()
        return run

    @classmethod
    @contextmanager
    def created_whole(
        cls, runs_dir: Path, dataset: str, recipe: str, telling: Iterable[str]
    ) -> Iterator[tuple[Run, Run]]:
        """Make a new run that appears with all its files when the block ends, or not at all.

        Yields:
            the run, and a hidden one to write into, which becomes it.

        Raises:
            DlError: as `create`.
        """
        remove_leftovers(runs_dir / dataset, deep=False)
        run = cls(make_numbered(runs_dir / dataset / _named(recipe, telling)))
        try:
            with atomic_folder(run.path, replace=True) as folder:
                hidden = cls(folder)
                hidden.make_folders()
                yield run, hidden
        finally:
            if not run.is_run:
                with suppress(OSError):
                    run.path.rmdir()

    @classmethod
    def all(cls, runs_dir: Path, dataset: str | None = None) -> list[Run]:
        """Every run under the runs folder, or of one dataset, by name."""
        from glob import escape

        pattern = f"{escape(dataset)}/*" if dataset is not None else "*/*"
        return [run for run in map(cls, sorted(runs_dir.glob(pattern))) if run.is_run]

    def require_own(self) -> None:
        """Refuse a run in which a link, or anything else, takes the place of a file of its own.

        Raises:
            NotOwnError: names it.
        """
        for path in others_in(self.path, OWN):
            if OWN.fullmatch(name := path.relative_to(self.path).as_posix()):
                require_own(path, self.path, folder=bool(re.fullmatch(_FOLDERS, name)))

    def others(self) -> list[Path]:
        """The files and folders in the run's folder that `dl` did not make."""
        return others_in(self.path, OWN)

    @property
    def is_run(self) -> bool:
        """Whether the folder is a run; False for one that can't be read."""
        with suppress(OSError):
            return self.status_file.is_file()
        return False

    @property
    def status(self) -> dict[str, Any]:
        """What `status.yaml` holds now: epoch, scores, diagnosis, and a state that is true now.

        A run whose state is running, but whose process is gone, is interrupted.
        """
        return true_status(self.status_file, self.lock_file)

    @property
    def is_damaged(self) -> bool:
        """Whether `status.yaml` is empty or cut short."""
        return is_damaged(self.status_file)

    @property
    def diagnosis(self) -> Diagnosis:
        """The diagnosis of a finished training.

        Raises:
            DlError: it is missing or damaged.
        """
        from dlcli.evaluation.diagnosis import Diagnosis

        try:
            return Diagnosis.of(self.status["diagnosis"])
        except (KeyError, TypeError) as error:
            raise damaged(self.status_file, "it has no diagnosis that can be read") from error

    @property
    def state(self) -> str:
        """running, finished, failed or interrupted."""
        return str(self.status["state"])

    def update_status(self, **changes: Any) -> None:
        """Change some values of `status.yaml`, and keep the rest and other processes' changes."""
        self._change_status(lambda status: status | changes)

    def add_to_status(self, name: str, entries: Mapping[str, Any]) -> None:
        """Add entries to a mapping in `status.yaml`, and keep the rest."""
        self._change_status(lambda status: status | {name: status.get(name, {}) | entries})

    def remove_from_status(self, *names: str) -> None:
        """Remove some of `status.yaml`; the rest stays."""
        self._change_status(
            lambda status: {name: held for name, held in status.items() if name not in names}
        )

    def make_folders(self) -> None:
        """Make the folders that a training writes into; a copy may have left out empty ones."""
        for file in (self.best_model, self.predictions_file("valid")):
            with own_folder(file.parent, self.path, make=True):
                pass

    def start(self, recipe: str, planned_epochs: int) -> None:
        """Record that this process trains the run.

        Args:
            recipe: the recipe's name, so that a list need not open `config.yaml`.
            planned_epochs: total number of epochs.
        """

        def begun(status: dict[str, Any]) -> dict[str, Any]:
            status.pop("reason", None)  # why it failed before
            now = utc_now()
            plan = {"recipe": recipe, "planned_epochs": planned_epochs}
            working = {"state": "running", "started": status.get("started") or now}
            return status | plan | working | this_owner(now)

        self.make_folders()
        self._change_status(begun)

    def _change_status(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        with alone_in(self.path):
            write_yaml(self.status_file, change(written_status(self.status_file)))

    @cached_property
    def config(self) -> dict[str, Any]:
        """What `config.yaml` holds: settings, hyperparameters below `train`, and `run`; read once.

        Raises:
            DlError: the file is missing or damaged.
        """
        config = read_yaml(self.config_file) if is_own_file(self.config_file) else None
        if not isinstance(config, dict) or not isinstance(config.get("run"), dict):
            raise damaged(self.config_file, "it says how the run was made")
        return config

    @cached_property
    def record(self) -> RunRecord:
        """The `run` block of `config.yaml`: recipe, dataset, input, versions, command.

        Raises:
            DlError: the file is missing or damaged; names the wrong key.
        """
        from dlcli.runs.record import read_record

        return read_record(self.config_file, self.config)

    @property
    def is_ensemble(self) -> bool:
        """Whether it has members instead of a model."""
        return bool(self.record.members)

    def member(self, recorded: RecordedMember) -> Run | None:
        """The run of an ensemble's member; None if it is gone."""
        path = recorded.path
        # the folder of all runs may have moved as a whole, for example to another machine
        moved = self.path.parent.parent / path.parent.name / path.name
        return next((Run(place) for place in (path, moved) if Run(place).is_run), None)

    def require_whole(self) -> None:
        """Refuse it if its `config.yaml` can't be read, or a link takes the place of a file.

        Raises:
            DlError: its `config.yaml` is missing or damaged; it has a link.
        """
        self.require_own()
        try:
            _ = self.config
        except DlError as error:
            hint = "Restore it, or use another run. `dl runs` lists them."
            raise DlError(error.what, why=error.why, hint=hint) from error

    def require_kind(self, kind: str) -> None:
        """Refuse a run on datasets of another kind.

        Args:
            kind: the wanted one.

        Raises:
            DlError: names both.
        """
        own = self.record.kind
        if own != kind:
            raise DlError(
                f"{self.name} is a run on {own}, not on {kind}",
                hint=f"Use a run on {kind}: `dl runs` lists runs.",
            )

    def require_single(self, command: str) -> None:
        """Refuse an ensemble.

        Args:
            command: what to type for a member instead, with RUN for its name: "dl rerun RUN".

        Raises:
            DlError: names the members that are there.
        """
        if not self.is_ensemble:
            return
        names = [run.name for run in map(self.member, self.record.members) if run]
        hint = "All of its members are gone. Name another run: `dl runs` lists them."
        if names:
            hint = f"Name one of its members: `{command.replace('RUN', names[0])}`. "
            hint += f"They are {', '.join(names)}."
        raise DlError(
            f"{self.name} is an ensemble",
            why="it is the mean of its members and has no model",
            hint=hint,
        )

    @property
    def features_forward(self) -> Forward | None:
        """The function of the features that it predicts from; None: it predicts from pixels."""
        from_features = self.status.get("predicts_from") == "features"
        return self.record.forward if from_features else None

    @property
    def dataset_path(self) -> Path | None:
        """The dataset's recorded path; None if the record is missing or damaged."""
        try:
            return Path(below(self.config, "run", "dataset", "path"))
        except (DlError, TypeError):  # one damaged file must not hide all other runs
            return None

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the model's outputs; read once.

        Raises:
            DlError: the file is missing or damaged.
        """
        classes = read_yaml(self.classes_file) if is_own_file(self.classes_file) else None
        if not isinstance(classes, list) or not classes:
            why = "without it the classes of the outputs are unknown"
            raise damaged(self.classes_file, why)
        return tuple(str(name) for name in classes)

    @property
    def history(self) -> list[dict[str, float | str]]:
        """A row for each epoch, [] before the first: `epoch`, `phase`, `learning_rate`, scores.

        Raises:
            DlError: the file is damaged.
        """
        if not is_own_file(self.history_file):
            return []
        header, *rows = read_csv(self.history_file) or [[]]
        if not header or any(len(row) != len(header) for row in rows):
            raise DlError(
                f"{shown(self.history_file)} is damaged",
                why="expected a header, and as many values in each row",
                hint="Use another run, or restore the file.",
            )
        return [dict(zip(header, map(_number, row), strict=True)) for row in rows]

    def write_history(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Write `history.csv` atomically; all rows have the same keys. No rows, no file."""
        if rows:
            header = list(rows[0])
            write_csv(self.history_file, [header, *([row[key] for key in header] for row in rows)])

    def held(self) -> AbstractContextManager[None]:
        """Lock the run, to train or to remove it.

        Raises:
            DlError: another process works on it; names it.
        """
        return held(self.lock_file, f"{self.name} is being trained", _BUSY_HINT)

    def busy(self, owner: Mapping[str, Any]) -> DlError:
        """The error of a run that a process works on, by the owner read from a file."""
        return in_use(f"{self.name} is being trained", owner, _BUSY_HINT)

    def log(self, text: str) -> None:
        """Add one or more lines to `log.txt`, with the time."""
        descriptor = open_own(self.log_file, self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        with os.fdopen(descriptor, "a", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(f"{utc_now()} {line}\n" for line in text.split("\n"))


def _named(recipe: str, telling: Iterable[str], now: datetime | None = None) -> str:
    """The name of a run that begins now."""
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%d%H%M")
    return "-".join([stamp, recipe, *telling])


def _number(text: str) -> float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

"""A run as one reads it from Python; reached as `dlcli.Run`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.errors import DlError
from dlcli.files.paths import absolute, shown
from dlcli.inference.predictions import Predictions, read_predictions
from dlcli.runs.run import Run as Folder

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Run:
    """A run's folder, opened to read; nothing is written.

    Args:
        path: the folder.

    Example:
        run = dlcli.Run.open("~/runs/dogscats/202611231409-finetune-e12-lr0.003-t1")
        run.config["train"]["finetune"]["dropout"]
        run.predictions["valid"].y_prob.shape
        run.model().predict(pixels)
    """

    path: Path

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open a run.

        Args:
            path: its folder; `~` is the home folder.

        Raises:
            DlError: there is no run.
        """
        folder = absolute(Path(path))
        if not Folder(folder).is_run():
            raise DlError(
                f"{shown(folder)} is no run",
                why="it holds no status.yaml",
                hint="`dl runs --all` lists the runs there are.",
            )
        return cls(folder)

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    @cached_property
    def config(self) -> dict[str, Any]:
        """What `config.yaml` holds: settings, hyperparameters below `train`, and `run`.

        Raises:
            DlError: the file is missing or damaged.
        """
        return Folder(self.path).config()

    @property
    def status(self) -> dict[str, Any]:
        """What `status.yaml` holds now: state, epoch, scores, diagnosis."""
        return Folder(self.path).status()

    @property
    def history(self) -> list[dict[str, float | str]]:
        """A row for each epoch: `epoch`, `phase`, `learning_rate`, losses and accuracies.

        Raises:
            DlError: the file is damaged.
        """
        return Folder(self.path).history()

    @cached_property
    def predictions(self) -> dict[str, Predictions]:
        """The predictions that the run holds, by the name of the file: "valid", "test".

        Each has `paths`, `classes`, `true_classes`, `y_true`, their numbers in `classes`, which
        test images don't have, and `y_prob`, (n_samples, n_classes).

        Raises:
            DlError: a file is damaged.
        """
        files = sorted((self.path / "predictions").glob("*.csv"))
        return {file.stem: read_predictions(file) for file in files}

    def model(self) -> keras.Model:
        """The best epoch's model: RGB pixels 0-255 (n, size, size, 3) -> (n, n_classes).

        Keras is set up as `dl` does it, if it wasn't imported before. Models that carry code are
        refused.

        Raises:
            DlError: the file is missing, damaged, or would run code.
        """
        from dlcli.backend import start_backend
        from dlcli.models.saved import load_model

        start_backend()
        return load_model(Folder(self.path).best_model)

"""The job of a training: what the training loop needs, whatever kind of dataset it is on.

Each kind of dataset has its own job in a package of the kind's name, see `dlcli.training.kinds`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from dlcli.config import Config, Value
from dlcli.data.dataset import SETTINGS, Dataset, dataset_settings
from dlcli.errors import DlError
from dlcli.evaluation.diagnosis import Diagnosis
from dlcli.evaluation.scores import SCORES
from dlcli.files.paths import shown
from dlcli.models.saved import load_model
from dlcli.recipe import AnyRecipe, Phase
from dlcli.runs.changes import Change, batch_size_at, changed_phases
from dlcli.runs.choice import find_finished_run
from dlcli.runs.record import RunRecord
from dlcli.runs.run import Run
from dlcli.settings.schedule import Schedule
from dlcli.settings.shared import Settings
from dlcli.training.checkpoint import Progress
from dlcli.training.network import AnyNetwork, Inputs

if TYPE_CHECKING:
    import keras
    import numpy as np


class Samples(Protocol):
    """Inputs and what is to be predicted of them."""

    @property
    def inputs(self) -> Inputs:
        """The inputs; the labelled ones come first."""

    @property
    def labelled(self) -> int:
        """How many have a true label."""

    @property
    def y_true(self) -> np.ndarray:
        """The labels of the labelled samples, (labelled,)."""


def some_of(samples: Samples, count: int, seed: int) -> np.ndarray:
    """Numbers of random labelled samples, ascending: int (n,), n at most `count`."""
    import numpy as np

    rng = np.random.default_rng(seed)
    return np.sort(rng.permutation(samples.labelled)[:count])


class Targets(Protocol):
    """The labels of the training samples, as the loss takes them."""

    def of(
        self, x: np.ndarray, chosen: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Prepare one batch for training.

        Args:
            x: samples, (n, ...).
            chosen: their numbers, int (n,).
            rng: random numbers, the same in the same epoch.

        Returns:
            samples, possibly changed; labels (n, ...); weights (n,), or None.
        """


@dataclass(frozen=True)
class Outcome:
    """What a finished training has to say of its best model.

    Args:
        status: what `status.yaml` gets: the scores, `val_loss` and `train_loss` among them.
        diagnosis: the diagnosis.
    """

    status: Mapping[str, Any]
    diagnosis: Diagnosis


S = TypeVar("S", bound=Samples)
N = TypeVar("N", bound=AnyNetwork)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained on what: recipe, dataset and settings, resolved.

    Args:
        name: the recipe's.
        fingerprints: of its splits before any sample was read; a later change shows against them.
        settings: seed, workers and the rest.
        init_from: the run with the initial weights.
        changes: changes that were requested by `dl resume`.
    """

    name: str
    recipe: AnyRecipe
    dataset: Dataset
    fingerprints: Mapping[str, str]
    settings: Settings
    init_from: Run | None = None
    changes: tuple[Change, ...] = ()

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of training, with the requested changes."""
        return changed_phases(self.recipe.phases(), self.changes)

    @property
    def epochs(self) -> int:
        """Total number of epochs, with the requested changes."""
        return sum(phase.schedule.epochs for phase in self.phases)

    def batch_size(self, epoch: int) -> int:
        """Samples per step in an epoch, numbered from 1."""
        return batch_size_at(epoch, self.recipe.batch_size, self.changes)


@dataclass(frozen=True, kw_only=True)
class Job(Plan, ABC, Generic[S, N]):
    """A plan, and the work on its kind of dataset."""

    @property
    def scores(self) -> tuple[str, ...]:
        """The names of what is measured in each epoch, the loss first; see `evaluation.scores`."""
        return SCORES[self.dataset.kind].names

    def say_fitted(self, usual: Schedule) -> None:
        """Say why the epochs are not the recipe's default, if they aren't."""

    # samples

    @abstractmethod
    def read_samples(self, phase: Phase, splits: tuple[str, ...] = ("train", "valid")) -> list[S]:
        """Train and valid as a phase needs them.

        Raises:
            DlError: they can't be read.
        """

    def first_samples(self) -> list[S]:
        """Train and valid as the first phase needs them; read before the run's folder is made.

        Raises:
            DlError: as for `read_samples`; or the network can't be built.
        """
        return self.read_samples(self.phases[0])

    def same_samples(self, one: Phase, other: Phase) -> bool:
        """Whether two phases use the same samples."""
        return True

    @abstractmethod
    def described(self, phase: Phase, train: S) -> str:
        """Describe what a phase trains on: "the images: 1,602 images"."""

    def is_quick(self, phase: Phase) -> bool:
        """Whether an epoch of a phase may take less than a second, so that not each has a line."""
        return False

    @abstractmethod
    def targets(self, train: S) -> Targets:
        """The labels of the training samples, as the recipe wants them for the loss."""

    # network

    @abstractmethod
    def network(self, phase: Phase, shape: tuple[int, ...], *, full_precision: bool = False) -> N:
        """The compiled network of a phase; see `AnyNetwork`."""

    @abstractmethod
    def begin(self, network: N, train: S) -> None:
        """Set the initial weights of a network, as its recipe and the job say.

        Raises:
            DlError: they don't fit.
        """

    def restored(self, phase: Phase, file: Path) -> N:
        """The network of a phase, with a saved model's weights.

        Raises:
            DlError: the model is damaged.
        """
        model = load_model(file)
        network = self.network(phase, tuple(model.input_shape[1:]))
        network.model.set_weights(model.get_weights())
        return network

    # scores

    @abstractmethod
    def trained_scores(self, means: Mapping[str, float]) -> dict[str, float]:
        """`scores` of an epoch's training.

        Args:
            means: the means of what `AnyNetwork.train` returned, over the epoch's samples.
        """

    @abstractmethod
    def valid_scores(self, y_true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        """`scores` of predictions.

        Args:
            y_true: labels, (n,).
            predicted: what `AnyNetwork.predict` returned, (n, ...).
        """

    def is_watched(self, phase: Phase) -> bool:
        """Whether `dl lr-find` goes by the validation loss after each step, and `guess_loss`.

        Else it goes by the running mean of the training loss.
        """
        return False

    def guess_loss(self, y_true: np.ndarray) -> float:
        """The loss of the best guess that knows the labels, but none of the samples."""
        raise NotImplementedError

    @abstractmethod
    def outcome(
        self,
        run: Run,
        network: N,
        model: keras.Model,
        samples: list[S],
        progress: Progress,
    ) -> Outcome:
        """Judge the best model, and write its predictions and what else belongs to the kind.

        Args:
            network: of the best epoch's phase, with the weights of that epoch.
            model: the whole model, as it is saved.
            samples: train and valid of that phase.
            progress: the progress of the training.
        """

    # the run's folder

    def resolved(self) -> Settings:
        """The settings, with every value as it was used."""
        # not even read if unused: those of a project that is not trusted are refused
        unread: dict[str, Any] = {"weights": None} if "weights" in self.unused else {}
        return replace(
            self.settings,
            dataset=str(self.dataset.root),
            workers=self.settings.threads,
            memory=round(self.settings.memory_bytes / 2**30, 6),
            **unread,
        )

    @property
    @abstractmethod
    def unused(self) -> tuple[str, ...]:
        """The names of the settings that it doesn't use."""

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """What the `run` block of `config.yaml` says of this kind of training."""

    @abstractmethod
    def write_labels(self, run: Run) -> None:
        """Write to the run's folder what the numbers of the model's inputs or outputs stand for."""

    def changed_since(self, record: RunRecord) -> tuple[str, str]:
        """Why a run can't be resumed with this job: the reason, and how to mend it, or ""."""
        return "", ""


AnyJob = Job[Any, Any]


def settings_for(
    config: Config, recipe_name: str, recipe: AnyRecipe, root: Path
) -> tuple[Config, Settings]:
    """The settings of a training: those of the dataset's folder, and what the recipe fixes.

    Raises:
        DlError: the dataset's file of settings can't be read.
    """
    pins = {name: Value(value, f"recipe {recipe_name}") for name, value in recipe.pinned.items()}
    config = config.with_defaults(dataset_settings(root), shown(root / SETTINGS))
    return config, Config(config.values | pins).settings()


def run_to_begin_with(named: str, settings: Settings, *, whole: bool) -> Run:
    """The run of `--init-from`.

    Args:
        whole: whether to refuse a part of a name.

    Raises:
        DlError: there is no such run, or it has no model of its own.
    """
    run = find_finished_run(named, settings.runs_dir, settings.data_dir, whole=whole)
    run.require_single("--init-from RUN")
    if not run.best_model.is_file():
        raise DlError(
            f"{run.name} has no model to start from",
            why=f"{shown(run.best_model)} does not exist",
            hint="Name another run: `--init-from RUN`.",
        )
    return run

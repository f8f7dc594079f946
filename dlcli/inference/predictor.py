"""Predictions of a dataset's splits: read from a run's files, or made if they are missing.

What differs between kinds of datasets is in a `Predictor` for each, see `dlcli.inference.kinds`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from dlcli.config import Config
from dlcli.data.dataset import Dataset
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.inference.kept import holder
from dlcli.inference.members import members_of
from dlcli.progress import say
from dlcli.runs.run import Run
from dlcli.runs.stand_in import runs_to_read, writable_run


class AnyPredictions(Protocol):
    """A model's predictions of some examples, whatever their kind."""

    @property
    def examples(self) -> Sequence[Hashable]:
        """What each row predicts: an image's path, or a pair of a user and an item."""

    @property
    def scores(self) -> dict[str, float]:
        """What the predictions are judged by, see `evaluation.scores`.

        Raises:
            DlError: not all of the examples have a true label.
        """


D = TypeVar("D", bound=Dataset)
P = TypeVar("P", bound=AnyPredictions)


class Predictor(ABC, Generic[D, P]):
    """Makes, reads and keeps the predictions `P` of datasets `D` of one kind."""

    @abstractmethod
    def opened(self, root: Path) -> D:
        """The dataset in a folder.

        Raises:
            DlError: it is not a dataset, or one of another kind.
        """

    @abstractmethod
    def require(self, dataset: D, split: str) -> None:
        """Refuse a split that has nothing to predict.

        Raises:
            DlError: says what is lacking.
        """

    @abstractmethod
    def require_labels(self, run: Run) -> None:
        """Refuse a run that has lost what its model's numbers stand for.

        Raises:
            DlError: names the file.
        """

    @abstractmethod
    def read(self, file: Path) -> P:
        """Read a file of predictions.

        Raises:
            DlError: it is damaged.
        """

    @abstractmethod
    def write(self, file: Path, predictions: P) -> None:
        """Write a file of predictions."""

    @abstractmethod
    def predict(self, run: Run, config: Config, dataset: D, split: str) -> P:
        """Predict a split with a run's own best model."""

    @abstractmethod
    def aligned(self, run: Run, members: Sequence[P]) -> tuple[list[P], int]:
        """The predictions of what all members predict, in one order, and how many are left out.

        Args:
            run: whose labels give the order of columns.

        Raises:
            DlError: the members have nothing in common.
        """

    @abstractmethod
    def mean(self, members: Sequence[P]) -> P:
        """The mean of `aligned` predictions."""

    def made_by(self, run: Run, config: Config, views: int) -> Mapping[str, Any]:
        """What the mean of several augmented views depends on."""
        raise DlError("`--tta` has no effect here", why="only images have augmented views")

    def views(self, run: Run, config: Config, dataset: D, split: str, count: int) -> list[P]:
        """A run's plain predictions, and those of each augmented view, aligned."""
        raise DlError("`--tta` has no effect here", why="only images have augmented views")

    def keep(self, run: Run, dataset: D, split: str, predictions: P, fingerprint: str) -> P:
        """Write one split's predictions, and the fingerprint of what they are of.

        Args:
            run: the run; if it can't be written to, they go to its `writable_run`.
            fingerprint: the split's, before it was read.
        """
        kept_in = writable_run(run)
        self.write(kept_in.predictions_file(split), predictions)
        kept_in.add_to_status("predicted", {split: fingerprint})
        return predictions

    def of(self, run: Run, root: Path | None, config: Config, split: str, views: int = 0) -> P:
        """One split's predictions, from the run's file or made again if missing or outdated.

        Args:
            run: a finished run.
            root: its dataset's folder, see `runs.choice.ChosenRun`; None: it is gone.
            config: workers, weights, what to do about unreadable images, amounts of augmentation.
            split: "valid" or "test".
            views: augmented views of each image to take the mean with, see `tta`; 0: none.

        Raises:
            DlError: both the file and the dataset are missing; the views would not be augmented.
        """
        file = run.predictions_file(split, views)
        how = self.made_by(run, config, views) if views else None
        if root is None:
            if folder := holder(run, split, None, how):
                file = folder.predictions_file(split, views)
                say(f"The dataset is gone. Using its predictions in {shown(file)} as they are.")
                return self.read(file)
            raise _gone(run, split, views, file)
        dataset = self.opened(root)
        self.require(dataset, split)
        fingerprint = dataset.fingerprint(split)  # before anything is read
        if folder := holder(run, split, fingerprint, how):
            return self.read(folder.predictions_file(split, views))
        if holder(run, split, None, how):
            of = f"The {dataset.noun}s in {shown(root / split)}"
            say(f"{of} have changed: predicting them again.")
        elif file.is_file():
            say(f"{shown(file)} was made with other augmentation: predicting {split} again.")
        self.require_labels(run)  # fails, if it does, before anything costs time
        if run.is_ensemble:
            each = self.of_members(run, members_of(run), root, config, split, views)
        elif views:
            each = self.views(run, config, dataset, split, views)
        else:
            predictions = self.predict(run, config, dataset, split)
            return self.keep(run, dataset, split, predictions, fingerprint)
        mean = self.mean(each)
        if how is None:
            return self.keep(run, dataset, split, mean, fingerprint)
        kept_in = writable_run(run)
        self.write(kept_in.predictions_file(split, views), mean)
        kept_in.add_to_status("predicted", {file.stem: {"images": fingerprint, "made_by": how}})
        return mean

    def of_needed(
        self, run: Run, root: Path | None, config: Config, split: str, views: int = 0
    ) -> P:
        """The same of a run that another one needs; says where they are kept, if not in the run."""
        kept_in = runs_to_read(run)[-1]
        before = kept_in.status.get("predicted")
        predictions = self.of(run, root, config, split, views)
        if kept_in != run and kept_in.status.get("predicted") != before:
            kept = f"its predictions of {split} are in {shown(kept_in.path)}"
            say(f"Can't write to {shown(run.path)}: {kept}.")
        return predictions

    def of_members(
        self,
        like: Run,
        members: Sequence[Run],
        root: Path | None,
        config: Config,
        split: str,
        views: int = 0,
    ) -> list[P]:
        """The predictions of an ensemble's members for one split, with the same in each row.

        What a member left out is left out for all, with a message.

        Args:
            like: the run whose labels give the order of columns: the ensemble, or a member.
            members: finished runs.
            root, config, split, views: as for `of`.
        """
        each = [self.of_needed(member, root, config, split, views) for member in members]
        same, left_out = self.aligned(like, each)
        if left_out:
            say(f"Left out {left_out:,} of {split}: not every member predicts them.")
        return same


def _gone(run: Run, split: str, views: int, file: Path) -> DlError:
    return DlError(
        f"The dataset of {run.name} is gone, so {split} can't be predicted"
        + (f" with `--tta {views}`" if views else ""),
        why=f"neither {shown(run.record.dataset.path)} nor a dataset of that name exists"
        + (f", and {shown(file)} was made with other augmentation" if file.is_file() else ""),
        hint="Put it back, or name it, `-d PATH`, or its parent folder, `--data-dir`.",
    )

"""The training loop knows a job alone: here of numbers, which no dataset of `dl` is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.stopped_training import stop_after_epoch

from dlcli.config import load_config
from dlcli.data.dataset import Dataset
from dlcli.evaluation.diagnosis import Diagnosis
from dlcli.recipe import AnyRecipe, Phase, Schedule
from dlcli.runs.run import Run
from dlcli.training.fit import Interrupted, fit
from dlcli.training.job import Job, Outcome
from dlcli.training.launch import new_run
from dlcli.training.network import AnyNetwork

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Numbers(Dataset):
    """Numbers, and their halves to be learned."""

    kind = "ratings"  # it has the same scores
    noun = "number"

    @property
    def sizes(self) -> Mapping[str, int]:
        return {"train": 64, "valid": 16, "test": 0}

    def fingerprint(self, split: str) -> str:
        return split


@dataclass(frozen=True)
class Rows:
    """The inputs of a split; it holds them in memory."""

    x: np.ndarray
    from_disk = False
    shape = (1,)

    def __len__(self) -> int:
        return len(self.x)

    def start_epoch(self, epoch: int) -> None:
        pass

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        return rng.permutation(len(self.x))

    def batches(
        self, order: np.ndarray, batch_size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            yield self.x[chosen], chosen


@dataclass(frozen=True)
class Samples:
    """Inputs and labels; all have one."""

    inputs: Rows

    @property
    def labelled(self) -> int:
        return len(self.inputs)

    @property
    def y_true(self) -> np.ndarray:
        halves: np.ndarray = self.inputs.x[:, 0] / 2
        return halves


@dataclass(frozen=True)
class Labels:
    """The labels, as they are."""

    y: np.ndarray

    def of(
        self, x: np.ndarray, chosen: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, None]:
        return x, self.y[chosen], None


class Line(AnyNetwork):
    """A line through the numbers."""

    loss = "mean_squared_error"

    def build(self) -> None:
        import keras

        self.model = keras.Sequential([keras.Input(self.shape), keras.layers.Dense(1, name="line")])

    def again(self, *, full_precision: bool = False) -> Line:
        return Line(self.recipe, self.phase, self.shape, full_precision=full_precision)


class Halving(Job[Samples, Line]):
    """Learn that each number is to be halved."""

    def read_samples(
        self, phase: Phase, splits: tuple[str, ...] = ("train", "valid")
    ) -> list[Samples]:
        rng = np.random.default_rng(0)
        sizes = [self.dataset.sizes[split] for split in splits]
        return [Samples(Rows(rng.normal(size=(n, 1)).astype(np.float32))) for n in sizes]

    def described(self, phase: Phase, train: Samples) -> str:
        return "numbers"

    def targets(self, train: Samples) -> Labels:
        return Labels(train.y_true)

    def network(
        self, phase: Phase, shape: tuple[int, ...], *, full_precision: bool = False
    ) -> Line:
        return Line(self.recipe, phase, shape, full_precision=full_precision)

    def begin(self, network: Line, train: Samples) -> None:
        network.model.set_weights([np.zeros((1, 1)), np.ones(1)])

    def trained_scores(self, means: Mapping[str, float]) -> dict[str, float]:
        return {"loss": means["loss"], "rmse": means["loss"] ** 0.5}

    def valid_scores(self, y_true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        loss = float(((predicted[:, 0] - y_true) ** 2).mean())
        return {"loss": loss, "rmse": loss**0.5}

    def outcome(
        self, run: Run, network: Line, model: keras.Model, samples: list[Samples], progress: Any
    ) -> Outcome:
        scores = self.valid_scores(samples[1].y_true, network.predict(samples[1].inputs))
        status = {f"val_{name}": score for name, score in scores.items()}
        return Outcome(status, Diagnosis("good fit", "It halves.", "Both errors are small.", ()))

    @property
    def unused(self) -> tuple[str, ...]:
        return ("backbone",)

    def record(self) -> dict[str, Any]:
        return {"halves": True}

    def write_labels(self, run: Run) -> None:
        pass


@pytest.fixture
def job(home: Path) -> Halving:
    root = home / "data" / "numbers"
    dataset = Numbers(root)
    recipe = AnyRecipe(schedule=Schedule.parse("1e-1x3,1e-2x3"), batch_size=16)
    return Halving(
        name="linear",
        recipe=recipe,
        dataset=dataset,
        fingerprints=dataset.fingerprints(),
        settings=load_config().settings(),
    )


def test_a_job_of_any_kind_trains_and_resumes(
    job: Halving, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = new_run(job), new_run(job)
    fit(job, whole)
    with monkeypatch.context() as patched:
        stop_after_epoch(patched, 2)
        with pytest.raises(Interrupted):
            fit(job, stopped)
    fit(job, stopped)
    assert stopped.history == whole.history
    assert [*whole.history[0]][3:] == ["loss", "rmse", "val_loss", "val_rmse"]
    assert whole.history[-1]["val_rmse"] < whole.history[0]["val_rmse"] / 2
    assert whole.status["state"] == "finished"
    best = min(row["val_rmse"] for row in whole.history)
    assert whole.status["val_rmse"] == pytest.approx(best, rel=1e-5)
    assert whole.config["run"]["dataset"]["numbers"] == dict(job.dataset.sizes)
    assert "backbone" not in whole.config

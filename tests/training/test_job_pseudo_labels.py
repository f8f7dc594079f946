"""Training joined by test images that a finished run has labelled."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.command_result import Dl, ok
from support.pictures import make_dataset
from support.small_run import SMALL, only_run

from dlcli.inference.predictions import read_predictions, write_predictions
from dlcli.runs.run import Run
from dlcli.training.photos.inputs import JoinedInputs

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

TRAIN = ("train", "finetune", "--schedule", "1e-2x3", *SMALL)


class Numbers:
    """Inputs whose samples are their own numbers, from an offset on."""

    def __init__(self, count: int, offset: int) -> None:
        self.paths = tuple(f"{offset + i}" for i in range(count))
        self._values = np.arange(offset, offset + count, dtype=np.float32)

    shape = ()

    def start_epoch(self, epoch: int) -> None:
        pass

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        return rng.permutation(len(self.paths))

    def batches(self, order: np.ndarray, batch_size: int):  # type: ignore[no-untyped-def]
        for i in range(0, len(order), batch_size):
            yield self._values[order[i : i + batch_size]], order[i : i + batch_size]


@given(st.integers(1, 80), st.integers(1, 30), st.integers(1, 16), st.floats(0.01, 0.99))
def test_an_epoch_has_every_labelled_sample_once_and_the_others_at_their_share(
    labelled: int, unlabelled: int, batch_size: int, share: float
) -> None:
    joined = JoinedInputs(
        Numbers(labelled, 0), Numbers(unlabelled, labelled), np.ones(unlabelled, bool), share
    )
    order = joined.shuffled(np.random.default_rng(0))
    batches = list(joined.batches(order, batch_size))
    for x, numbers in batches:
        np.testing.assert_array_equal(x, numbers)
        assert len(x) <= max(batch_size, 2)
    seen = np.concatenate([numbers for _, numbers in batches])
    assert sorted(seen[seen < labelled]) == list(range(labelled))
    assert (seen < labelled + unlabelled).all()


def test_a_quarter_of_each_batch_is_pseudo_labelled() -> None:
    joined = JoinedInputs(Numbers(96, 0), Numbers(500, 96), np.arange(500) < 300, 0.25)
    order = joined.shuffled(np.random.default_rng(0))
    shares = [(numbers >= 96).mean() for _, numbers in joined.batches(order, 16)]
    assert shares == [0.25] * 8
    assert order.max() < 96 + 300  # of the others the run knows nothing


def test_a_runs_labels_join_the_training(dl: Dl, dl_once: Dl, home: Path, tiny: Path) -> None:
    ok(dl_once(*TRAIN, "-d", tiny))
    labels = only_run(home)
    said = ok(dl(*TRAIN, "--pseudo-label", labels.name, "--pseudo-share", "0.5")).stderr
    assert "16 images and 5 pseudo-labelled, 3 epochs" in said
    runs = sorted((home / "runs" / "tiny").iterdir(), key=lambda path: path.stat().st_mtime)
    second = Run(runs[-1])
    assert second.config["train"]["finetune"]["pseudo_label"] == f"tiny/{labels.name}"
    assert "(16 images)" in second.status["diagnosis"]["evidence"]
    ok(dl("train", "linear", "--image-size", "16", "--pseudo-label", labels.name))


def test_a_run_of_other_classes_or_of_another_dataset_is_no_source_of_labels(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path
) -> None:
    ok(dl_once(*TRAIN, "-d", tiny))
    labels = only_run(home).name
    three = make_dataset(home / "data" / "three", classes=3)
    other = make_dataset(home / "data" / "other", test=4)
    none = make_dataset(home / "data" / "none", test=0)
    tiny_sample = make_dataset(home / "data" / "tiny-sample", test=0)
    expected = {
        three: "its classes are cat, dog, not cat, dog, fox",
        other: "is a run of another dataset",
        none: "there is nothing to label\nTrain without `--pseudo-label`.",
        tiny_sample: "a sample has no test images\nTrain on the whole dataset: `-d ~/data/tiny`.",
    }
    for dataset, text in expected.items():
        result = dl(*TRAIN, "-d", dataset, "--pseudo-label", labels)
        assert result.exit_code == 1
        assert text in result.stderr
    assert {path.name for path in (home / "runs").iterdir()} == {"tiny"}


def test_their_share_alone_has_no_effect_and_is_refused(dl: Dl, tiny: Path) -> None:
    refused = dl("train", "finetune", "-d", tiny, "--pseudo-share", "0.5")
    assert refused.exit_code == 2
    assert "`--pseudo-share` has no effect without `--pseudo-label RUN`" in refused.stderr


def test_a_run_resumes_only_with_the_labels_that_it_began_with(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(dl_once(*TRAIN, "-d", tiny))
    labels = only_run(home)
    from dlcli.training import fit

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fit, "keep_outcome", stop)
        assert dl(*TRAIN, "--pseudo-label", labels.name).exit_code == 130
    stopped = next(r for r in Run.all(home / "runs") if r.name != labels.name)
    file = labels.predictions_file("test")
    kept = file.read_text()
    predictions = read_predictions(file)
    write_predictions(file, replace(predictions, y_prob=predictions.y_prob[:, ::-1]))
    away = labels.path.rename(home / "away")
    refused = dl("resume", stopped.name)
    assert refused.exit_code == 1
    assert (
        f"{stopped.name} can't be resumed without tiny/{labels.name}: No such run" in refused.stderr
    )
    assert "Restore that run. To train a new run: `dl train finetune -d " in refused.stderr
    away.rename(labels.path)
    refused = dl("resume", stopped.name)
    assert "now labels the test images differently" in refused.stderr
    file.write_text(kept)
    ok(dl("resume", stopped.name))
    shutil.rmtree(labels.path)
    ok(dl("evaluate", stopped.name))

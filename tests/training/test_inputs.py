"""Stored features to train on: held in memory as far as that is allowed, else read from disk."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.command_result import Dl, ok
from support.small_run import SMALL, only_run

from dlcli.config import load_config
from dlcli.features.compute import Features
from dlcli.training.photos.inputs import FeatureInputs
from dlcli.training.photos.job import make_job, read_samples

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

SHAPE = (7, 7, 256)
ROWS = 6000  # 300 MB
LIMIT = 24 << 20


def stored(folder: Path, rows: int, value: float = 0.0) -> Features:
    """Features on disk that compress well; the first number of row i is i + value."""
    import bcolz

    array = bcolz.carray(
        np.empty((0, *SHAPE), np.float32), rootdir=str(folder), mode="w", chunklen=64
    )
    for start in range(0, rows, 64):
        chunk = np.zeros((min(64, rows - start), *SHAPE), np.float32)
        chunk[:, 0, 0, 0] = np.arange(start, start + len(chunk)) + value
        array.append(chunk)
    array.flush()
    return Features(bcolz.open(str(folder), mode="r"), tuple(f"train/a/{i}" for i in range(rows)))


def epoch(inputs: FeatureInputs, number: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The first number of each row and the row numbers, in the order of an epoch."""
    inputs.start_epoch(number)
    order = inputs.shuffled(np.random.default_rng(number))
    batches = list(inputs.batches(order, 50))
    first = np.concatenate([x[:, 0, 0, 0] for x, _ in batches])
    return first, np.concatenate([numbers for _, numbers in batches])


@pytest.mark.parametrize("memory", [0, LIMIT, 1 << 40])
def test_every_row_comes_once_whatever_fits_into_memory(tmp_path: Path, memory: int) -> None:
    inputs = FeatureInputs([stored(tmp_path / "a.bc", 500)], memory)
    assert inputs.from_disk == (memory == 0)
    assert inputs.shape == SHAPE
    values, numbers = epoch(inputs)
    np.testing.assert_array_equal(values, numbers)
    assert sorted(numbers) == list(range(500))
    assert list(numbers[:50]) != sorted(numbers[:50])


@pytest.mark.parametrize("memory", [0, 500 * 50_176, 1 << 40])
def test_epochs_take_the_passes_in_turn_and_none_is_the_plain_one(
    tmp_path: Path, memory: int
) -> None:
    passes = [stored(tmp_path / f"{n}.bc", 500, value=n / 10) for n in range(3)]
    inputs = FeatureInputs(passes, memory)
    for number, expected in ((0, 0.0), (1, 0.1), (2, 0.2), (3, 0.0), (4, 0.1), (0, 0.0)):
        values, numbers = epoch(inputs, number)
        np.testing.assert_allclose(values - numbers, expected, atol=1e-4)


def test_features_larger_than_the_limit_are_never_in_memory_whole(tmp_path: Path) -> None:
    stored(tmp_path / "large.bc", ROWS)
    script = f"""
import resource, bcolz, numpy as np
from dlcli.config import load_config
from dlcli.training.photos.inputs import FeatureInputs
from dlcli.features.compute import Features
from dlcli.training.photos.samples import read_samples
from dlcli.training.photos.job import make_job
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
rows = bcolz.open({str(tmp_path / "large.bc")!r}, mode="r")
inputs = FeatureInputs([Features(rows, tuple(map(str, range({ROWS}))))], {LIMIT})
before = peak()
for number in range(2):
    order = inputs.shuffled(np.random.default_rng(number))
    assert sum(len(x) for x, _ in inputs.batches(order, 64)) == {ROWS}
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 2 * LIMIT < ROWS * 50_176 / 4


@pytest.mark.parametrize(("recipe", "sizes"), [("fc", (16, 8)), ("linear", (16, 8))])
def test_the_limit_is_for_all_splits_together(
    dl: Dl, tiny: Path, recipe: str, sizes: tuple[int, int]
) -> None:
    """A memory that holds either split but not both: the smaller one is held."""
    config = load_config().with_flags({"image_size": "64", "precision": "f32"})
    job = make_job(config, recipe, tiny)
    (phase,) = job.recipe.phases()
    train, valid = read_samples(job, phase)
    assert (len(train.inputs.paths), len(valid.inputs.paths)) == sizes
    one = int(np.prod(train.inputs.shape)) * (4 if recipe == "fc" else 1)
    for images, held in ((24, (True, True)), (23, (False, True)), (7, (False, False))):
        memory = (images * one + 1) / 2**30
        limited = replace(job, settings=replace(job.settings, memory=memory))
        both = read_samples(limited, phase)
        assert tuple(not samples.inputs.from_disk for samples in both) == held


def test_training_from_disk_learns_resumes_and_repeats_itself(
    dl: Dl, home: Path, tiny: Path
) -> None:
    options = ("-d", tiny, "--units", "16", "--schedule", "1e-2x6", "--memory", "0.00001", *SMALL)
    assert "read from disk" in ok(dl("train", "fc", *options)).stderr
    first = only_run(home)
    assert first.status["train_accuracy"] > 0.9
    assert first.config["memory"] == 1e-05
    ok(dl("train", "fc", *options))
    second = next(p for p in first.path.parent.iterdir() if p != first.path)
    assert (second / "history.csv").read_bytes() == first.history_file.read_bytes()

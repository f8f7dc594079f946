"""The learning-rate range test: what it trains on, when it stops, what it suggests."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.command_result import Dl, ok
from support.project import make_project
from support.small_run import SMALL

from dlcli.config import Config
from dlcli.experiments import lr_finder
from dlcli.experiments.lr_finder import FOLDER, RangeTest, RunningMean
from dlcli.files.formats import read_csv
from dlcli.files.own import NotOwnError
from dlcli.runs.run import Run
from dlcli.training.photos.targets import Targets

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

KINDS = {
    "features": ("finetune",),
    "images": ("linear",),
    "augmented": ("finetune", "--augment"),
    "unfrozen later": ("finetune", "--unfreeze", "1"),
    "soft": ("linear", "--mixup", "0.2", "--label-smoothing", "0.1", "--class-weights"),
}
# A recipe that can't learn: its answer is the same whatever the weights are.
CONSTANT = '''"""The same answer to everything."""

from dataclasses import dataclass

from dlcli.recipe import Recipe


@dataclass(frozen=True)
class Constant(Recipe):
    layer = None

    def head(self, input_shape, n_classes):
        from keras import Input, Sequential, layers

        none = layers.Rescaling(FACTOR)
        answer = layers.Dense(n_classes, activation="softmax")
        return Sequential([Input(input_shape), layers.Flatten(), answer, none, layers.Softmax()])
'''


def table(home: Path, recipe: str) -> np.ndarray:
    """The rows that a test has written: step, learning rate, loss, smoothed, any valid loss."""
    header, *rows = read_csv(home / "runs" / "tiny" / FOLDER / f"{recipe}.csv")
    assert header[:4] == ["step", "learning_rate", "loss", "smoothed"]
    assert header[4:] in ([], ["valid_loss"])
    return np.array(rows, float)


def shaped(losses: list[float], steps: int = 100) -> RangeTest:
    mean = RunningMean(0.9)
    rates = np.geomspace(1e-7, 10, steps)[: len(losses)]
    return RangeTest(rates, np.array(losses), np.array([mean.add(loss) for loss in losses]), steps)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_steps_see_the_batches_of_training(
    dl: Dl, home: Path, tiny: Path, kind: str
) -> None:
    # at these rates no step changes anything, so that a pass has the loss of an epoch
    words = (*KINDS[kind], "-d", tiny, *SMALL)
    ok(dl("lr-find", *words, "--steps", "30"))
    (folder,) = (home / "runs" / "tiny").iterdir()
    assert not Run(folder).is_run
    folder.rename(home / "found")
    later = ("--unfreeze-schedule", "1e-7") if "later" in kind else ()
    ok(dl("train", *words, "--schedule", "1e-7", *later))
    (home / "found").rename(folder)
    (run,) = Run.all(home / "runs")
    assert table(home, KINDS[kind][0])[:4, 2].mean() == pytest.approx(run.history[0]["loss"], 1e-3)


def test_the_rate_grows_by_a_constant_factor_until_the_loss_leaves_its_bounds(
    dl: Dl, home: Path, tiny: Path
) -> None:
    ok(dl("lr-find", "linear", "-d", tiny, *SMALL))
    step, rate, loss, smoothed = table(home, "linear").T
    assert step.tolist() == list(range(1, len(step) + 1))
    assert rate[0] == 1e-7
    np.testing.assert_allclose(rate[1:] / rate[:-1], 1e8 ** (1 / 99), rtol=1e-6)
    assert len(step) < 100
    best = np.minimum.accumulate(smoothed)
    assert smoothed[-1] > 4 * best[-1]
    assert (smoothed[:-1] <= 4 * best[:-1]).all()
    assert smoothed[0] == loss[0]


def test_the_same_seed_gives_the_same_numbers_and_another_gives_others(
    dl: Dl, home: Path, tiny: Path
) -> None:
    words = ("lr-find", "linear", "-d", tiny, "--augment", "--steps", "10", *SMALL)
    tables = [(ok(dl(*words, "--seed", seed)), table(home, "linear"))[1] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(tables[0], tables[1])
    assert not np.array_equal(tables[0], tables[2])


@pytest.mark.parametrize("recipe", ["linear", "finetune"])
def test_what_does_not_fit_into_memory_is_read_from_disk(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    monkeypatch.setenv("DL_MEMORY", "0")
    ok(dl("lr-find", recipe, "-d", tiny, "--steps", "20", *SMALL))
    assert len(table(home, recipe)) > 4  # it went around more than once


def test_a_dataset_smaller_than_a_batch_is_enough(dl: Dl, home: Path, tiny: Path) -> None:
    said = ok(dl("lr-find", "finetune", "-d", tiny, "--image-size", "64", "--batch-size", "500"))
    assert "learning rate  " in said.stdout
    assert len(table(home, "finetune")) > 50


def test_a_network_that_learns_nothing_gets_no_rate(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_project(home / "project", constant=CONSTANT.replace("FACTOR", "0.0")))
    said = ok(dl("lr-find", "constant", "-d", tiny, "--schedule", "1e-3x2", *SMALL))
    assert said.stdout.startswith("learning rate  none\n")
    assert "No suggestion: the loss never fell by more than" in said.stderr
    assert "try more steps: `dl lr-find constant --steps 300 --schedule 0.001x2 " in said.stderr
    assert "constant.png" in said.stderr
    assert len(table(home, "constant")) == 100


def test_a_loss_that_is_no_number_ends_the_test_and_gives_no_rate(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = CONSTANT.replace("FACTOR", "float('nan')")
    monkeypatch.chdir(make_project(home / "project", constant=nan))
    said = ok(dl("lr-find", "constant", "-d", tiny, *SMALL))
    assert "No suggestion: the loss is not a number at a rate as low as 1." in said.stderr
    assert "more steps" not in said.stderr
    assert len(table(home, "constant")) <= 2  # on JAX the first still is one


def test_ctrl_c_leaves_nothing_behind(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Targets, "of", stop)
    said = dl("lr-find", "linear", "-d", tiny, *SMALL)
    assert said.exit_code == 130
    assert said.stderr.endswith("Interrupted.\n")
    assert said.stdout == ""
    assert not (home / "runs").exists()


def test_suggested_is_a_tenth_of_the_best_rate_with_one_digit() -> None:
    fall = np.r_[np.full(40, 1.0), np.linspace(1, 0.2, 20), np.linspace(0.2, 3, 20)]
    noisy = fall + np.random.default_rng(0).normal(0, 0.02, 80)
    test = shaped([*noisy])
    assert test.lowest is not None
    assert 55 <= test.lowest <= 70
    best = test.learning_rates[test.lowest]
    assert test.suggestion == pytest.approx(best / 10, rel=0.5)
    assert f"{test.suggestion:.0e}" == f"{test.suggestion:.6e}".replace(".000000", "")


def test_a_loss_that_fell_and_then_broke_has_a_best_rate() -> None:
    assert shaped([*np.full(40, 1.0), *np.linspace(1, 0.2, 20), float("nan")]).lowest == 59
    assert shaped([*np.full(10, 1.0), float("inf")]).suggestion is None


def test_a_loss_that_falls_to_the_end_shows_no_rate_to_be_too_high() -> None:
    falling = shaped([*np.full(40, 1.0), *np.linspace(1, 0.2, 60)])
    assert falling.open_ended
    rising = shaped([*np.full(40, 1.0), *np.linspace(1, 0.2, 40), *np.linspace(0.2, 0.6, 20)])
    assert rising.suggestion
    assert not rising.open_ended
    broken = shaped([*np.full(40, 1.0), *np.linspace(1, 0.2, 56), float("inf")])
    assert broken.suggestion
    assert not broken.open_ended
    flat = shaped([*np.full(40, 1.0), *np.linspace(1, 0.2, 20), *np.full(40, 0.2)])
    assert flat.open_ended
    assert not shaped([1.0] * 100).open_ended


def on_features(valid: list[float], steps: int = 100, guess_loss: float = 4.0) -> RangeTest:
    """A test whose training loss falls by memorising, up to any rate."""
    rates = np.geomspace(1e-7, 10, steps)[: len(valid)]
    fall = np.linspace(4.2, 0.0, len(valid))
    return RangeTest(rates, fall, fall, steps, np.array(valid), guess_loss)


def test_on_features_the_rate_is_that_of_half_of_the_validation_losss_fall() -> None:
    # with 402 photos of 60 breeds the rule of the training loss said 1, at which it gave 5.65
    valid = [*np.full(60, 4.2), *np.linspace(4.0, 0.6, 15), *np.linspace(0.6, 6.0, 20)]
    test = on_features(valid)
    assert test.half == 68
    assert test.suggestion == pytest.approx(test.learning_rates[68], rel=0.1)
    assert not test.open_ended
    assert on_features([4.2] * 100).suggestion is None
    assert "below that of guessing" in on_features([4.2] * 100).why_none
    assert on_features([9.0, 8.0, *np.linspace(8, 3.99, 98)]).suggestion is None
    assert on_features([float("nan")]).suggestion is None


@pytest.mark.parametrize("steps", [20, 100, 300, 1000])
def test_the_number_of_steps_does_not_change_the_rate_that_features_get(steps: int) -> None:
    # Adam's steps are as long as their rate: the loss falls with the sum of the rates so far
    far = np.cumsum(np.geomspace(1e-7, 10, steps))
    found = on_features([*4 / (1 + far / 0.06)], steps).suggestion
    assert found == pytest.approx(0.01, rel=1.0 if steps == 20 else 0.2)  # a step is a factor of 3


@given(
    st.lists(st.floats(0, 12) | st.just(math.nan), min_size=1, max_size=100),
    st.integers(10, 100),
)
def test_no_rate_is_suggested_after_which_the_validation_loss_was_above_that_of_guessing(
    valid: list[float], steps: int
) -> None:
    test = on_features(valid[:steps], steps)
    if test.suggestion is not None:
        assert test.half is not None
        # to one significant digit
        until = test.half + int((test.learning_rates[test.half :] < 0.9 * test.suggestion).sum())
        assert (test.valid[test.half : max(until, test.half + 1)] < 4).all()  # type: ignore[index]


def test_a_phase_on_features_measures_the_validation_images_too(
    dl: Dl, home: Path, tiny: Path
) -> None:
    ok(dl("lr-find", "finetune", "-d", tiny, "--steps", "10", *SMALL))
    ok(dl("lr-find", "linear", "-d", tiny, "--steps", "10", *SMALL))
    valid = table(home, "finetune")[:, 4]
    assert (valid > 0).all()
    assert valid[0] == pytest.approx(valid[1], abs=1e-3)  # no rate has changed anything
    assert table(home, "linear").shape[1] == 4


def test_noise_is_no_fall() -> None:
    draw = np.random.default_rng(0)
    found = [shaped([*draw.normal(1, 0.1, 100)]).suggestion for _ in range(100)]
    assert found.count(None) >= 70
    assert shaped([1.0] * 100).suggestion is None
    assert shaped([*np.linspace(1, 4, 60)]).suggestion is None


def test_a_running_mean_counts_from_its_first_value_on() -> None:
    mean = RunningMean(0.9)
    assert [mean.add(3.0) for _ in range(5)] == pytest.approx([3.0] * 5)
    mean = RunningMean(0.9)
    last = [mean.add(value) for value in (1.0, 2.0, 4.0)][-1]
    assert last == pytest.approx(np.average([1, 2, 4], weights=[0.81, 0.9, 1]))
    assert [RunningMean(0).add(value) for value in (1.0, 5.0)] == [1.0, 5.0]


def test_results_are_not_written_behind_a_link(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = SimpleNamespace(
        settings=SimpleNamespace(runs_dir=home / "runs"), dataset=SimpleNamespace(name="tiny")
    )
    monkeypatch.setattr(lr_finder, "make_job", lambda *_: job)
    monkeypatch.setattr(lr_finder, "range_test", lambda *_: pytest.fail("it trains first"))
    (home / "runs" / "tiny").mkdir(parents=True)
    (home / "runs" / "tiny" / FOLDER).symlink_to(tmp_path)
    with pytest.raises(NotOwnError, match=f"{FOLDER} is a link to"):
        lr_finder.find_learning_rate(Config({}), "linear", home, 10)

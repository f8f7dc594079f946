"""Ensembles of runs on ratings: the mean of predicted ratings, aligned by user and item."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.command_result import Dl, ok
from support.judged_run import ITEMS, USERS, judged_run, off_by, predicted, ratings
from support.predicted_run import two_runs_of_pets

from dlcli.errors import ExitCode
from dlcli.inference.ratings.predict import RATINGS
from dlcli.inference.ratings.predictions import read_predictions
from dlcli.runs.run import Run

ALL = USERS * ITEMS


def only_ensemble(home: Path) -> Run:
    (run,) = (run for run in Run.all(home / "runs") if "-ensemble-" in run.name)
    return run


def test_ratings_are_the_mean_of_the_members(dl: Dl, home: Path) -> None:
    judged_run("one", off_by(0.5, -0.5))
    judged_run("two", off_by(0.1, 0.3))
    said = ok(dl("ensemble", "one", "two"))
    run = only_ensemble(home)
    kept = read_predictions(run.predictions_file("valid"))
    assert kept.predicted == pytest.approx(off_by(0.3, -0.1), abs=1e-6)
    assert kept.ratings.tolist() == ratings()
    mse = (0.3**2 + 0.1**2) / 2
    assert run.status["val_loss"] == pytest.approx(mse)
    assert run.status["val_rmse"] == pytest.approx(mse**0.5)
    assert said.stdout.splitlines() == [
        "run                       valid RMSE     MSE",
        "one                           0.5000  0.2500",
        "two                           0.2236  0.0500",
        "mean score of members         0.3618  0.1500",
        f"{run.name}      0.2236  0.0500",
    ]


def test_it_is_a_run_on_ratings_like_its_members(dl: Dl, home: Path) -> None:
    one = judged_run("one", off_by(0.5), record={"users": USERS, "items": ITEMS, "scale": {}})
    two = judged_run("two", off_by(-0.1))
    made = json.loads(ok(dl("ensemble", "one", "two", "--json")).stdout)
    run = only_ensemble(home)
    assert (run.record.kind, run.record.recipe, run.is_ensemble) == ("ratings", "ensemble", True)
    assert run.record.dataset == one.record.dataset
    assert run.users_file.read_bytes() == one.users_file.read_bytes()
    assert run.items_file.read_bytes() == one.items_file.read_bytes()
    assert not run.classes_file.exists()
    assert run.config["run"]["users"] == USERS
    assert [each.scores for each in run.record.members] == [
        pytest.approx({"loss": 0.25, "rmse": 0.5}),
        pytest.approx({"loss": 0.01, "rmse": 0.1}),
    ]
    assert [each.path for each in run.record.members] == [one.path, two.path]
    assert made["val_loss"] == pytest.approx(0.04)
    assert made["members_mean"] == pytest.approx({"val_loss": 0.13, "val_rmse": 0.3})
    shown = ok(dl("runs", "show", run.name)).stdout
    assert "member  valid RMSE     MSE" in shown
    assert "valid rmse" in shown


def test_pairs_that_not_all_members_predict_are_left_out(dl: Dl, home: Path) -> None:
    judged_run("one", off_by(0.5), rows=slice(0, 100))
    judged_run("two", off_by(0.1), rows=slice(20, 120))
    said = ok(dl("ensemble", "one", "two"))
    assert "Left out 40 of valid: not every member predicts them." in said.stderr
    assert len(read_predictions(only_ensemble(home).predictions_file("valid")).users) == 80


def test_runs_on_photos_and_on_ratings_make_no_ensemble(dl: Dl, home: Path) -> None:
    two_runs_of_pets(home, "one", "two")
    judged_run("three")
    said = dl("ensemble", "one", "three")
    assert said.exit_code == ExitCode.ERROR
    assert "one and three are runs on different kinds of datasets" in said.stderr
    assert "Make an ensemble of runs of one dataset." in said.stderr


def test_runs_on_other_splits_make_no_ensemble(dl: Dl) -> None:
    judged_run("one")
    prints = {"train": "3" * 16, "valid": "4" * 16, "test": "5" * 16}
    other = {"path": "/data/films", "fingerprints": prints, "ratings": {"train": 1}}
    judged_run("two", record={"dataset": other})
    said = dl("ensemble", "one", "two")
    assert "one and two had different validation ratings" in said.stderr
    assert "trained on the same ratings." in said.stderr


@given(seed=st.integers(0, 1 << 32), members=st.integers(2, 6))
def test_the_error_of_the_mean_is_at_most_the_mean_error(seed: int, members: int) -> None:
    rng = np.random.default_rng(seed)
    each = [predicted(rng.uniform(-3, 8, ALL).tolist()) for _ in range(members)]
    mean = RATINGS.mean(each)
    assert mean.scores["loss"] <= np.mean([one.scores["loss"] for one in each]) * (1 + 1e-6)

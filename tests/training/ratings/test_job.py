"""Training on ratings: what a run says and keeps, stopped and resumed, and run again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from support.command_result import Dl, ok
from support.forked_commands import Forks
from support.pictures import make_dataset
from support.small_ratings import films, organized
from support.stopped_training import stop_after_epoch

from dlcli.catalog import make_recipe
from dlcli.config import load_config
from dlcli.data.ratings.ratings import Ratings, open_ratings
from dlcli.errors import DlError
from dlcli.inference.ratings.predictions import read_predictions
from dlcli.recipe import RatingRecipe
from dlcli.runs.run import Run
from dlcli.training.kinds import make_job
from dlcli.training.launch import first_difference, rerun
from dlcli.training.ratings.outcome import keep_predictions
from dlcli.training.ratings.samples import Samples

SHORT = ("--factors", "4", "--schedule", "3e-2x2,1e-2")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films(tmp_path_factory.mktemp("made") / "films")


@pytest.fixture
def root(home: Path, made: Path) -> Path:
    """A dataset of 60 users and 80 items, in the data folder."""
    return Path(shutil.copytree(made, home / "data" / "films"))


def only_run(home: Path, *without: Run) -> Run:
    known = {run.path for run in without}
    (path,) = (each for each in (home / "runs" / "films").iterdir() if each not in known)
    return Run(path)


@pytest.mark.slow
def test_a_run_keeps_ids_scores_and_predictions(dl: Dl, home: Path, root: Path) -> None:
    result = ok(dl("train", "collab-dot", "-d", root, *SHORT))
    run, dataset = only_run(home), open_ratings(root)
    assert run.name.endswith("-collab-dot-e3-lr0.03-k4-b256")
    said = " ".join(result.stderr.split())
    assert "256 ratings per step, not the usual 8,192." in said
    assert "of a user or an item without a training rating (1 user, 1 item)" in said
    train = dataset.sizes["train"]
    assert f"Training model on {train:,} ratings of 59 users and 79 items, 3 epochs." in said
    assert run.users_file.read_text().splitlines() == ["id", *dataset.user_ids]
    assert run.items_file.read_text().splitlines() == [
        "id,title",
        *(f"{i}," for i in dataset.item_ids),
    ]
    assert [*run.history[0]] == [
        *("epoch", "phase", "learning_rate", "loss", "rmse", "val_loss", "val_rmse")
    ]
    predicted = read_predictions(run.predictions_file("valid"))
    rows = dataset.rows("valid")
    assert predicted.users == tuple(dataset.user_ids[n - 1] for n in dataset.users[rows])
    assert predicted.items == tuple(dataset.item_ids[n - 1] for n in dataset.items[rows])
    assert np.array_equal(predicted.ratings, dataset.values[rows])
    mse = float(((predicted.predicted - predicted.ratings) ** 2).mean())
    best = min(run.history, key=lambda row: float(row["val_loss"]))
    assert run.status["val_loss"] == pytest.approx(mse, rel=1e-4) == best["val_loss"]
    assert run.status["val_rmse"] == pytest.approx(mse**0.5, rel=1e-4)
    assert run.status["best_epoch"] == best["epoch"]
    assert run.record.kind == "ratings"
    assert run.record.dataset.ratings == dict(dataset.sizes)
    assert f"valid RMSE {mse**0.5:.4f}" in result.stdout


def test_ids_are_read_once_for_all_predictions(
    home: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read for each of 4 million predictions, 27,000 ids took more than an hour."""
    names, read = open_ratings(root).item_ids, []
    monkeypatch.setattr(Ratings, "item_ids", property(lambda dataset: read.append(1) or names))
    run = Run.create(home / "runs", "films", "collab-dot", ())
    valid = Samples(open_ratings(root), "valid")
    run.make_folders()
    keep_predictions(run, valid, np.zeros(valid.labelled), "0" * 16)
    assert len(read) == 1
    assert len(read_predictions(run.predictions_file("valid")).items) == valid.labelled


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("collab-dot", *SHORT),
        ("collab-net", *SHORT, "--ema", "0.5", "--mixed-precision"),
    ],
    ids=lambda options: options[0],
)
def test_a_run_stopped_after_any_epoch_goes_on_as_if_never_stopped(
    dl: Dl, home: Path, root: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    command = ("train", *options, "-d", root)
    ok(dl(*command))
    whole = only_run(home)
    stop_after_epoch(monkeypatch)
    assert dl(*command).exit_code == 130
    run = only_run(home, whole)
    for _ in range(len(whole.history) - 1):
        assert dl("resume", run.name).exit_code == 130
    ok(dl("resume", run.name))
    assert run.history_file.read_text() == whole.history_file.read_text()
    predictions = {each.predictions_file("valid").read_bytes() for each in (run, whole)}
    assert len(predictions) == 1
    assert not run.checkpoint.exists()


@pytest.mark.slow
def test_a_killed_run_goes_on_and_a_rerun_has_the_same_history(
    dl: Dl, forks: Forks, home: Path, root: Path
) -> None:
    pid = forks.start("train", "collab-dot", "-d", root, "--factors", "4", "--epochs", "24")
    for _ in range(6000):
        found = [*(home / "runs").glob("*/*/history.csv")]
        if found and len(Run(found[0].parent).history) >= 2:
            break
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    assert forks.end().exit_code == -signal.SIGKILL
    run = only_run(home)
    assert 2 <= len(run.history) < 24
    ok(dl("resume", run.name))
    assert len(run.history) == 24
    again = rerun(run)
    assert first_difference(run.history, again.history) is None


@pytest.mark.slow
def test_another_run_gives_first_weights_if_its_ids_are_the_same(
    dl: Dl, home: Path, root: Path
) -> None:
    ok(dl("train", "collab-dot", "-d", root, *SHORT))
    first = only_run(home)
    said = ok(dl("train", "collab-net", "-d", root, *SHORT, "--init-from", first.name)).stderr
    assert f"Started from {first.name}: " in said
    for table in ("user_bias", "item_bias", "user_scale", "user_vectors", "item_vectors"):
        assert table in said
    other = films(home / "data" / "other", users=50)
    refused = dl("train", "collab-dot", "-d", other, *SHORT, "--init-from", first.name)
    assert refused.exit_code == 1
    assert "its users are not those of other" in refused.stderr


def test_ratings_that_are_not_split_are_refused_with_what_to_type(home: Path) -> None:
    organized(home / "data")
    root = home / "data" / "films"
    with pytest.raises(DlError, match=r"No ratings of .* are in `valid`") as error:
        make_job(load_config(), "collab-dot", root)
    assert error.value.hint == "Split them first: `dl data split ~/data/films`."


def test_a_recipe_for_another_kind_is_refused_and_one_that_fits_is_named(
    home: Path, root: Path
) -> None:
    with pytest.raises(DlError, match="The recipe `linear` can't train on") as error:
        make_job(load_config(), "linear", root)
    assert "`dl train collab-bias -d " in error.value.hint
    photos = make_dataset(home / "data" / "tiny", train=2, valid=1)
    with pytest.raises(DlError, match="The recipe `collab-dot` can't train on") as error:
        make_job(load_config(), "collab-dot", photos)
    assert "`dl train bn -d " in error.value.hint


@pytest.mark.parametrize(
    ("ratings", "batch"),
    [(1, 1), (100, 8), (2_400, 256), (80_003, 8_192), (800_000, 65_536), (16_000_000, 65_536)],
)
def test_an_epoch_has_about_ten_steps_until_batches_are_large(ratings: int, batch: int) -> None:
    recipe = make_recipe("collab-dot", {})
    assert isinstance(recipe, RatingRecipe)
    assert recipe.fitted(ratings).batch_size == batch


OWN = '''"""Predict the mean."""

from dataclasses import dataclass

from dlcli.recipe import RatingRecipe


@dataclass(frozen=True)
class Mean(RatingRecipe):
    """The mean, and one number."""

    def model(self, facts):
        from keras import Input, Model, layers

        pairs = Input((2,), dtype="int32")
        zero = layers.Rescaling(0.0)(pairs)
        return Model(pairs, layers.Rescaling(1.0, facts.mean)(layers.Dense(UNITS)(zero)))
'''


@pytest.mark.slow
def test_a_project_recipe_trains_or_its_fault_is_said(dl: Dl, home: Path, root: Path) -> None:
    (home / "dl.yaml").touch()
    (home / "recipes").mkdir()
    for name, units in (("mean", "1"), ("wide", "3"), ("broken", "nothing")):
        (home / "recipes" / f"{name}.py").write_text(OWN.replace("UNITS", units))
    ok(dl("config", "trust"))
    ok(dl("train", "mean", "-d", root, "--epochs", "1"))
    assert only_run(home).record.recipe == "mean"
    for name, why in (
        ("wide", "The network of the recipe `wide` doesn't make ratings of pairs: expected shapes"),
        ("broken", "can't build its network: NameError: name 'nothing' is not defined"),
    ):
        refused = dl("train", name, "-d", root)
        assert refused.exit_code == 1
        assert why in " ".join(refused.stderr.split())
    assert len([*(home / "runs" / "films").iterdir()]) == 1


@pytest.mark.slow
def test_a_learning_rate_is_found_by_the_training_loss(dl: Dl, home: Path, root: Path) -> None:
    found = json.loads(
        ok(dl("lr-find", "collab-dot", "-d", root, "--batch-size", "1024", "--json")).stdout
    )
    assert 1e-4 <= found["learning_rate"] <= 0.1
    header = Path(found["table"]).read_text().splitlines()[0]
    assert header == "step,learning_rate,loss,smoothed"

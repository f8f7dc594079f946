"""`dl evaluate` of a run on ratings, as it is typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.collab_run import rated_run
from support.command_result import Dl, ok, refused
from support.pictures import make_dataset
from support.predicted_run import predicted_run
from support.small_ratings import films

from dlcli.data.ratings.ratings import open_ratings
from dlcli.files.formats import read_yaml
from dlcli.inference.ratings.predictions import read_predictions
from dlcli.runs.run import Run

pytestmark = pytest.mark.slow


@pytest.fixture
def run(home: Path) -> Run:
    """A run that nobody trained, on 60 users' ratings of 80 items."""
    (home / "data").mkdir()
    return rated_run(films(home / "data" / "films"))


def test_it_prints_errors_baselines_and_groups_and_writes_the_page(dl: Dl, run: Run) -> None:
    result = ok(dl("evaluate", "-d", "films"))
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["ratings", "RMSE", "MSE", "MAE"]
    table = lines.index(next(line for line in lines if line.startswith("predictions")))
    names = [line.split("  ")[0] for line in lines[table + 1 : table + 6]]
    means = ["global mean", "item mean", "user + item means"]
    assert names == [*means, "bias model", "the model"]
    assert any(line.startswith("The best baseline is the ") for line in lines)
    assert "; next: `dl predict --user u0 --top 10`" in result.stderr
    metrics = read_yaml(run.metrics_file)
    predictions = read_predictions(run.predictions_file("valid"))
    error = ((predictions.ratings - predictions.predicted) ** 2).mean()
    assert metrics["mse"] == pytest.approx(error)
    assert metrics["unseen"]["users"] == metrics["unseen"]["items"] == 1
    assert "ranking" not in metrics
    page = run.report_file.read_text(encoding="utf-8")
    assert "Map of items" in page
    assert "Best and worst items" in page
    assert {path.name for path in run.figures.iterdir()} == {"items.png", "residuals.png"}


def test_lists_are_scored_on_top_alone(dl: Dl, run: Run) -> None:
    printed = json.loads(ok(dl("evaluate", run.name, "--top", "5", "--json")).stdout)
    assert printed == read_yaml(run.metrics_file)
    ranking = printed["ranking"]
    assert ranking["k"] == 5
    assert 0 <= ranking["recall"] <= 1
    assert 0 < ranking["popularity"]["coverage"] <= 1
    assert "recall@5" in ok(dl("evaluate", run.name, "--top", "5")).stdout
    assert "Lists of the 5 best items" in run.report_file.read_text(encoding="utf-8")


def test_what_is_for_the_other_kind_is_refused(dl: Dl, run: Run, home: Path) -> None:
    refused(dl("evaluate", run.name, "--tta", "3"), "have no augmented views", exit_code=2)
    root = make_dataset(home / "data" / "pets", train=2, valid=2, test=0)
    rows = dict.fromkeys(("valid/cat/cat.1000.png", "valid/dog/dog.1000.png"), (0.9, 0.1))
    pets = predicted_run(root, "one", rows)
    refused(dl("evaluate", pets.name, "--top", "3"), "Leave out `--top`", exit_code=2)


def test_without_the_dataset_or_validation_ratings_it_says_why(
    dl: Dl, run: Run, home: Path
) -> None:
    root = home / "data" / "films"
    (root / "split.yaml").unlink()
    assert not open_ratings(root).sizes["valid"]
    refused(dl("evaluate", run.name), "dl data split")
    shutil.rmtree(root)
    refused(dl("evaluate", run.name), "baselines are computed from the ratings in train")

"""A run's predicted ratings: read if they are of the ratings as they are, made if not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.collab_run import expected, rated_run
from support.small_ratings import HEADER, ROWS, organized, written

from dlcli.config import Config
from dlcli.data.ratings.ratings import open_ratings
from dlcli.data.ratings.splits import split
from dlcli.errors import DlError
from dlcli.inference.ratings.predict import predictions_of
from dlcli.inference.ratings.predictions import read_predictions
from dlcli.runs.run import Run

pytestmark = pytest.mark.slow

TEST = (("id", "userId", "movieId"), ("7", "ann", "m3"), ("8", "zoe", "m1"), ("9", "bob", "m9"))


@pytest.fixture
def run(home: Path) -> Run:
    """A run of a dataset of six ratings, two of them in valid, with three pairs to predict."""
    written(home / "data" / "test.csv", TEST)
    organized(home / "data", (HEADER, *ROWS))
    split(home / "data" / "films", 2, "random", 0)
    return rated_run(home / "data" / "films")


def test_valid_is_predicted_once_and_again_after_another_split(
    home: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    root = home / "data" / "films"
    dataset = open_ratings(root)
    found = predictions_of(run, root, Config({}), "valid")
    rows = dataset.rows("valid")
    pairs = list(zip(dataset.users[rows].tolist(), dataset.items[rows].tolist(), strict=True))
    assert found.predicted == pytest.approx(expected(run, pairs), abs=1e-5)
    assert found.ratings.tolist() == dataset.values[rows].tolist()
    assert found.users == tuple(dataset.user_ids[user - 1] for user, _ in pairs)
    when = run.predictions_file("valid").stat().st_mtime_ns
    again = predictions_of(run, root, Config({}), "valid")
    assert again.predicted == pytest.approx(found.predicted)
    assert run.predictions_file("valid").stat().st_mtime_ns == when
    split(root, 3, "random", 1, replace=True)
    assert len(predictions_of(run, root, Config({}), "valid").users) == 3
    assert "have changed: predicting them again" in capsys.readouterr().err


def test_test_has_the_files_pairs_in_order_and_unknown_ids_are_said(
    home: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    found = predictions_of(run, home / "data" / "films", Config({}), "test")
    assert (found.users, found.items) == (("ann", "zoe", "bob"), ("m3", "m1", "m9"))
    assert np.isnan(found.ratings).all()
    assert found.predicted == pytest.approx(expected(run, [(1, 3), (0, 1), (2, 0)]), abs=1e-5)
    assert "does not know 1 user (zoe) and 1 item (m9)" in capsys.readouterr().err
    assert read_predictions(run.predictions_file("test")).users == found.users


def test_without_the_dataset_its_file_is_used_as_it_is(home: Path, run: Run) -> None:
    root = home / "data" / "films"
    found = predictions_of(run, root, Config({}), "valid")
    shutil.rmtree(root)
    assert predictions_of(run, None, Config({}), "valid").users == found.users
    with pytest.raises(DlError, match="is gone, so test can't be predicted"):
        predictions_of(run, None, Config({}), "test")


def test_a_dataset_without_pairs_or_split_is_a_sentence(home: Path) -> None:
    root = home / "plain" / "films"
    organized(home / "plain", (HEADER, *ROWS))
    run = rated_run(root)
    with pytest.raises(DlError, match="has no pairs to predict"):
        predictions_of(run, root, Config({}), "test")
    with pytest.raises(DlError, match=r"No ratings of .* are in `valid`"):
        predictions_of(run, root, Config({}), "valid")


def test_damaged_pairs_are_named(home: Path, run: Run) -> None:
    root = home / "data" / "films"
    file = root / "test" / "pairs.csv"
    file.write_text("id,userId,movieId\n7,ann,m3\n")
    with pytest.raises(DlError, match=r"pairs\.csv is damaged.*3 rows"):
        predictions_of(run, root, Config({}), "test")
    file.rename(root / "elsewhere.csv")
    file.symlink_to(root / "elsewhere.csv")
    with pytest.raises(DlError, match="link"):
        predictions_of(run, root, Config({}), "test")

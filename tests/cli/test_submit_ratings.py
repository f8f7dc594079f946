"""`dl submit` of a run on ratings, from predicted pairs to the file that a competition wants."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.collab_run import expected, rated_run
from support.command_result import Dl, ok, refused
from support.kaggle_competition import Competition
from support.kaggle_server import KaggleServer
from support.small_ratings import HEADER, ROWS, organized, written

from dlcli.data.ratings.ratings import open_ratings
from dlcli.data.ratings.splits import split
from dlcli.files.formats import read_csv
from dlcli.runs.run import Run

pytestmark = pytest.mark.slow

TEST = (("id", "userId", "movieId"), ("7", "ann", "m3"), ("8", "zoe", "m1"), ("9", "bob", "m2"))
SAMPLE = (("id", "rating"), ("9", "0"), ("8", "0"), ("7", "0"))


@pytest.fixture
def run(home: Path) -> Run:
    """A run of a dataset of six ratings from 1 to 5, with pairs to predict."""
    folder = home / "data"
    written(folder / "test.csv", TEST)
    organized(folder, (HEADER, *ROWS))
    split(folder / "films", 2, "random", 0)
    bias = np.array([[0], [0], [9], [0]], np.float32)  # bob's ratings are beyond the scale
    return rated_run(folder / "films", weights={"user_bias": bias})


def test_pairs_are_predicted_clipped_to_the_scale_and_checked(dl: Dl, home: Path, run: Run) -> None:
    result = ok(dl("submit", run.name))
    header, *rows = read_csv(run.submission_file)
    assert header == ["id", "rating"]
    assert [row[0] for row in rows] == ["7", "8", "9"]
    dataset = open_ratings(home / "data" / "films")
    train = dataset.values[dataset.rows("train")]
    least, most = train.min(), train.max()
    plain = expected(run, [(1, 3), (0, 1), (2, 2)])
    wanted = plain.clip(least, most)
    assert [float(row[1]) for row in rows] == pytest.approx(wanted, abs=1e-5)
    assert float(rows[2][1]) == most
    scale = f"the scale of the training ratings, {least:g} to {most:g}"
    assert f"Clipped to {scale}: {(plain != wanted).sum()} of 3 predicted ratings." in result.stderr
    assert "No sample submission found" in result.stderr
    assert "does not know 1 user (zoe)" in result.stderr
    assert "Not sent: no competition is set" in result.stderr
    assert result.stdout.startswith("rows        3\nvalid MSE   ")
    again = ok(dl("submit", "-d", "films", "--no-upload", "--metric", "rmse"))
    assert "expected RMSE" in again.stdout and "does not know" not in again.stderr


def test_a_sample_submission_decides_columns_and_order(dl: Dl, home: Path, run: Run) -> None:
    written(home / "data" / "films" / "sample_submission.csv", SAMPLE)
    said = ok(dl("submit", run.name)).stderr
    assert [row[0] for row in read_csv(run.submission_file)] == ["id", "9", "8", "7"]
    assert "Sample submission: ~/data/films/sample_submission.csv." in said
    assert "are column `id`." in said
    (home / "other.csv").write_text("id,rating\n5,0\n")
    other = ("--sample-submission", "~/other.csv")
    refused(dl("submit", run.name, *other), "has ids that the dataset's test file lacks")
    refused(dl("submit", run.name, "--sample-submission", "~/none.csv"), "does not exist")


@pytest.mark.parametrize("option", [("--clip", "0.05"), ("--tta", "3"), ("--positive", "cat")])
def test_options_of_photos_are_a_sentence(dl: Dl, run: Run, option: tuple[str, str]) -> None:
    said = dl("submit", run.name, *option)
    refused(said, f"`{option[0]}` has no effect here", "this is a run on ratings", exit_code=2)
    assert not run.submission_file.exists()


def test_without_pairs_or_dataset_nothing_is_written(dl: Dl, home: Path, run: Run) -> None:
    shutil.rmtree(home / "data" / "films" / "test")
    mark = home / "data" / "films" / "ratings.yaml"
    mark.write_text(mark.read_text().replace("test: 3", "test: 0"))
    refused(dl("submit", run.name), "has no pairs to predict")
    shutil.rmtree(home / "data" / "films")
    refused(dl("submit", run.name), "The dataset is gone, and with it the pairs")


def test_it_is_sent_as_for_photos(dl: Dl, server: KaggleServer, run: Run) -> None:
    server.add(Competition("rate-films", lambda rows: 0.9))
    result = ok(dl("submit", run.name, "-c", "rate-films", "--metric", "rmse"))
    (sent,) = server.sent
    assert sent.content == run.submission_file.read_bytes()
    assert sent.description.startswith(f"{run.name} valid RMSE ")
    assert "public score  0.9" in result.stdout
    assert "the range that the validation ratings predicted" in result.stderr

"""`dl data` on ratings as it is typed: what it prints, and where it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.small_folders import make
from support.small_ratings import HEADER, ROWS, written


@pytest.fixture
def films(home: Path) -> Path:
    """A download: six ratings, and titles."""
    titles = [("movieId", "title"), ("m1", "One"), ("m2", "Two"), ("m3", "Three")]
    written(home / "Downloads" / "films" / "movies.csv", titles)
    written(home / "Downloads" / "films" / "ratings.csv", (HEADER, *ROWS))
    return home / "Downloads" / "films"


COUNTS = """\
train            4 ratings
valid            2 ratings
test             0 pairs
users            3
items            3
"""


def test_from_a_download_to_a_split_and_back(dl: Dl, films: Path) -> None:
    result = ok(dl("data", "organize", "Downloads/films"))
    assert result.stdout == COUNTS.replace("4 r", "6 r").replace("2 r", "0 r")
    assert result.stderr == (
        "Columns of ratings.csv: user `userId`, item `movieId`, rating `rating`, "
        "time `timestamp`.\n"
        "Titles: column `title` of movies.csv, by `movieId`.\n"
        "The dataset is in ~/data/films; next: `dl data split`\n"
    )
    result = ok(dl("data", "split", "--by", "time", "--valid", "2"))
    assert result.stdout == COUNTS
    assert result.stderr == (
        "Dataset ~/data/films (last named)\n"
        "Train has no rating of 1 user of valid. A model predicts their 2 ratings (100\xa0% of "
        "valid) as for an unknown one.\n"
        "Valid are 2 ratings, the newest ratings; next: `dl train collab-dot`\n"
    )
    result = dl("data", "split")
    assert result.exit_code == 1 and "Add `--again` to replace it." in result.stderr
    ok(dl("data", "split", "--again"))
    result = ok(dl("data", "undo"))
    assert "Took back `split`: chosen at random" in result.stderr
    result = dl("data", "undo")
    assert result.exit_code == 1 and "`rm -r ~/data/films`" in result.stderr
    assert ok(dl("data", "organize", "Downloads/films")).stderr.startswith(
        "~/data/films is organised already.\n"
    )


def test_a_dry_run_changes_nothing(dl: Dl, home: Path, films: Path) -> None:
    result = ok(dl("data", "organize", "Downloads/films/ratings.csv", "--dry-run"))
    assert "Would make ~/data/ratings of ~/Downloads/films/ratings.csv." in result.stderr
    assert not (home / "data" / "ratings").exists()
    ok(dl("data", "organize", "Downloads/films"))
    result = ok(dl("data", "split", "--new-users", "--dry-run"))
    assert "all ratings of some users. Nothing was done." in result.stderr
    result = ok(dl("data", "sample", "--users", "2", "--dry-run"))
    assert "Would copy all ratings of 2 users." in result.stderr
    assert "is not split" in ok(dl("data", "undo", "--dry-run")).stderr


def test_both_kinds_are_listed_and_one_in_detail(dl: Dl, home: Path, films: Path) -> None:
    make(home / "data" / "pets", "train/cat/1.jpg", "train/dog/2.jpg")
    ok(dl("data", "organize", "Downloads/films"))
    lines = ok(dl("data", "ls")).stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["dataset", "train", "valid", "test", "classes", "users", "items", "problem"],
        ["*", "films", "6", "0", "0", "3", "3"],
        ["pets", "2", "0", "0", "2"],
    ]
    shown = ok(dl("data", "ls", "films")).stdout
    assert "together        6      3      3  66.7\xa0%\n" in shown
    assert "scale   1 to 5 in steps of 0.5\n" in shown
    assert "time    2001-09-09 to 2001-09-09\n" in shown
    plain = json.loads(ok(dl("data", "ls", "films", "--json")).stdout)
    assert plain["kind"] == "ratings" and plain["density"] == 6 / 9


def test_a_sample_takes_users(dl: Dl, films: Path) -> None:
    ok(dl("data", "organize", "Downloads/films"))
    result = ok(dl("data", "sample", "--users", "2"))
    assert "users            2\n" in result.stdout
    assert "The sample is in ~/data/films-sample; next: `dl data split " in result.stderr
    result = dl("data", "sample", "--train", "5")
    assert result.exit_code == 2 and "`--train` is for photos" in result.stderr


def test_a_check_ends_with_1_if_a_fault_is_serious(dl: Dl, films: Path) -> None:
    ok(dl("data", "organize", "Downloads/films"))
    result = ok(dl("data", "check"))
    assert result.stderr.endswith("Nothing was found.\n")
    rows = (HEADER, *ROWS, ("ann", "m1", "1", "1000000009"))
    written(films / "twice.csv", rows)
    ok(dl("data", "organize", "Downloads/films/twice.csv"))
    result = dl("data", "check", "twice")
    assert result.exit_code == 1
    assert "    1  serious  pairs rated several times, differently\n" in result.stdout
    assert "user ann, item m1: 4, 1. Keep one rating" in result.stderr
    found = json.loads(dl("data", "check", "--json").stdout)
    assert found[0]["name"] == "different ratings" and found[0]["found"] == 1


def test_options_and_commands_of_the_other_kind_are_refused(
    dl: Dl, home: Path, films: Path
) -> None:
    make(home / "data" / "pets", "train/cat/1.jpg", "train/dog/2.jpg")
    result = dl("data", "split", "pets", "--by", "user")
    assert result.exit_code == 2 and "`--by` is for ratings" in result.stderr
    result = dl("data", "check", "pets")
    assert result.exit_code == 1 and "is a dataset of photos" in result.stderr
    result = dl("data", "organize", "Downloads/films", "--user-column", "userId", "--link")
    assert result.exit_code == 2 and "`--link` is for photos" in result.stderr
    ok(dl("data", "organize", "Downloads/films"))
    result = dl("features", "-d", "films")
    assert result.exit_code == 1 and "is a dataset of ratings, not of photos" in result.stderr


def test_columns_are_named_by_name_or_number(dl: Dl, films: Path) -> None:
    options = ("--user-column", "2", "--item-column", "userId", "--time-column", "none")
    result = ok(dl("data", "organize", "Downloads/films", "turned", *options))
    assert result.stderr.startswith(
        "Columns of ratings.csv: user `movieId`, item `userId`, rating `rating`.\n"
    )


def test_a_line_that_can_not_be_read_is_named(dl: Dl, films: Path) -> None:
    written(films / "ratings.csv", (HEADER, *ROWS, ("ann", "m3", "x", "1"), ("bob", "m2", "", "1")))
    result = dl("data", "organize", "Downloads/films")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: Line 8 of ~/Downloads/films/ratings.csv has no rating: 'x' is not a number\n"
        "Mend or remove the line: `dl` does not guess a rating. The same is true of 1 of the lines "
        "after it.\n"
    )

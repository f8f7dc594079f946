"""`dl predict` of a run on ratings, as it is typed."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from support.collab_run import expected, rated_run
from support.command_result import Dl, ok, refused
from support.pictures import make_dataset
from support.predicted_run import predicted_run
from support.small_ratings import HEADER, ROWS, organized, written

from dlcli.data.ratings.organize import OrganizeOptions
from dlcli.data.ratings.splits import split
from dlcli.runs.run import Run

pytestmark = pytest.mark.slow

TITLES = (("movieId", "title"), ("m1", "Alien (1979)"), ("m2", "Aliens (1986)"), ("m3", "Heat"))


@pytest.fixture
def run(home: Path) -> Run:
    """A run of a dataset of six ratings, four of them in train."""
    folder = home / "data"
    written(folder / "movies.csv", TITLES)
    organized(folder, (HEADER, *ROWS), OrganizeOptions(titles=folder / "movies.csv"))
    split(folder / "films", 2, "random", 0)
    return rated_run(folder / "films")


def test_the_best_items_for_a_user_are_printed(dl: Dl, run: Run) -> None:
    result = ok(dl("predict", "-d", "films", "--user", "ann", "--top", "2"))
    header, *rows = result.stdout.splitlines()
    assert header.split() == ["item", "title", "predicted"]
    assert rows[0].split()[0] in ("m1", "m2", "m3")
    assert "that user ann has not rated in train, by 202611231409-collab-dot-e5" in result.stderr
    every = json.loads(ok(dl("predict", run.name, "--user", "ann", "--rated", "--json")).stdout)
    assert [*every[0]] == ["item", "title", "predicted", "rating"]
    found = {row["item"]: row["predicted"] for row in every}
    wanted = dict(zip(["m1", "m2", "m3"], expected(run, [(1, 1), (1, 2), (1, 3)]), strict=True))
    assert found == pytest.approx(wanted, abs=1e-5)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_items_like_one_are_found_by_its_title(dl: Dl, run: Run) -> None:
    result = ok(dl("predict", run.name, "--item", "heat", "--similar", "2", "--csv"))
    header, *rows = csv.reader(io.StringIO(result.stdout))
    assert header == ["item", "title", "cosine"]
    assert {row[1] for row in rows} == {"Alien (1979)", "Aliens (1986)"}
    assert "Most like Heat of 2 items with 1 rating or more in train, by" in result.stderr
    refused(dl("predict", run.name, "--item", "lien"), "Aliens (1986): `--item m2`", exit_code=2)
    refused(dl("predict", run.name, "--item", "Alein (1979)"), "Did you mean `Alien (1979)`")


def test_pairs_come_from_a_file_or_standard_input(
    dl: Dl, home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "id,movieId,userId\n0,m1,ann\n1,m9,bob\n"
    (home / "pairs.csv").write_text(text)
    result = ok(dl("predict", run.name, "--pairs", "~/pairs.csv", "--json"))
    rows = json.loads(result.stdout)
    assert [(row["user"], row["item"]) for row in rows] == [("ann", "m1"), ("bob", "m9")]
    wanted = expected(run, [(1, 1), (2, 0)])
    assert [row["predicted"] for row in rows] == pytest.approx(wanted, abs=1e-5)
    assert "does not know 1 item (m9), in 1 of 2 pairs" in result.stderr
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert json.loads(ok(dl("predict", "-d", "films", "--pairs", "-", "--json")).stdout) == rows
    (home / "pairs.csv").write_text("a,b\nx,y\n")
    refused(dl("predict", run.name, "--pairs", "~/pairs.csv"), "Can't tell which columns", "`a`")
    (home / "pairs.csv").write_text("user,item\n")
    refused(dl("predict", run.name, "--pairs", "~/pairs.csv"), "has no pairs")


def test_without_its_dataset_a_run_lists_rated_items_too(dl: Dl, home: Path, run: Run) -> None:
    shutil.rmtree(home / "data" / "films")
    result = ok(dl("predict", run.name, "--user", "ann", "--csv"))
    assert len(result.stdout.splitlines()) == 4
    assert "The dataset of" in result.stderr and "is gone" in result.stderr


def test_a_trained_run_is_asked_and_one_without_vectors_says_so(dl: Dl, run: Run) -> None:
    shutil.rmtree(run.path)
    ok(dl("train", "collab-bias", "-d", "films", "--schedule", "1e-3"))
    assert ok(dl("predict", "--user", "bob", "--csv")).stdout.startswith("item,title,predicted\n")
    said = dl("predict", "--item", "Heat")
    refused(said, "its recipe, collab-bias, learns no vectors of items", "`dl train collab-dot`")


def test_options_of_the_other_kind_are_a_sentence(dl: Dl, home: Path, run: Run) -> None:
    typed = f"`dl predict {run.name} --user ID --top 10`"
    for words in ((run.name,), (run.name, "a.png"), ("-d", "films", run.name, "a.png")):
        refused(dl("predict", *words), "is a run on ratings", typed, exit_code=2)
    photos = predicted_run(
        make_dataset(home / "data" / "pets", train=2, valid=2), "202611231409-linear-e1", {}
    )
    said = dl("predict", photos.name, "--user", "42")
    refused(said, "is a run on photos", f"`dl predict {photos.name} PHOTO...`", exit_code=2)
    said = dl("predict", run.name, "a.png", "--user", "1")
    refused(said, "takes one RUN and no PHOTO", exit_code=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--top", "3"), "`--top` goes with `--user`"),
        (("--item", "Heat", "--rated"), "`--rated` goes with `--user`"),
        (("--user", "1", "--similar", "3"), "`--similar` goes with `--item`"),
        (("--user", "1", "--item", "Heat"), "Use `--user` or `--item`, not both"),
        (("--user", "1", "--json", "--csv"), "Use `--json` or `--csv`, not both"),
        (("--user", "1", "--top", "0"), "a whole number of at least 1"),
        ((), "With a run on ratings, use `--user`"),
    ],
)
def test_what_does_not_go_together_is_refused(dl: Dl, words: tuple[str, ...], said: str) -> None:
    refused(dl("predict", *words), said, exit_code=2)
